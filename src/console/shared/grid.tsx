/**
 * A list of any length: only the rows in view are there. It scrolls with the page. One row is the active one: arrows
 * move it, and it alone is reached with Tab, with whatever it holds. It stays there when it scrolls out of view, so
 * that the focus is never lost.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { usePageKeys } from '../browser/page.ts'

/** A row as the grid shows it. */
export type GridRow = {
  key: string
  cells: ComponentChildren[]
  isSelected?: boolean
  /** In a tree: how deep, and whether what is below it shows. */
  level?: number
  isOpen?: boolean
}

/** See the file's head. */
export type GridProps = {
  label: string
  kind: 'grid' | 'treegrid'
  /** Which columns there are, for the style sheet. */
  layout: string
  heads: ComponentChildren[]
  count: number
  rowHeight: number
  /** A row; undefined while it is loaded. Controls in it take `tabIndex`. */
  row: (index: number, tabIndex: number) => GridRow | undefined
  /** Told which rows are in view. */
  onRange?: (start: number, end: number) => void
  /** Told of a key that the grid has no use for. */
  onKey?: (key: string, index: number, event: KeyboardEvent) => void
}

type Range = { start: number; end: number }

const spareRows = 8

/** See the file's head. */
export function Grid(props: GridProps) {
  const { label, kind, layout, heads, count, rowHeight, row, onRange, onKey } = props
  const body = useRef<HTMLDivElement>(null)
  const [chosen, setActive] = useState(0)
  const active = Math.min(chosen, Math.max(0, count - 1))
  const range = useRange(body, count, rowHeight)
  useEffect(() => onRange?.(range.start, range.end), [range.start, range.end, count])
  const focusRow = useFocusRow(body)
  const move = (index: number) => {
    const next = Math.max(0, Math.min(count - 1, index))
    setActive(next)
    focusRow(next)
  }
  const pressed = (event: KeyboardEvent) => {
    const { target } = event
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (!(target instanceof HTMLElement) || target.role !== 'row') return
    const next = nextActive(event.key, {
      active,
      count,
      page: Math.max(1, range.end - range.start - 2 * spareRows),
    })
    if (next !== undefined) {
      event.preventDefault()
      move(next)
    }
    onKey?.(event.key, active, event)
  }
  usePageKeys((event) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
    if (count === 0 || document.activeElement !== document.body) return
    event.preventDefault()
    move(active)
  })
  const indexes = visibleIndexes(range, active, count)
  return (
    <div
      class={`grid ${layout}`}
      role={kind}
      aria-label={label}
      aria-rowcount={count + 1}
      onKeyDown={pressed}
    >
      <div class="grid-head" role="row" aria-rowindex={1}>
        {heads.map((head, place) => (
          <div key={place} role="columnheader">
            {head}
          </div>
        ))}
      </div>
      <div class="grid-body" role="rowgroup" ref={body} style={{ height: `${count * rowHeight}px` }}>
        {indexes.map((index) => (
          <Row
            key={index}
            index={index}
            rowHeight={rowHeight}
            isActive={index === active}
            row={row(index, index === active ? 0 : -1)}
            columns={heads.length}
            onFocus={() => setActive(index)}
          />
        ))}
      </div>
    </div>
  )
}

function Row(props: {
  index: number
  rowHeight: number
  isActive: boolean
  row: GridRow | undefined
  columns: number
  onFocus: () => void
}) {
  const { index, rowHeight, isActive, row, columns, onFocus } = props
  return (
    <div
      class={row === undefined ? 'grid-row waiting' : 'grid-row'}
      role="row"
      data-index={index}
      aria-rowindex={index + 2}
      aria-selected={row?.isSelected}
      aria-level={row?.level}
      aria-expanded={row?.isOpen}
      tabIndex={isActive ? 0 : -1}
      style={{ top: `${index * rowHeight}px`, height: `${rowHeight}px` }}
      onFocusIn={onFocus}
    >
      {(row?.cells ?? Array.from({ length: columns }, () => <span class="stripe" />)).map((cell, place) => (
        <div key={place} role="gridcell">
          {cell}
        </div>
      ))}
    </div>
  )
}

/** Focuses a row once it is there. */
function useFocusRow(body: { current: HTMLDivElement | null }): (index: number) => void {
  const [wanted, setWanted] = useState<{ index: number }>()
  useLayoutEffect(() => {
    if (wanted === undefined) return
    const element = body.current?.querySelector<HTMLElement>(`[data-index="${wanted.index}"]`)
    element?.focus({ preventScroll: true })
    element?.scrollIntoView({ block: 'nearest' })
  }, [wanted])
  return (index) => setWanted({ index })
}

/** The rows in view, and some more. */
function useRange(body: { current: HTMLDivElement | null }, count: number, rowHeight: number): Range {
  const [range, setRange] = useState<Range>({ start: 0, end: Math.min(count, 40) })
  useLayoutEffect(() => {
    let frame = 0
    const measure = () => {
      frame = 0
      const top = body.current?.getBoundingClientRect().top ?? 0
      const first = Math.floor(-top / rowHeight) - spareRows
      const last = Math.ceil((innerHeight - top) / rowHeight) + spareRows
      const start = Math.max(0, Math.min(count, first))
      const end = Math.max(start, Math.min(count, last))
      setRange((before) => (before.start === start && before.end === end ? before : { start, end }))
    }
    const changed = () => {
      if (frame === 0) frame = requestAnimationFrame(measure)
    }
    measure()
    addEventListener('scroll', changed, { passive: true })
    addEventListener('resize', changed)
    return () => {
      cancelAnimationFrame(frame)
      removeEventListener('scroll', changed)
      removeEventListener('resize', changed)
    }
  }, [count, rowHeight])
  return range
}

function visibleIndexes({ start, end }: Range, active: number, count: number): number[] {
  const last = Math.min(end, count)
  const indexes = Array.from({ length: Math.max(0, last - start) }, (_, place) => start + place)
  if (active < count && (active < start || active >= last)) indexes.push(active)
  return indexes
}

function nextActive(key: string, at: { active: number; count: number; page: number }): number | undefined {
  const { active, count, page } = at
  const moves: Record<string, number> = {
    ArrowDown: active + 1,
    ArrowUp: active - 1,
    PageDown: active + page,
    PageUp: active - page,
    Home: 0,
    End: count - 1,
  }
  return moves[key]
}
