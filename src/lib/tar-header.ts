/** The fields of an entry as its header block and its pax records give them. */
import { decodePath } from './path-bytes.ts'
import { TarError, tarNumber, tarString, type TarEntryType, type TarHeader } from './tar-format.ts'
import { paxNumber, paxText, paxTimeNs, type PaxRecords } from './tar-pax.ts'

const types = new Map<string, TarEntryType>([
  ['0', 'file'],
  ['\0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character'],
  ['4', 'block'],
  ['5', 'directory'],
  ['D', 'directory'],
  ['6', 'fifo'],
])

/** An entry from its header block alone; its size is left 0. Throws a TarError for an unknown type. */
export function basicHeader(block: Buffer, flag: string): TarHeader {
  const type = types.get(flag)
  if (type === undefined) throw new TarError(`unhandled tar header type ${flag.charCodeAt(0)}`)
  const magic = block.toString('latin1', 257, 265)
  const isPosix = magic.startsWith('ustar\0')
  const isStar = isPosix && block.toString('latin1', 508, 512) === 'tar\0'
  const isGnu = magic === 'ustar  \0'
  let name = decodePath(tarString(block, 0, 100))
  if (isPosix) {
    const prefix = decodePath(tarString(block, 345, isStar ? 131 : 155))
    if (prefix !== '') name = `${prefix}/${name}`
  }
  const isDevice = type === 'character' || type === 'block'
  return {
    name,
    type,
    mode: tarNumber(block, 100, 8) & 0o7777,
    uid: tarNumber(block, 108, 8),
    gid: tarNumber(block, 116, 8),
    userName: isPosix || isGnu ? decodePath(tarString(block, 265, 32)) : '',
    groupName: isPosix || isGnu ? decodePath(tarString(block, 297, 32)) : '',
    size: 0,
    mtimeNs: BigInt(tarNumber(block, 136, 12)) * 1_000_000_000n,
    linkName: decodePath(tarString(block, 157, 100)),
    deviceMajor: isDevice && (isPosix || isGnu) ? tarNumber(block, 329, 8) : 0,
    deviceMinor: isDevice && (isPosix || isGnu) ? tarNumber(block, 337, 8) : 0,
    xattrs: new Map(),
  }
}

/** Overrides fields by the pax records that came before the header. */
export function applyPax(header: TarHeader, pax: PaxRecords): void {
  header.name = paxText(pax, 'path') ?? header.name
  header.linkName = paxText(pax, 'linkpath') ?? header.linkName
  header.uid = paxNumber(pax, 'uid') ?? header.uid
  header.gid = paxNumber(pax, 'gid') ?? header.gid
  header.userName = paxText(pax, 'uname') ?? header.userName
  header.groupName = paxText(pax, 'gname') ?? header.groupName
  header.mtimeNs = paxTimeNs(pax, 'mtime') ?? header.mtimeNs
  const atimeNs = paxTimeNs(pax, 'atime')
  const ctimeNs = paxTimeNs(pax, 'ctime')
  if (atimeNs !== undefined) header.atimeNs = atimeNs
  if (ctimeNs !== undefined) header.ctimeNs = ctimeNs
  header.xattrs = pax.xattrs
}
