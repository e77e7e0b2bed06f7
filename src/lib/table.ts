/**
 * Column alignment as Go's text/tabwriter does it, which Docker's tables are printed with: a cell is text that
 * ends in a tab; a column is a run of consecutive lines that have a cell there, as wide as its widest cell plus
 * padding, at least `minWidth`. Text after a line's last tab belongs to no column.
 */

import { displayWidth } from './display-width.ts'

/** Width and padding of columns; Docker's lists use 10 and 3. */
export type TableOptions = { minWidth: number; padding: number }

/** Every character is one column wide. */
const plain = /^[ -~\n\t]*$/

const listTable: TableOptions = { minWidth: 10, padding: 3 }

/** Aligns lines of tab-terminated cells. Empty cells of a column that is empty throughout take no room. */
export function alignColumns(text: string, options: TableOptions = listTable): string {
  const lines = text.split('\n').map((line) => line.split('\t'))
  // Looked at once: of a thousand lines the cells one by one would take longer than all else.
  const widthOf = plain.test(text) ? (cell: string) => cell.length : displayWidth
  const widths: number[] = []
  const output: string[] = []
  const emit = (from: number, to: number) => {
    for (const cells of lines.slice(from, to)) {
      const last = cells.length - 1
      let line = ''
      for (let column = 0; column <= last; column++) {
        const cell = cells[column] ?? ''
        const width = widths[column]
        line += column === last || width === undefined ? cell : cell + ' '.repeat(width - widthOf(cell))
      }
      output.push(line)
    }
  }
  // The same recursion as tabwriter's format(): a column block is measured, then its lines are laid out with
  // the widths of the columns to its left.
  const format = (from: number, to: number) => {
    const column = widths.length
    let start = from
    for (let index = from; index < to; index++) {
      if (column >= (lines[index]?.length ?? 0) - 1) continue
      emit(start, index)
      start = index
      let end = index
      let width = options.minWidth
      let discardable = true
      for (; end < to; end++) {
        const cells = lines[end]
        if (cells === undefined || column >= cells.length - 1) break
        const cell = widthOf(cells[column] ?? '')
        width = Math.max(width, cell + options.padding)
        if (cell > 0) discardable = false
      }
      widths.push(discardable && options.minWidth === 0 ? 0 : width)
      format(start, end)
      widths.pop()
      start = end
      index = end - 1
    }
    emit(start, to)
  }
  format(0, lines.length)
  return output.join('\n')
}
