/** Compressing layers for registries. */
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { JobContext } from '../lib/worker-jobs.ts'

const pieceBytes = 512 * 1024

/** Writes the gzip of a file to a new one and answers its digest. No time and no name go into the header. */
export async function compressFile(
  { source, target }: { source: string; target: string },
  context: JobContext,
): Promise<{ digest: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  const fd = openSync(target, 'wx', 0o600)
  try {
    await pipeline(
      createReadStream(source, { highWaterMark: pieceBytes }),
      createGzip({ chunkSize: pieceBytes }),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          context.check()
          hash.update(chunk)
          for (let written = 0; written < chunk.length;) written += writeSync(fd, chunk, written)
          bytes += chunk.length
        }
      },
    )
  } finally {
    closeSync(fd)
  }
  return { digest: `sha256:${hash.digest('hex')}`, bytes }
}
