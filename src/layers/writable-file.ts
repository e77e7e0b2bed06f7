/** What a writable layer stands on, as a file beside it: enough to mount it again after a restart. */
import { writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { EngineError, errorCode } from '../spec/errors.ts'

const names = z.array(z.string())
const content = z.union([
  z.object({ lowers: names, init: z.boolean() }),
  // Before images could be mounted.
  names.transform((lowers) => ({ lowers, init: true })),
])

/** `lowers` are layers' names, topmost first; `init` says whether the init layer lies on them. */
export type WritableBase = z.infer<typeof content>

/**
 * Writes the file; with `durable` it survives a power cut, and so does the way to it. Otherwise it is written at once:
 * through another thread that takes four times as long.
 */
export async function writeBase(path: string, base: WritableBase, durable: boolean): Promise<void> {
  const text = JSON.stringify({ lowers: base.lowers, init: base.init })
  if (durable) await writeFile(path, text, { flush: true })
  else writeFileSync(path, text)
}

/** Reads the file of a writable layer `id`. Throws notFound when there is none, or none that is whole. */
export async function readBase(path: string, id: string): Promise<WritableBase> {
  try {
    return content.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    const broken = error instanceof SyntaxError || error instanceof z.ZodError
    if (errorCode(error) !== 'ENOENT' && !broken) throw error
    throw new EngineError('notFound', `no writable layer of ${id}`, { cause: error })
  }
}
