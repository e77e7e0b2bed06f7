/** Checks the blobs: rows against files, and with `deep` every byte against its digest. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { errorCode } from '../spec/errors.ts'
import type { Digest } from '../spec/ids.ts'
import type { StoreProblem } from '../lib/store-problem.ts'
import type { Blob, ContentStore } from './content-store.ts'

/** What a check of the content is given. */
export type ContentCheck = {
  content: ContentStore
  deep: boolean
  isNeeded: (id: Digest) => boolean
  /** Where the bytes of a lost blob are known from elsewhere: writes them again. */
  restorer: (id: Digest) => (() => Promise<void>) | undefined
  /** What a person can do about a blob that is lost. */
  advise: (id: Digest) => string
  signal: AbortSignal
}

/** See the file's head. */
export async function* checkContent(check: ContentCheck): AsyncGenerator<StoreProblem> {
  const { content, isNeeded, signal } = check
  for (const blob of content.all()) {
    signal.throwIfAborted()
    if (!isNeeded(blob.digest) && !content.isLeased(blob.digest)) {
      yield {
        kind: 'unowned',
        object: blob.digest,
        detail: 'no image needs this blob',
        repair: async () => void (await content.collect([blob.digest], isNeeded)),
      }
      continue
    }
    const wrong = await whatIsWrong(check, blob)
    // Removed while it was read: then it need not be there.
    if (wrong === undefined || content.get(blob.digest) === undefined) continue
    const repair = check.restorer(blob.digest)
    yield {
      ...wrong,
      object: blob.digest,
      ...(repair === undefined ? { advice: check.advise(blob.digest) } : { repair }),
    }
  }
  for (const { path, digest: id } of await content.files()) {
    const isOwned = () => id !== undefined && (content.get(id) !== undefined || content.isLeased(id))
    if (isOwned()) continue
    yield {
      kind: 'unowned',
      object: path,
      detail: 'no row names this file',
      repair: async () => {
        if (!isOwned()) await rm(path, { recursive: true, force: true })
      },
    }
  }
}

async function whatIsWrong(
  { content, deep, signal }: ContentCheck,
  blob: Blob,
): Promise<Pick<StoreProblem, 'kind' | 'detail'> | undefined> {
  const path = content.path(blob.digest)
  try {
    const { size } = await stat(path)
    if (size !== blob.size) {
      return { kind: 'damaged', detail: `the file has ${size} bytes, it should have ${blob.size}` }
    }
    if (!deep) return undefined
    const found = await digestOfFile(path, blob.digest.slice(0, blob.digest.indexOf(':')), signal)
    return found === blob.digest ? undefined : { kind: 'damaged', detail: `the content hashes to ${found}` }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return { kind: 'missing', detail: 'the file of this blob is not there' }
  }
}

async function digestOfFile(path: string, algorithm: string, signal: AbortSignal): Promise<string> {
  const hash = createHash(algorithm)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(chunk)
  return `${algorithm}:${hash.digest('hex')}`
}
