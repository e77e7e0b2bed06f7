/** Writing several pieces with one call, of which the system may take a part only. */
import type { FileHandle } from 'node:fs/promises'

/** What is left of pieces when so many of their bytes have been written. */
export function unwritten(pieces: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written
  return pieces.flatMap((piece) => {
    const gone = Math.min(left, piece.length)
    left -= gone
    return gone === piece.length ? [] : [piece.subarray(gone)]
  })
}

/** Writes all bytes of the pieces, from a position on or where the file's own position is. */
export async function writePieces(
  file: FileHandle,
  pieces: readonly Uint8Array[],
  position?: number,
): Promise<void> {
  let at = position
  for (let rest = pieces; rest.length > 0;) {
    const { bytesWritten } = await file.writev(rest, at)
    if (at !== undefined) at += bytesWritten
    rest = unwritten(rest, bytesWritten)
  }
}
