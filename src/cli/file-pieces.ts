/** Local files as bodies of requests. */
import { readSync } from 'node:fs'

const pieceBytes = 256 * 1024

/**
 * What is left of an open file. One buffer goes round: a piece is valid until the next is asked for, which is after it has
 * been sent. New memory for each would take the kernel longer than all the rest.
 */
export async function* filePieces(fd: number): AsyncGenerator<Buffer, void, void> {
  const buffer = Buffer.allocUnsafeSlow(pieceBytes)
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null)
    if (count === 0) return
    yield buffer.subarray(0, count)
  }
}
