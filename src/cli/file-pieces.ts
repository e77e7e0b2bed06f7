/** Local files as bodies of requests. */
import { readSync } from 'node:fs'

const pieceBytes = 256 * 1024

/**
 * What is left of an open file. Full pieces share one buffer: one is valid until the next is asked for, which is after it
 * has been sent, as new memory for each would take the kernel longer than all the rest. A short one, as pipes give them,
 * may wait in a socket's queue and is a copy.
 */
export async function* filePieces(fd: number): AsyncGenerator<Buffer, void, void> {
  const buffer = Buffer.allocUnsafeSlow(pieceBytes)
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null)
    if (count === 0) return
    yield count === buffer.length ? buffer : Buffer.from(buffer.subarray(0, count))
  }
}
