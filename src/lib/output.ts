/** Writing to whoever reads at his own pace. */
import type { Writable } from 'node:stream'

/** Resolves when the bytes are with the kernel, rejects when the output is closed first. */
export async function written(output: Writable, bytes: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const closed = () => reject(new Error('output closed'))
  if (output.destroyed) closed()
  else {
    output.once('close', closed)
    output.write(bytes, (error) => (error === null || error === undefined ? resolve() : reject(error)))
  }
  try {
    await promise
  } finally {
    output.off('close', closed)
  }
}

/** Writes all pieces and ends the output. Rejects as `written` and `pieces` do; a piece is used when the next is asked for. */
export async function sendAll(pieces: AsyncIterable<Uint8Array>, output: Writable): Promise<void> {
  for await (const piece of pieces) await written(output, piece)
  output.end()
}
