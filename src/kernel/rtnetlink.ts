/**
 * Links, addresses, routes and neighbours. Functions named after a change return the message for it, so that a
 * caller can send several in one go through `NetlinkSocket.request`; `rtnetlink-read.ts` reads. Addresses are 4 or 16 bytes, as on the wire.
 */
import {
  attribute,
  attributeString,
  attributeU8,
  attributeU32,
  nested,
  type NetlinkMessage,
} from './netlink.ts'

const newLink = 16
const deleteLinkType = 17
const setLinkType = 19
const newAddress = 20
const deleteAddressType = 21
const newRoute = 24
const deleteRouteType = 25

const flagExclusive = 0x200
const flagCreate = 0x400
const flagReplace = 0x100

const familyInet = 2
const familyInet6 = 10
const familyBridge = 7
const linkUp = 1

const ifla = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  protinfo: 12,
  linkinfo: 18,
  netnsFd: 28,
} as const
const infoKind = 1
const infoData = 2
const vethPeer = 1
const macvlanModeAttribute = 1
const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const
const brportHairpin = 4
const brportIsolated = 33

/** What may be set on a link, new or present. */
export type LinkSettings = {
  up?: boolean
  /** Index of the bridge to join; 0 leaves it. */
  master?: number
  /** Hardware address, 6 bytes. */
  address?: Buffer
  mtu?: number
  rename?: string
  /** Moves the link into the namespace of this open file. */
  namespaceFd?: number
}

/** A link by its index, or by its name where the index is not known. */
export type LinkTarget = number | string

function linkHeader(index: number, settings: LinkSettings): Buffer {
  const header = Buffer.alloc(16)
  header.writeInt32LE(index, 4)
  if (settings.up !== undefined) {
    header.writeUInt32LE(settings.up ? linkUp : 0, 8)
    header.writeUInt32LE(linkUp, 12)
  }
  return header
}

function linkAttributes(settings: LinkSettings): Buffer[] {
  const attributes: Buffer[] = []
  if (settings.address !== undefined) attributes.push(attribute(ifla.address, settings.address))
  if (settings.mtu !== undefined && settings.mtu > 0) attributes.push(attributeU32(ifla.mtu, settings.mtu))
  if (settings.master !== undefined) attributes.push(attributeU32(ifla.master, settings.master))
  if (settings.rename !== undefined) attributes.push(attributeString(ifla.name, settings.rename))
  if (settings.namespaceFd !== undefined) attributes.push(attributeU32(ifla.netnsFd, settings.namespaceFd))
  return attributes
}

function create(name: string, settings: LinkSettings, kind: string, ...data: Buffer[]): NetlinkMessage {
  const info = [attributeString(infoKind, kind)]
  if (data.length > 0) info.push(nested(infoData, ...data))
  return {
    type: newLink,
    flags: flagCreate | flagExclusive,
    payload: Buffer.concat([
      linkHeader(0, settings),
      attributeString(ifla.name, name),
      ...linkAttributes(settings),
      nested(ifla.linkinfo, ...info),
    ]),
  }
}

/** A new bridge. */
export function createBridge(name: string, settings: LinkSettings): NetlinkMessage {
  return create(name, settings, 'bridge')
}

/** A new dummy link: up, connected to nothing. */
export function createDummy(name: string, settings: LinkSettings): NetlinkMessage {
  return create(name, settings, 'dummy')
}

/** A new pair of virtual Ethernet links, `peer` in another namespace if it names one. */
export function createVeth(
  name: string,
  settings: LinkSettings,
  peer: LinkSettings & { name: string },
): NetlinkMessage {
  const peerInfo = Buffer.concat([
    linkHeader(0, peer),
    attributeString(ifla.name, peer.name),
    ...linkAttributes(peer),
  ])
  return create(name, settings, 'veth', attribute(vethPeer, peerInfo))
}

/** Kinds of a macvlan link. */
export type MacvlanMode = keyof typeof macvlanModes

/** A new macvlan link on top of link `parent`. */
export function createMacvlan(
  name: string,
  settings: LinkSettings,
  parent: number,
  mode: MacvlanMode,
): NetlinkMessage {
  const message = create(name, settings, 'macvlan', attributeU32(macvlanModeAttribute, macvlanModes[mode]))
  return { ...message, payload: Buffer.concat([message.payload, attributeU32(ifla.link, parent)]) }
}

/** How an ipvlan link treats packets: as a switch would, or as a router, `l3s` with the host's firewall. */
export type IpvlanMode = 'l2' | 'l3' | 'l3s'

/** Whom an ipvlan link reaches among those on the same parent. */
export type IpvlanFlag = 'bridge' | 'private' | 'vepa'

/** A new ipvlan link on top of link `parent`; mode 0 is l2, 1 is l3, 2 is l3s. */
export function createIpvlan(
  name: string,
  settings: LinkSettings,
  parent: number,
  { mode, flag }: { mode: IpvlanMode; flag: IpvlanFlag },
): NetlinkMessage {
  const [modeData, flagData] = [Buffer.alloc(2), Buffer.alloc(2)]
  modeData.writeUInt16LE({ l2: 0, l3: 1, l3s: 2 }[mode])
  flagData.writeUInt16LE({ bridge: 0, private: 1, vepa: 2 }[flag])
  const data = Buffer.concat([attribute(1, modeData), attribute(2, flagData)])
  const message = create(name, settings, 'ipvlan', data)
  return { ...message, payload: Buffer.concat([message.payload, attributeU32(ifla.link, parent)]) }
}

