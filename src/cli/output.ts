/**
 * Standard output and error, written synchronously: a short command's output is complete when the process ends, a
 * long stream is slowed down by its reader. A pipe that refuses bytes for the moment is waited for.
 */
import { writeSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'

/** Where a command writes to. Tests give their own. */
export type Output = {
  readonly isTerminal: boolean
  write(data: string | Uint8Array): void
}

/** The reader of our output has gone: the command ends quietly, as SIGPIPE would end it. */
export class OutputClosed extends Error {}

const retryMs = 1

/** Whether a descriptor is a terminal. Most commands never ask, so what answers is loaded by those that do. */
export function isTerminal(fd: number): boolean {
  return process.getBuiltinModule('node:tty').isatty(fd)
}

/** An Output that writes to a file descriptor. Throws `OutputClosed` once nobody reads it any more. */
export function descriptorOutput(fd: number): Output {
  let terminal: boolean | undefined
  return {
    get isTerminal() {
      return (terminal ??= isTerminal(fd))
    },
    write(data) {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data
      let at = 0
      while (at < bytes.length) {
        try {
          at += writeSync(fd, bytes, at)
        } catch (error) {
          const code = errorCode(error)
          if (code === 'EPIPE') throw new OutputClosed('the reader of the output has gone', { cause: error })
          if (code !== 'EAGAIN') throw error
          // Somebody else made this pipe non-blocking. Waiting here is what a blocking write would do.
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)
        }
      }
    },
  }
}
