/** Writing to a client at its own pace. */
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
