/**
 * A trace of the engine's work for `npm run bench phases`: a line for each request's beginning and end and each named
 * point of an operation that is passed, with the monotonic clock's microseconds. Off unless the environment names a file.
 */
import { appendFileSync } from 'node:fs'
import type { Faults } from '../containers/core.ts'

/** Takes one point. */
export type Trace = (point: string) => void

/** How many lines are kept before they are written. */
const batchLines = 64

/** Writes to a file, a batch at a time and, when nothing has been traced for a while, the rest. */
export function traceTo(path: string): Trace {
  let lines: string[] = []
  let timer: NodeJS.Timeout | undefined
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    appendFileSync(path, lines.join(''))
    lines = []
  }
  return (point) => {
    lines.push(`${process.hrtime.bigint() / 1000n} ${point}\n`)
    if (lines.length >= batchLines) return flush()
    timer ??= setTimeout(flush, 100).unref()
  }
}

/** Named points of operations as a trace. */
export function tracedPoints(trace: Trace): Faults {
  return {
    reach: (point) => {
      trace(point)
      return Promise.resolve()
    },
  }
}
