/** Writes a stream to a file that appears only when whole. */
import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errorCode, errorMessage } from '../spec/errors.ts'
import { CliError } from './errors.ts'

function check(path: string, what: string): 'file' | 'device' {
  try {
    const parent = statSync(dirname(path) || '.')
    if (!parent.isDirectory())
      throw new CliError(`${what}: invalid output path: directory "${dirname(path)}" does not exist`)
  } catch (error) {
    if (error instanceof CliError) throw error
    throw new CliError(`${what}: invalid output path: directory "${dirname(path)}" does not exist`, {
      cause: error,
    })
  }
  try {
    const found = statSync(path)
    if (found.isDirectory())
      throw new CliError(`${what}: invalid output path: "${path}" must be a regular file`)
    return found.isFile() ? 'file' : 'device'
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'file'
    throw error
  }
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
