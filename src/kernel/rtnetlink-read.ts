/** Readings of links, addresses and routes: what `rtnetlink.ts` changes. */
import { attributeString, parseAttributes, type NetlinkMessage, type NetlinkSocket } from './netlink.ts'
import type { LinkAddress, LinkTarget, Route } from './rtnetlink.ts'

const getLink = 18
const getAddress = 22
const getRoute = 26
const familyInet = 2
const familyInet6 = 10
const linkUp = 1
const ifla = { address: 1, name: 3, mtu: 4, master: 10, linkinfo: 18, stats64: 23 } as const
const infoKind = 1

/** A link as the kernel reports it. Counters are those of struct rtnl_link_stats64. */
export type Link = {
  index: number
  name: string
  up: boolean
  /** Address, 6 bytes for Ethernet. */
  address: Buffer
  mtu: number
  master: number
  /** `bridge`, `veth` ...; empty for physical links. */
  kind: string
  counters: LinkCounters
}

/** Bytes and packets since the link was made. */
export type LinkCounters = {
  rxPackets: bigint
  txPackets: bigint
  rxBytes: bigint
  txBytes: bigint
  rxErrors: bigint
  txErrors: bigint
  rxDropped: bigint
  txDropped: bigint
}

/** Reads the payload of a link message; undefined for one too short to be any. */
export function parseLink(payload: Buffer): Link | undefined {
  if (payload.length < 16) return undefined
  const attributes = parseAttributes(payload.subarray(16))
  const info = parseAttributes(attributes.get(ifla.linkinfo) ?? Buffer.alloc(0))
  const stats = attributes.get(ifla.stats64) ?? Buffer.alloc(0)
  const counter = (position: number) =>
    stats.length >= position * 8 + 8 ? stats.readBigUInt64LE(position * 8) : 0n
  return {
    index: payload.readInt32LE(4),
    up: (payload.readUInt32LE(8) & linkUp) !== 0,
    name: text(attributes.get(ifla.name)),
    address: Buffer.from(attributes.get(ifla.address) ?? Buffer.alloc(0)),
    mtu: number(attributes.get(ifla.mtu)),
    master: number(attributes.get(ifla.master)),
    kind: text(info.get(infoKind)),
    counters: {
      rxPackets: counter(0),
      txPackets: counter(1),
      rxBytes: counter(2),
      txBytes: counter(3),
      rxErrors: counter(4),
      txErrors: counter(5),
      rxDropped: counter(6),
      txDropped: counter(7),
    },
  }
}

/** All links of the socket's namespace. */
export function listLinks(socket: NetlinkSocket): Link[] {
  const payload = Buffer.alloc(16)
  return socket
    .dump({ type: getLink, flags: 0, payload }, 'list links')
    .map(parseLink)
    .filter((link) => link !== undefined)
}

/** The link of that name or index, or undefined. */
export function findLink(socket: NetlinkSocket, target: LinkTarget): Link | undefined {
  const found = socket.query(linkQuery(target), `link ${target}`)
  return found === undefined ? undefined : parseLink(found)
}

/** `findLink` on another thread. Nothing else may use the socket meanwhile. */
export async function findLinkAside(socket: NetlinkSocket, target: LinkTarget): Promise<Link | undefined> {
  const found = await socket.queryAside(linkQuery(target), `link ${target}`)
  return found === undefined ? undefined : parseLink(found)
}

function linkQuery(target: LinkTarget): NetlinkMessage {
  const byName = typeof target === 'string' ? [attributeString(ifla.name, target)] : []
  const header = Buffer.alloc(16)
  if (typeof target === 'number') header.writeInt32LE(target, 4)
  return { type: getLink, flags: 0, payload: Buffer.concat([header, ...byName]) }
}

/** Reads the payload of an address message. */
export function parseAddress(payload: Buffer): LinkAddress | undefined {
  if (payload.length < 8) return undefined
  const attributes = parseAttributes(payload.subarray(8))
  const address = attributes.get(2) ?? attributes.get(1)
  if (address === undefined || (address.length !== 4 && address.length !== 16)) return undefined
  return {
    index: payload.readUInt32LE(4),
    prefixLength: payload.readUInt8(1),
    address: Buffer.from(address),
  }
}

/** All addresses of the socket's namespace. */
export function listAddresses(socket: NetlinkSocket): LinkAddress[] {
  return socket
    .dump({ type: getAddress, flags: 0, payload: Buffer.alloc(8) }, 'list addresses')
    .map(parseAddress)
    .filter((address) => address !== undefined)
}

/** Reads the payload of a route message; undefined for other tables than main. */
export function parseRoute(payload: Buffer): Route | undefined {
  if (payload.length < 12) return undefined
  const attributes = parseAttributes(payload.subarray(12))
  const table = attributes.has(15) ? number(attributes.get(15)) : payload.readUInt8(4)
  if (table !== 254) return undefined
  const destination = attributes.get(1)
  const gateway = attributes.get(5)
  return {
    index: number(attributes.get(4)),
    family: payload.readUInt8(0) === familyInet6 ? 6 : 4,
    ...(destination !== undefined && (destination.length === 4 || destination.length === 16)
      ? { destination: { address: Buffer.from(destination), prefixLength: payload.readUInt8(1) } }
      : {}),
    ...(gateway === undefined ? {} : { gateway: Buffer.from(gateway) }),
  }
}

/** The routes of the main table of the socket's namespace, both families. */
export function listRoutes(socket: NetlinkSocket): Route[] {
  return [familyInet, familyInet6].flatMap((family) => {
    const payload = Buffer.alloc(12)
    payload.writeUInt8(family, 0)
    return socket
      .dump({ type: getRoute, flags: 0, payload }, 'list routes')
      .map(parseRoute)
      .filter((route) => route !== undefined)
  })
}

function text(data: Buffer | undefined): string {
  return data === undefined ? '' : data.toString('utf8').replace(/\0.*$/s, '')
}

function number(data: Buffer | undefined): number {
  return data !== undefined && data.length >= 4 ? data.readUInt32LE(0) : 0
}
