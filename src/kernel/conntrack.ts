/** Connection tracking: forgets datagram flows, which else go on for as long as packets come. */
import { attribute, NetlinkSocket, netlinkProtocols, nested, parseAttributes } from './netlink.ts'

const subsystem = 1 << 8
const getType = subsystem | 1
const deleteType = subsystem | 2
const tupleOriginal = 1
const tupleReply = 2
const tupleIp = 1
const tupleProtocol = 2
const protocolUdp = 17

/** Flows to a published port: `container` is where they are led, or were. */
export type DatagramPort = { family: 4 | 6; hostPort: number; container: Buffer }

/** Addresses and ports of one direction. */
export type Tuple = {
  source: Buffer
  destination: Buffer
  protocol: number
  sourcePort: number
  destinationPort: number
}

/**
 * Forgets the datagram flows whose first packet went to one of the ports. Also a flow that is led nowhere yet
 * goes: its next packet finds the new way. Best effort: without the right to do it nothing happens.
 */
export function flushDatagrams(ports: DatagramPort[]): void {
  try {
    using socket = new NetlinkSocket(netlinkProtocols.netfilter)
    for (const family of [4, 6] as const) {
      const wanted = ports.filter((port) => port.family === family)
      if (wanted.length > 0) flushFamily(socket, family, wanted)
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'EPERM' && code !== 'EPROTONOSUPPORT' && code !== 'EOPNOTSUPP') throw error
  }
}

function header(family: 4 | 6): Buffer {
  return Buffer.from([family === 4 ? 2 : 10, 0, 0, 0])
}

function flushFamily(socket: NetlinkSocket, family: 4 | 6, ports: DatagramPort[]): void {
  const entries = socket.dump({ type: getType, flags: 0, payload: header(family) }, 'list connections')
  for (const entry of entries) {
    const attributes = parseAttributes(entry.subarray(4))
    const original = attributes.get(tupleOriginal)
    const reply = attributes.get(tupleReply)
    if (original === undefined || reply === undefined) continue
    const [there, back] = [parseTuple(original), parseTuple(reply)]
    if (there === undefined || back === undefined || there.protocol !== protocolUdp) continue
    const isOurs = ports.some((port) => port.hostPort === there.destinationPort && leads(there, back, port))
    if (!isOurs) continue
    const payload = Buffer.concat([header(family), nested(tupleOriginal, original)])
    // Gone in the meantime: as good.
    socket.request([{ type: deleteType, flags: 0, payload }], 'forget connection', ['ENOENT'])
  }
}

/** Whether a flow goes to the container, or is not translated at all. */
function leads(there: Tuple, back: Tuple, port: DatagramPort): boolean {
  const isPlain = back.source.equals(there.destination) && back.destination.equals(there.source)
  return isPlain || back.source.equals(port.container)
}

/** Reads a tuple attribute's content; undefined for one that is not whole. */
export function parseTuple(data: Buffer): Tuple | undefined {
  const parts = parseAttributes(data)
  const ip = parseAttributes(parts.get(tupleIp) ?? Buffer.alloc(0))
  const protocol = parseAttributes(parts.get(tupleProtocol) ?? Buffer.alloc(0))
  const source = ip.get(1) ?? ip.get(3)
  const destination = ip.get(2) ?? ip.get(4)
  const number = protocol.get(1)?.[0]
  if (source === undefined || destination === undefined || number === undefined) return undefined
  const port = (type: number) => {
    const bytes = protocol.get(type)
    return bytes === undefined || bytes.length < 2 ? 0 : bytes.readUInt16BE(0)
  }
  return {
    source: Buffer.from(source),
    destination: Buffer.from(destination),
    protocol: number,
    sourcePort: port(2),
    destinationPort: port(3),
  }
}

/** A tuple attribute, as the kernel writes it. */
export function encodeTuple(direction: 'original' | 'reply', tuple: Tuple): Buffer {
  const port = (value: number) => {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16BE(value)
    return bytes
  }
  const [sourceType, destinationType] = tuple.source.length === 4 ? [1, 2] : [3, 4]
  return nested(
    direction === 'original' ? tupleOriginal : tupleReply,
    nested(tupleIp, attribute(sourceType, tuple.source), attribute(destinationType, tuple.destination)),
    nested(
      tupleProtocol,
      attribute(1, Buffer.from([tuple.protocol])),
      attribute(2, port(tuple.sourcePort)),
      attribute(3, port(tuple.destinationPort)),
    ),
  )
}
