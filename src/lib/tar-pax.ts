/** Records of pax extended headers: `length key=value\n`, values as bytes. */
import { decodePath } from './path-bytes.ts'
import { TarError, type SparseRegion } from './tar-format.ts'

/** The records of one extended header. */
export type PaxRecords = {
  values: Map<string, Buffer>
  xattrs: Map<string, Uint8Array>
  /** GNU sparse 0.0 repeats its two keys; here in the order of the archive. */
  sparse00: { key: 'offset' | 'numbytes'; value: Buffer }[]
}

const malformed = () => new TarError('archive/tar: invalid tar header')
const schily = 'SCHILY.xattr.'
const libarchive = 'LIBARCHIVE.xattr.'

/** Parses an extended header's content. Throws a TarError. */
export function parsePax(data: Buffer): PaxRecords {
  const records: PaxRecords = { values: new Map(), xattrs: new Map(), sparse00: [] }
  let at = 0
  while (at < data.length) {
    const space = data.indexOf(0x20, at)
    if (space === -1 || space - at > 20) throw malformed()
    const lengthText = data.toString('latin1', at, space)
    const length = Number(lengthText)
    const end = at + length
    if (!/^[0-9]+$/.test(lengthText) || end > data.length || end < space + 3) throw malformed()
    if (data[end - 1] !== 0x0a) throw malformed()
    const equals = data.indexOf(0x3d, space)
    if (equals === -1 || equals >= end || equals === space + 1) throw malformed()
    addRecord(records, data.subarray(space + 1, equals), data.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

function addRecord(records: PaxRecords, keyBytes: Buffer, value: Buffer): void {
  const key = decodePath(keyBytes)
  if (key.includes('\0')) throw malformed()
  if (key.startsWith(schily)) {
    records.xattrs.set(key.slice(schily.length), Buffer.from(value))
  } else if (key.startsWith(libarchive)) {
    const name = decodeUriName(key.slice(libarchive.length))
    if (!records.xattrs.has(name)) {
      records.xattrs.set(name, Buffer.from(value.toString('latin1'), 'base64'))
    }
  } else if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
    const part = key === 'GNU.sparse.offset' ? 'offset' : 'numbytes'
    records.sparse00.push({ key: part, value: Buffer.from(value) })
  } else {
    records.values.set(key, Buffer.from(value))
  }
}

function decodeUriName(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

/** Text of a record, or undefined where it is absent or empty (which means: as if it were not there). */
export function paxText(records: PaxRecords, key: string): string | undefined {
  const value = records.values.get(key)
  return value === undefined || value.length === 0 ? undefined : decodePath(value)
}

/** A record's whole number, or undefined. Throws a TarError for anything else. */
export function paxNumber(records: PaxRecords, key: string): number | undefined {
  const text = paxText(records, key)
  return text === undefined ? undefined : paxInteger(text)
}

/** A non-negative decimal number within what JavaScript counts exactly. */
function paxInteger(text: string): number {
  const number = Number(text)
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(number)) throw malformed()
  return number
}

/** A record's time in nanoseconds, or undefined. Digits beyond nine are cut. */
export function paxTimeNs(records: PaxRecords, key: string): bigint | undefined {
  const text = paxText(records, key)
  if (text === undefined) return undefined
  const match = /^(-?)([0-9]{1,19})(?:\.([0-9]*))?$/.exec(text)
  if (match === null) throw malformed()
  const fraction = BigInt((match[3] ?? '').slice(0, 9).padEnd(9, '0'))
  const total = BigInt(match[2] ?? '0') * 1_000_000_000n + fraction
  return match[1] === '-' ? -total : total
}

/** The sparse map that the records themselves hold (GNU formats 0.0 and 0.1), or undefined. */
export function paxSparseMap(records: PaxRecords): SparseRegion[] | undefined {
  const map = paxText(records, 'GNU.sparse.map')
  if (map !== undefined) return pairs(map.split(','))
  if (records.sparse00.length === 0) {
    return paxNumber(records, 'GNU.sparse.numblocks') === 0 ? [] : undefined
  }
  const wellFormed = records.sparse00.every(
    ({ key }, index) => key === (index % 2 === 0 ? 'offset' : 'numbytes'),
  )
  if (!wellFormed) throw malformed()
  return pairs(records.sparse00.map(({ value }) => value.toString('latin1')))
}

/** Regions of alternating offsets and lengths. */
export function pairs(numbers: readonly string[]): SparseRegion[] {
  if (numbers.length % 2 !== 0) throw malformed()
  const regions: SparseRegion[] = []
  for (let index = 0; index < numbers.length; index += 2) {
    regions.push({ offset: paxInteger(numbers[index] ?? ''), length: paxInteger(numbers[index + 1] ?? '') })
  }
  return regions
}

/** Checks a sparse map: in order, without overlap, within the file, and as long as what is stored. */
export function checkSparse(regions: readonly SparseRegion[], realSize: number, storedSize: number): void {
  let end = 0
  let total = 0
  for (const { offset, length } of regions) {
    if (offset < end || offset + length > realSize) throw malformed()
    end = offset + length
    total += length
  }
  if (total !== storedSize) throw malformed()
}

/** One record in its exact form. */
export function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length + String(rest.length).length
  if (String(length).length > String(rest.length).length) length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/** Seconds with as many digits as needed, as pax records show times. */
export function formatPaxTime(timeNs: bigint): string {
  const magnitude = timeNs < 0n ? -timeNs : timeNs
  const fraction = (magnitude % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '')
  const seconds = `${timeNs < 0n ? '-' : ''}${magnitude / 1_000_000_000n}`
  return fraction === '' ? seconds : `${seconds}.${fraction}`
}
