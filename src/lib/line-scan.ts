/** Reading the lines of a file from its end, in blocks: the cost is that of the lines wanted, not of the file. */
import type { FileHandle } from 'node:fs/promises'

const blockBytes = 64 * 1024
const lineFeed = 0x0a

/**
 * Visits the lines of `file` before the offset `end`, last line first, each without its line feed and with the
 * offset of its first byte, until the visitor answers false. A last line that has no line feed is a line too.
 */
export async function scanLinesBackward(
  file: FileHandle,
  end: number,
  visit: (line: Buffer, offset: number) => boolean,
): Promise<void> {
  /** Pieces of the line whose beginning was not found yet, first piece first. */
  let pieces: Buffer[] = []
  let blockEnd = end
  let first = true
  while (blockEnd > 0) {
    const blockStart = Math.max(0, blockEnd - blockBytes)
    const block = await readFully(file, blockStart, blockEnd - blockStart)
    let lineEnd = block.length
    if (first && block[lineEnd - 1] === lineFeed) lineEnd -= 1
    first = false
    for (;;) {
      const feed = lineEnd === 0 ? -1 : block.lastIndexOf(lineFeed, lineEnd - 1)
      if (feed < 0) break
      const line = joined(block.subarray(feed + 1, lineEnd), pieces)
      pieces = []
      if (!visit(line, blockStart + feed + 1)) return
      lineEnd = feed
    }
    pieces.unshift(block.subarray(0, lineEnd))
    blockEnd = blockStart
  }
  if (end > 0) visit(joined(Buffer.alloc(0), pieces), 0)
}

/** Reads `length` bytes at `offset`, fewer only where the file ends. */
export async function readFully(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

function joined(head: Buffer, rest: Buffer[]): Buffer {
  return rest.length === 0 ? head : Buffer.concat([head, ...rest])
}