/** A new 802.1q link on top of link `parent`. */
export function createVlan(name: string, settings: LinkSettings, parent: number, id: number): NetlinkMessage {
  const idData = Buffer.alloc(2)
  idData.writeUInt16LE(id)
  const message = create(name, settings, 'vlan', attribute(1, idData))
  return { ...message, payload: Buffer.concat([message.payload, attributeU32(ifla.link, parent)]) }
}

/** Changes a link. */
export function setLink(target: LinkTarget, settings: LinkSettings): NetlinkMessage {
  const byName = typeof target === 'string' ? [attributeString(ifla.name, target)] : []
  return {
    type: byName.length > 0 ? newLink : setLinkType,
    flags: 0,
    payload: Buffer.concat([
      linkHeader(typeof target === 'number' ? target : 0, settings),
      ...byName,
      ...linkAttributes(settings),
    ]),
  }
}

/** Settings of a bridge's port. */
export type PortSettings = {
  /** It does not talk with other isolated ports. */
  isolated?: boolean
  /** A frame may leave through the port it came in by. */
  hairpin?: boolean
}

/** Changes a link's settings as a bridge port. */
export function setBridgePort(index: number, settings: PortSettings): NetlinkMessage {
  const header = linkHeader(index, {})
  header.writeUInt8(familyBridge, 0)
  const attributes: Buffer[] = []
  if (settings.hairpin !== undefined) attributes.push(attributeU8(brportHairpin, settings.hairpin ? 1 : 0))
  if (settings.isolated !== undefined) attributes.push(attributeU8(brportIsolated, settings.isolated ? 1 : 0))
  return {
    type: setLinkType,
    flags: 0,
    payload: Buffer.concat([header, nested(ifla.protinfo, ...attributes)]),
  }
}

/** Deletes a link. */
export function deleteLink(target: LinkTarget): NetlinkMessage {
  const byName = typeof target === 'string' ? [attributeString(ifla.name, target)] : []
  return {
    type: deleteLinkType,
    flags: 0,
    payload: Buffer.concat([linkHeader(typeof target === 'number' ? target : 0, {}), ...byName]),
  }
}

/** An address of a link. */
export type LinkAddress = { index: number; address: Buffer; prefixLength: number; linkLocal?: boolean }

function addressPayload({ index, address, prefixLength, linkLocal = false }: LinkAddress): Buffer {
  const header = Buffer.alloc(8)
  const inet6 = address.length === 16
  header.writeUInt8(inet6 ? familyInet6 : familyInet, 0)
  header.writeUInt8(prefixLength, 1)
  // IFA_F_NODAD: the address is ours by allocation, nobody needs to be asked for a second.
  header.writeUInt8(inet6 ? 0x02 : 0, 2)
  header.writeUInt8(linkLocal ? 253 : 0, 3)
  header.writeUInt32LE(index, 4)
  const attributes = [attribute(2, address), attribute(1, address)]
  if (!inet6 && prefixLength < 31 && !linkLocal)
    attributes.push(attribute(4, broadcast(address, prefixLength)))
  return Buffer.concat([header, ...attributes])
}

function broadcast(address: Buffer, prefixLength: number): Buffer {
  const result = Buffer.alloc(4)
  result.writeUInt32BE((address.readUInt32BE(0) | (0xffffffff >>> prefixLength)) >>> 0)
  return result
}

/** Gives a link an address. */
export function addAddress(address: LinkAddress): NetlinkMessage {
  return { type: newAddress, flags: flagCreate | flagExclusive, payload: addressPayload(address) }
}

/** Takes an address from a link. */
export function deleteAddress(address: LinkAddress): NetlinkMessage {
  return { type: deleteAddressType, flags: 0, payload: addressPayload(address) }
}

/** A route of the main table. Without `destination` the default route of the gateway's family. */
export type Route = {
  index: number
  destination?: { address: Buffer; prefixLength: number }
  gateway?: Buffer
  family?: 4 | 6
  metric?: number
}

function routePayload(route: Route): Buffer {
  const bytes = route.gateway?.length ?? route.destination?.address.length ?? (route.family === 6 ? 16 : 4)
  const header = Buffer.alloc(12)
  header.writeUInt8(bytes === 16 ? familyInet6 : familyInet, 0)
  header.writeUInt8(route.destination?.prefixLength ?? 0, 1)
  header.writeUInt8(254, 4)
  header.writeUInt8(4, 5)
  header.writeUInt8(route.gateway === undefined ? 253 : 0, 6)
  header.writeUInt8(1, 7)
  const attributes = [attributeU32(4, route.index)]
  if (route.destination !== undefined) attributes.push(attribute(1, route.destination.address))
  if (route.gateway !== undefined) attributes.push(attribute(5, route.gateway))
  if (route.metric !== undefined) attributes.push(attributeU32(6, route.metric))
  return Buffer.concat([header, ...attributes])
}

/** Adds a route, or replaces one to the same destination. */
export function replaceRoute(route: Route): NetlinkMessage {
  return { type: newRoute, flags: flagCreate | flagReplace, payload: routePayload(route) }
}

/** Deletes a route, whoever made it. */
export function deleteRoute(route: Route): NetlinkMessage {
  const payload = routePayload(route)
  // Any protocol, any scope.
  payload.writeUInt8(0, 5)
  payload.writeUInt8(255, 6)
  return { type: deleteRouteType, flags: 0, payload }
}
