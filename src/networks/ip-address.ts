/** IP addresses and prefixes as plain values: parsing, printing and arithmetic for both families. */

/** An address: its family and its number. */
export type IpAddress = { family: 4 | 6; value: bigint }

/** A subnet. `address` may have host bits until `masked`. */
export type IpPrefix = { address: IpAddress; length: number }

/** Bits of an address of the family. */
export function addressBits(family: 4 | 6): number {
  return family === 4 ? 32 : 128
}

/** Reads an address; undefined for anything else. Zones (`%eth0`) and leading zeros are refused. */
export function parseIp(text: string): IpAddress | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): IpAddress | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    value = (value << 8n) | BigInt(part)
  }
  return { family: 4, value }
}

function parseIpv6(text: string): IpAddress | undefined {
  let source = text
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (tail !== null) {
    const v4 = parseIpv4(tail[2] ?? '')
    if (v4 === undefined) return undefined
    source = `${tail[1]}${(v4.value >> 16n).toString(16)}:${(v4.value & 0xffffn).toString(16)}`
  }
  const halves = source.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')))
  const [front = [], back = []] = groups
  const count = front.length + back.length
  if (halves.length === 1 ? count !== 8 : count > 7) return undefined
  const all = [...front, ...Array.from({ length: 8 - count }, () => '0'), ...back]
  let value = 0n
  for (const group of all) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    value = (value << 16n) | BigInt(`0x${group}`)
  }
  return { family: 6, value }
}

/** Prints an address; IPv6 in the short form of RFC 5952. */
export function formatIp(address: IpAddress): string {
  if (address.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => ((address.value >> shift) & 0xffn).toString()).join('.')
  }
  const groups = Array.from({ length: 8 }, (_group, index) =>
    ((address.value >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  )
  const runs = [...groups.join(' ').matchAll(/(?<=^| )0( 0)+(?= |$)/g)].map((match) => match[0])
  const longest = runs.toSorted((a, b) => b.length - a.length)[0]
  if (longest === undefined) return groups.join(':')
  const zeros = longest.split(' ').length
  const start = groups.findIndex(
    (_group, index) =>
      groups.slice(index, index + zeros).every((group) => group === '0') && index + zeros <= 8,
  )
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + zeros).join(':')}`
}

/** Reads `address/length`; undefined for anything else. */
export function parsePrefix(text: string): IpPrefix | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text)
  const address = parseIp(match?.[1] ?? '')
  if (match === null || address === undefined) return undefined
  const length = Number(match[2])
  return length > addressBits(address.family) ? undefined : { address, length }
}

/** Prints a prefix. */
export function formatPrefix(prefix: IpPrefix): string {
  return `${formatIp(prefix.address)}/${prefix.length}`
}

/** The prefix without host bits. */
export function masked(prefix: IpPrefix): IpPrefix {
  const { family, value } = prefix.address
  return { address: { family, value: value - (value % prefixSize(prefix)) }, length: prefix.length }
}

/** Number of addresses in a prefix. */
export function prefixSize(prefix: IpPrefix): bigint {
  return 1n << BigInt(addressBits(prefix.address.family) - prefix.length)
}

/** The last address of a prefix: IPv4's broadcast address. */
export function lastAddress(prefix: IpPrefix): IpAddress {
  const { address } = masked(prefix)
  return { family: address.family, value: address.value + prefixSize(prefix) - 1n }
}

/** Whether the address lies in the prefix. */
export function contains(prefix: IpPrefix, address: IpAddress): boolean {
  if (prefix.address.family !== address.family) return false
  const first = masked(prefix).address.value
  return address.value >= first && address.value < first + prefixSize(prefix)
}

/** Whether two prefixes share an address. */
export function overlaps(a: IpPrefix, b: IpPrefix): boolean {
  return contains(a, masked(b).address) || contains(b, masked(a).address)
}

/** Whether two prefixes are the same subnet. */
export function samePrefix(a: IpPrefix, b: IpPrefix): boolean {
  return formatPrefix(masked(a)) === formatPrefix(masked(b))
}

/** Bytes in network order, 4 or 16. */
export function ipBytes(address: IpAddress): Buffer {
  const digits = addressBits(address.family) / 4
  return Buffer.from(address.value.toString(16).padStart(digits, '0'), 'hex')
}

/** The address of 4 or 16 bytes in network order. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  return {
    family: bytes.length === 4 ? 4 : 6,
    value: BigInt(`0x${Buffer.from(bytes).toString('hex')}`),
  }
}

/** Whether only the own host has the address (127/8, ::1). */
export function isLoopback(address: IpAddress): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n
}

/** Whether it is 0.0.0.0 or ::. */
export function isUnspecified(address: IpAddress): boolean {
  return address.value === 0n
}

/** Whether it is 169.254/16 or fe80::/10. */
export function isLinkLocal(address: IpAddress): boolean {
  return address.family === 4 ? address.value >> 16n === 0xa9fen : address.value >> 118n === 0x3fan
}

/** Reads a hardware address of six bytes (`02:42:ac:11:00:02`, also with dashes); undefined for anything else. */
export function parseMac(text: string): Buffer | undefined {
  return /^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/.test(text)
    ? Buffer.from(text.replace(/[:-]/g, ''), 'hex')
    : undefined
}

/** Prints a hardware address. */
export function formatMac(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}
