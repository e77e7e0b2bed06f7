/** Makes renames and removals in a directory durable. */
import { open } from 'node:fs/promises'

/** See the file's description. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
