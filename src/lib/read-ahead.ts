/** Reading files from beginning to end without new memory for every piece. */
import { open } from 'node:fs/promises'

const pieceBytes = 512 * 1024

/** A file's bytes, read ahead. A piece is valid until the next is asked for: two buffers go round. */
export async function* readAhead(path: string): AsyncGenerator<Buffer, void, void> {
  await using file = await open(path, 'r')
  const buffers = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)] as const
  const read = (turn: 0 | 1) => {
    const reading = file.read(buffers[turn], 0, pieceBytes, null)
    // Awaited in its turn, or of no interest any more.
    reading.catch(() => {})
    return reading
  }
  let next = read(0)
  for (let turn: 0 | 1 = 0; ; turn = turn === 0 ? 1 : 0) {
    const { bytesRead } = await next
    if (bytesRead === 0) return
    next = read(turn === 0 ? 1 : 0)
    yield buffers[turn].subarray(0, bytesRead)
  }
}
