/**
 * Compressing layers for registries: gzip, its blocks compressed by several threads at once, as pigz does. A block
 * begins with the end of the one before as its dictionary, so that little is lost by cutting; all of them are one
 * stream for whoever reads it, and the same bytes give the same bytes on every machine with this zlib.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { promisify } from 'node:util'
import { constants, crc32, deflateRaw } from 'node:zlib'
import { releaseBuffer } from '../lib/release-buffer.ts'
import type { JobContext } from '../lib/worker-jobs.ts'
import { HashedFile } from './hashed-file.ts'

const blockBytes = 1 << 20
const dictionaryBytes = 32 * 1024
/** Blocks under way: more than there are threads, so that none waits for the writing. */
const mostBlocks = 6

/** No name, no time, made on Unix (RFC 1952, section 2.3). */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])

const deflate = promisify(deflateRaw)

/** Writes the gzip of a file to a new one and answers its digest. */
export async function compressFile(
  { source, target }: { source: string; target: string },
  context: JobContext,
): Promise<{ digest: string; bytes: number }> {
  const from = openSync(source, 'r')
  try {
    using file = new HashedFile(target)
    for await (const chunk of gzipped(from)) {
      context.check()
      file.write(chunk)
    }
    return file.finish()
  } finally {
    closeSync(from)
  }
}

async function* gzipped(fd: number): AsyncGenerator<Buffer, void, void> {
  yield header
  const waiting: Promise<Buffer>[] = []
  let sum = 0
  let length = 0
  let dictionary: Buffer = Buffer.alloc(0)
  try {
    for (let block = read(fd), isLast = false; !isLast;) {
      const next = read(fd)
      isLast = next.length === 0
      sum = crc32(block, sum)
      length += block.length
      const part = compressed(block, dictionary, isLast)
      // Awaited in its turn.
      part.catch(() => {})
      waiting.push(part)
      dictionary = Buffer.from(block.subarray(-dictionaryBytes))
      block = next
      if (waiting.length >= mostBlocks || isLast) yield* finished(waiting, isLast ? 0 : mostBlocks - 1)
    }
  } finally {
    // Whoever broke off did not want the others either.
    await Promise.allSettled(waiting)
  }
  yield trailerOf(sum, length)
}

/** A block's part of the stream: it ends at a byte's end, the last one with the end of the stream. */
async function compressed(block: Buffer, dictionary: Buffer, isLast: boolean): Promise<Buffer> {
  const result = await deflate(block, {
    chunkSize: blockBytes,
    finishFlush: isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
    ...(dictionary.length > 0 && { dictionary }),
  })
  freeWhole(block)
  return result
}

/** The parts in order, until no more than so many are under way. */
async function* finished(waiting: Promise<Buffer>[], most: number): AsyncGenerator<Buffer, void, void> {
  while (waiting.length > most) {
    const part = await waiting[0]
    void waiting.shift()
    if (part === undefined) return
    yield part
    freeWhole(part)
  }
}

/** Frees the memory of which a buffer may be a part only. Node's pool, which many share, is much smaller. */
function freeWhole({ buffer }: Buffer): void {
  if (buffer.byteLength >= blockBytes) releaseBuffer(new Uint8Array(buffer))
}

function trailerOf(sum: number, length: number): Buffer {
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(sum, 0)
  trailer.writeUInt32LE(length % 2 ** 32, 4)
  return trailer
}

/** The next block of a file, shorter only at its end. */
function read(fd: number): Buffer {
  const block = Buffer.allocUnsafeSlow(blockBytes)
  let filled = 0
  while (filled < blockBytes) {
    const count = readSync(fd, block, filled, blockBytes - filled, null)
    if (count === 0) break
    filled += count
  }
  return block.subarray(0, filled)
}
