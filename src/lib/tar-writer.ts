/**
 * Writing tar archives. The bytes depend on the headers alone, so equal input gives equal digests: ustar where
 * everything fits, else a pax extended header with its records sorted, in the form Go's archive/tar uses.
 *
 * For synchronous writers: `encodeTarHeader(header)`, then the content, then `tarPaddingBytes(header.size)` zeros,
 * at the end `tarTrailer`. `writeTar` of `tar-stream.ts` does so for asynchronous ones.
 */
import { encodePath } from './path-bytes.ts'
import {
  putTarNumber,
  tarBlockBytes,
  tarChecksums,
  tarPaddingBytes,
  type TarEntryType,
  type TarHeader,
} from './tar-format.ts'
import { formatPaxTime, paxRecord } from './tar-pax.ts'

/** The two zero blocks that end an archive. */
export const tarTrailer: Buffer = Buffer.alloc(2 * tarBlockBytes)

const flags: Record<TarEntryType, string> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

const maxOctal7 = 0o7777777
const maxOctal11 = 0o77777777777

/** The header block of an entry, with the extended header before it where one is needed. */
export function encodeTarHeader(header: TarHeader): Buffer {
  const records = new Map<string, Uint8Array>()
  const name = splitName(encodePath(header.name))
  if (name.long) records.set('path', encodePath(header.name))
  const linkName = encodePath(header.linkName)
  if (linkName.length > 100 || !isAscii(linkName)) records.set('linkpath', linkName)
  addNumbers(records, header)
  addNames(records, header)
  for (const [key, value] of header.xattrs) records.set(`SCHILY.xattr.${key}`, value)
  const block = headerBlock(header, name, linkName)
  if (records.size === 0) return block
  return Buffer.concat([extendedHeader(name.name, records), block])
}

function addNumbers(records: Map<string, Uint8Array>, header: TarHeader): void {
  const { size, uid, gid, mtimeNs, atimeNs, ctimeNs } = header
  if (size > maxOctal11) records.set('size', Buffer.from(String(size)))
  if (uid > maxOctal7) records.set('uid', Buffer.from(String(uid)))
  if (gid > maxOctal7) records.set('gid', Buffer.from(String(gid)))
  if (!fitsSeconds(mtimeNs)) records.set('mtime', Buffer.from(formatPaxTime(mtimeNs)))
  if (atimeNs !== undefined) records.set('atime', Buffer.from(formatPaxTime(atimeNs)))
  if (ctimeNs !== undefined) records.set('ctime', Buffer.from(formatPaxTime(ctimeNs)))
}

function addNames(records: Map<string, Uint8Array>, header: TarHeader): void {
  const user = encodePath(header.userName)
  const group = encodePath(header.groupName)
  if (user.length > 31 || !isAscii(user)) records.set('uname', user)
  if (group.length > 31 || !isAscii(group)) records.set('gname', group)
}

function fitsSeconds(timeNs: bigint): boolean {
  return timeNs >= 0n && timeNs % 1_000_000_000n === 0n && timeNs / 1_000_000_000n <= BigInt(maxOctal11)
}

type FieldNames = { name: Buffer; prefix: Buffer; long: boolean }

/** How a name stands in the two fields of ustar; `long` where it does not fit or is not ASCII. */
function splitName(name: Buffer): FieldNames {
  const none = Buffer.alloc(0)
  if (!isAscii(name)) return { name, prefix: none, long: true }
  if (name.length <= 100) return { name, prefix: none, long: false }
  // The last slash that leaves at most 155 bytes before it, as in Go; a trailing slash cannot split.
  const limit = Math.min(156, name.length - 1)
  const slash = name.subarray(0, limit).lastIndexOf(0x2f)
  const rest = name.length - slash - 1
  if (slash <= 0 || rest > 100 || rest === 0) return { name, prefix: none, long: true }
  return { name: name.subarray(slash + 1), prefix: name.subarray(0, slash), long: false }
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte !== 0 && byte < 0x80)
}

function headerBlock(header: TarHeader, name: FieldNames, linkName: Buffer): Buffer {
  const block = Buffer.alloc(tarBlockBytes)
  name.name.copy(block, 0, 0, 100)
  putTarNumber(block, 100, 8, header.mode & 0o7777)
  putTarNumber(block, 108, 8, header.uid > maxOctal7 ? 0 : header.uid)
  putTarNumber(block, 116, 8, header.gid > maxOctal7 ? 0 : header.gid)
  putTarNumber(block, 124, 12, header.size > maxOctal11 ? 0 : header.size)
  const seconds = Number(header.mtimeNs / 1_000_000_000n)
  putTarNumber(block, 136, 12, seconds < 0 || seconds > maxOctal11 ? 0 : seconds)
  block.write(flags[header.type], 156, 'latin1')
  linkName.copy(block, 157, 0, 100)
  block.write('ustar\x0000', 257, 'latin1')
  encodePath(header.userName).copy(block, 265, 0, 31)
  encodePath(header.groupName).copy(block, 297, 0, 31)
  putTarNumber(block, 329, 8, header.deviceMajor)
  putTarNumber(block, 337, 8, header.deviceMinor)
  name.prefix.copy(block, 345)
  return seal(block)
}

function seal(block: Buffer): Buffer {
  const sum = tarChecksums(block).unsigned.toString(8).padStart(6, '0')
  block.write(`${sum}\0 `, 148, 'latin1')
  return block
}

function extendedHeader(name: Buffer, records: Map<string, Uint8Array>): Buffer {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1))
  const data = Buffer.concat(sorted.map(([key, value]) => paxRecord(key, value)))
  const block = Buffer.alloc(tarBlockBytes)
  paxHeaderName(name).copy(block, 0)
  putTarNumber(block, 100, 8, 0)
  putTarNumber(block, 108, 8, 0)
  putTarNumber(block, 116, 8, 0)
  putTarNumber(block, 124, 12, data.length)
  putTarNumber(block, 136, 12, 0)
  block.write('x', 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  putTarNumber(block, 329, 8, 0)
  putTarNumber(block, 337, 8, 0)
  return Buffer.concat([seal(block), data, Buffer.alloc(tarPaddingBytes(data.length))])
}

/** `dir/PaxHeaders.0/base` in ASCII, at most 100 bytes: what a tar without pax support would unpack. */
function paxHeaderName(name: Buffer): Buffer {
  const parts = name.toString('latin1').split('/').filter(Boolean)
  const base = parts.pop() ?? ''
  const joined = [...parts, 'PaxHeaders.0', base].join('/')
  return Buffer.from(joined.replace(/[^\x20-\x7e]/g, ''), 'latin1').subarray(0, 100)
}
