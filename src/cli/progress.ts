/**
 * Shows the progress streams of pull, push, load, import and build: on a terminal one line a layer that is drawn
 * over, elsewhere plain lines without the bars. Throws a CliError with the text of an error message.
 */
import { humanSize } from '../lib/units.ts'
import type { ProgressMessage } from '../spec/image-types.ts'
import { CliError } from './errors.ts'
import type { Output } from './output.ts'

/** What `showProgress` needs to know. `width` is the terminal's. */
export type ProgressOptions = {
  output: Output
  width: number
  aux?: (value: Record<string, unknown>) => void
}

/** The bar with its numbers, as wide as the terminal allows; empty when there is nothing to show. */
function progressBar(detail: NonNullable<ProgressMessage['progressDetail']>, width: number): string {
  const { current = 0, total = 0, units, hidecounts } = detail
  if (current <= 0 && total <= 0) return ''
  const show = (value: number) => (units === undefined || units === '' ? humanSize(value) : String(value))
  if (total <= 0)
    return units === undefined || units === '' ? show(current).padStart(8) : `${show(current)} ${units}`
  const half = Math.min(50, Math.trunc((current / total) * 100) >> 1)
  const bar = width > 110 ? `[${'='.repeat(half)}>${' '.repeat(50 - half)}] ` : ''
  if (hidecounts === true) return bar
  const numbers = current > total ? show(current).padStart(8) : `${show(current).padStart(8)}/${show(total)}`
  return `${bar}${numbers}${units === undefined || units === '' ? '' : ` ${units}`}`
}

function messageText(message: ProgressMessage, bar: string, terminal: boolean): string {
  const { stream, status = '', id } = message
  if (bar !== '' && !terminal) return ''
  const drawnOver = terminal && stream === undefined && message.progressDetail !== undefined
  const start = drawnOver ? '\u001B[2K\r' : ''
  const label = id === undefined || id === '' ? '' : `${id}: `
  if (bar !== '') return `${start}${label}${status} ${bar}\r`
  if (stream !== undefined && stream !== '') return `${start}${label}${stream}`
  return `${start}${label}${status}${drawnOver ? '\r' : '\n'}`
}

/** See the file's description. */
export async function showProgress(
  messages: AsyncIterable<ProgressMessage>,
  { output, width, aux }: ProgressOptions,
): Promise<void> {
  const terminal = output.isTerminal
  const lines = new Map<string, number>()
  for await (const message of messages) {
    if (message.aux !== undefined) {
      aux?.(message.aux)
      continue
    }
    const failure = message.errorDetail?.message ?? message.error
    if (failure !== undefined && failure !== '') throw new CliError(failure)
    const bar = message.progressDetail === undefined ? '' : progressBar(message.progressDetail, width)
    const tracked = message.id !== undefined && message.id !== '' && message.progressDetail !== undefined
    let up = 0
    if (tracked && message.id !== undefined) {
      let line = lines.get(message.id)
      if (line === undefined) {
        line = lines.size
        lines.set(message.id, line)
        if (terminal) output.write('\n')
      }
      up = lines.size - line
    } else {
      lines.clear()
    }
    if (terminal && up > 0) output.write(`\u001B[${up}A`)
    output.write(messageText(message, bar, terminal))
    if (terminal && up > 0) output.write(`\u001B[${up}B`)
  }
}
