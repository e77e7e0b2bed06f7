/** Writes a stream to a file that appears only when whole. */
import { closeSync, lstatSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileErrorMessage } from '../lib/file-error.ts'
import { errorMessage } from '../spec/errors.ts'
import { CliError } from './errors.ts'

/** Docker's refusals of a path. */
function check(path: string, what: string): 'file' | 'device' {
  const refuse = (reason: string) => new CliError(`${what}: ${reason}`)
  const parent = dirname(path)
  try {
    if (!statSync(parent).isDirectory()) throw refuse(`invalid output path: stat ${parent}: not a directory`)
  } catch (error) {
    if (error instanceof CliError) throw error
    throw refuse(`invalid output path: ${fileErrorMessage(error, parent)}`)
  }
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return 'file'
  if (found.isDirectory()) throw refuse('cannot write to a directory')
  if (found.isSymbolicLink()) throw refuse('cannot write to a symbolic link directly')
  return found.isFile() ? 'file' : 'device'
}

/** See the file's description. `what` starts the error texts. An existing device or pipe is written to directly. */
export async function writeStreamToFile(
  path: string,
  data: AsyncIterable<Uint8Array>,
  what: string,
): Promise<void> {
  const direct = check(path, what) === 'device'
  const temporary = direct ? path : join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  const fd = openSync(temporary, direct ? 'w' : 'wx', 0o600)
  let whole = false
  try {
    for await (const chunk of data) for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at)
    whole = true
  } catch (error) {
    throw new CliError(`${what}: ${errorMessage(error)}`, { cause: error })
  } finally {
    closeSync(fd)
    if (!direct && !whole) rmSync(temporary, { force: true })
  }
  if (!direct) renameSync(temporary, path)
}
