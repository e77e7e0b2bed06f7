/**
 * File names as strings without loss. A name is bytes to Linux; here it is an ordinary string where the bytes are
 * UTF-8, and each byte that is not becomes a lone surrogate U+DC80..U+DCFF (as Python's surrogateescape does), so
 * that names can be compared, split and kept as JSON, and still lead back to the same file.
 */
import { isUtf8 } from 'node:buffer'

/** The name that the bytes spell. */
export function decodePath(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return isUtf8(buffer) ? buffer.toString('utf8') : decodeMixed(buffer)
}

/** The bytes of a name that `decodePath` gave; other lone surrogates become U+FFFD as in Node. */
export function encodePath(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8')
  const parts: Buffer[] = []
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(character, 'utf8'))
  }
  return Buffer.concat(parts)
}

/** What to hand to Node's fs functions: the string itself where that is exact, else its bytes. */
export function fsPath(name: string): string | Buffer {
  return name.isWellFormed() ? name : encodePath(name)
}

function decodeMixed(buffer: Buffer): string {
  let text = ''
  let at = 0
  while (at < buffer.length) {
    const length = sequenceLength(buffer, at)
    if (length === 0) text += String.fromCharCode(0xdc00 + (buffer[at] ?? 0))
    else text += buffer.toString('utf8', at, at + length)
    at += length === 0 ? 1 : length
  }
  return text
}

/** Length of the UTF-8 sequence that starts there, or 0 where none does. */
function sequenceLength(buffer: Buffer, at: number): number {
  const first = buffer[at] ?? 0
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  if (length === 0 || at + length > buffer.length) return 0
  return isUtf8(buffer.subarray(at, at + length)) ? length : 0
}
