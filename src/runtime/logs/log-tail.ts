/** Finds where the last lines of a log begin. */
import { FilePosition } from './log-position.ts'
import type { OpenLogFile } from './log-files.ts'
import type { LogFormat } from './log-record.ts'

/** A place in a list of log files: those before it are left out, and so many bytes or lines of that one. */
export type TailStart = { file: number; offset: number; skipLines: number }

const lineFeed = 0x0a

/** Where the last `lines` lines begin; the beginning of everything when undefined. */
export async function findTail(
  files: readonly OpenLogFile[],
  format: LogFormat,
  lines: number | undefined,
): Promise<TailStart> {
  if (lines === undefined) return { file: 0, offset: 0, skipLines: 0 }
  let wanted = lines
  for (let index = files.length - 1; index >= 0; index -= 1) {
    const file = files[index]
    if (file === undefined) continue
    const newest = index === files.length - 1
    const found = file.compressed
      ? await tailOfCompressed(file, format, wanted)
      : await tailOfPlain(file, format, { wanted, newest })
    if (found.start !== undefined) return { file: index, ...found.start }
    wanted -= found.lines
  }
  return { file: 0, offset: 0, skipLines: 0 }
}

type Found = { lines: number; start?: { offset: number; skipLines: number } }

async function tailOfPlain(
  file: OpenLogFile,
  format: LogFormat,
  { wanted, newest }: { wanted: number; newest: boolean },
): Promise<Found> {
  const { size } = await file.handle.stat()
  let begin = size
  let lines = 0
  let last = newest
  let found = false
  await format.scanBackward(file.handle, size, (record, offset) => {
    const endsLine = record.bytes[record.end - 1] === lineFeed
    // The very last record of a log may be a line that was not ended.
    if (endsLine || last) {
      if (lines === wanted) {
        found = true
        return false
      }
      lines += 1
    }
    last = false
    begin = offset
    return true
  })
  return found ? { lines, start: { offset: begin, skipLines: 0 } } : { lines }
}

async function tailOfCompressed(file: OpenLogFile, format: LogFormat, wanted: number): Promise<Found> {
  let lines = 0
  for await (const chunk of new FilePosition(file, 0).chunks(format)) {
    format.decode(chunk, (record) => {
      if (record.bytes[record.end - 1] === lineFeed) lines += 1
      return true
    })
  }
  return lines >= wanted ? { lines, start: { offset: 0, skipLines: lines - wanted } } : { lines }
}
