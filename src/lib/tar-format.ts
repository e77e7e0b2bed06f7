/**
 * The tar format as Wharf uses it: what an entry is, and how its numbers, names and extended records stand in the
 * 512-byte headers. POSIX.1-2024 pax (ustar and pax), the GNU tar manual ("Basic Tar Format", "Storing Sparse
 * Files") and libarchive's tar(5).
 */

/** Size of a header, and what every file's content is padded to. */
export const tarBlockBytes = 512

/** Largest extended header or long name that is accepted; xattrs of one file are at most 64 KiB each. */
export const maxTarMetadataBytes = 1 << 20

/** What an entry makes. */
export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo'

/** A stretch of a sparse file that has content. */
export type SparseRegion = { offset: number; length: number }

/**
 * One entry. Names are as they stand in the archive, lossless (`lib/path-bytes.ts`), and as hostile as its maker:
 * they may be absolute, hold `..`, or be empty.
 */
export type TarHeader = {
  name: string
  type: TarEntryType
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  mode: number
  uid: number
  gid: number
  userName: string
  groupName: string
  /** Bytes of the file as it will be on disk; 0 for all but files. */
  size: number
  /** Nanoseconds since 1970, negative before. */
  mtimeNs: bigint
  atimeNs?: bigint
  ctimeNs?: bigint
  /** Target of a symlink, or name of the entry that a hard link shares its inode with; else empty. */
  linkName: string
  deviceMajor: number
  deviceMinor: number
  /** Extended attributes by full name (`security.capability`), values as bytes. */
  xattrs: ReadonlyMap<string, Uint8Array>
  /** Set where the archive stores a file as sparse: everything outside the regions is a hole. */
  sparse?: readonly SparseRegion[]
}

/** A damaged or unsupported archive. The messages are those of Go's archive/tar where it has one. */
export class TarError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'TarError'
  }
}

/** An entry with every field set; for those who write archives. */
export function tarHeader(
  fields: Pick<TarHeader, 'name' | 'type'> & Partial<Omit<TarHeader, 'name' | 'type'>>,
): TarHeader {
  return {
    mode: fields.type === 'directory' ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    userName: '',
    groupName: '',
    size: 0,
    mtimeNs: 0n,
    linkName: '',
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: new Map(),
    ...fields,
  }
}

/** Bytes up to the first NUL of a fixed field. */
export function tarString(block: Buffer, at: number, length: number): Buffer {
  const field = block.subarray(at, at + length)
  const end = field.indexOf(0)
  return end === -1 ? field : field.subarray(0, end)
}

/** A numeric field: octal text, or base-256 where the first bit is set. Throws a TarError. */
export function tarNumber(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0
  if ((first & 0x80) !== 0) return binaryNumber(block, at, length)
  const text = block
    .toString('latin1', at, at + length)
    .replaceAll('\0', ' ')
    .trim()
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw new TarError('archive/tar: invalid tar header')
  return Number.parseInt(text, 8)
}

function binaryNumber(block: Buffer, at: number, length: number): number {
  const negative = ((block[at] ?? 0) & 0x40) !== 0
  let value = negative ? -1n : 0n
  for (let index = 0; index < length; index++) {
    const byte = BigInt(block[at + index] ?? 0)
    // The first byte's top bit only marks the form; sign extension keeps it right for negative numbers.
    value = (value << 8n) | (index === 0 ? (negative ? byte : byte & 0x7fn) : byte)
  }
  value = BigInt.asIntN(length * 8, value)
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new TarError('archive/tar: invalid tar header')
  return number
}

/** Writes a number in octal if it fits, else in base-256. */
export function putTarNumber(block: Buffer, at: number, length: number, value: number): void {
  const octal = value >= 0 ? value.toString(8) : ''
  if (octal !== '' && octal.length < length) {
    block.write(octal.padStart(length - 1, '0'), at, 'latin1')
    block[at + length - 1] = 0
    return
  }
  let rest = BigInt(value)
  for (let index = length - 1; index >= 0; index--) {
    block[at + index] = Number(rest & 0xffn)
    rest >>= 8n
  }
  block[at] = (block[at] ?? 0) | 0x80
}

/** Sum of a header's bytes with its checksum field taken as spaces: unsigned, and signed as some old tars did. */
export function tarChecksums(block: Buffer): { unsigned: number; signed: number } {
  let unsigned = 0
  let signed = 0
  for (let index = 0; index < tarBlockBytes; index++) {
    const byte = index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0)
    unsigned += byte
    signed += byte < 128 ? byte : byte - 256
  }
  return { unsigned, signed }
}

/** Bytes that follow a content of `size` up to the next block. */
export function tarPaddingBytes(size: number): number {
  return (tarBlockBytes - (size % tarBlockBytes)) % tarBlockBytes
}
