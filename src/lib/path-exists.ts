/** Whether something is at a path, links followed. Throws what is not a plain absence. */
import { stat } from 'node:fs/promises'
import { errorCode } from '../spec/errors.ts'

/** See the file's head. */
export async function pathExists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
