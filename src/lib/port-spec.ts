/** Port specifications, `[address:][host port:]port[/protocol]` with ranges, in the words of Docker's nat package. */
import { isIP } from 'node:net'
import type { PortBinding } from '../spec/container-config.ts'
import { quoteGo } from './go-quote.ts'

/** Ports to publish, and all ports named. */
export type PublishedPorts = { exposed: Record<string, object>; bindings: Record<string, PortBinding[]> }

type Range = [number, number]

function portNumber(text: string): number {
  const quoted = quoteGo(text)
  if (!/^\d+$/.test(text)) throw new Error(`strconv.ParseUint: parsing ${quoted}: invalid syntax`)
  if (Number(text) > 65_535) throw new Error(`strconv.ParseUint: parsing ${quoted}: value out of range`)
  return Number(text)
}

/** `80` or `80-90`. Throws when it is neither. */
export function parsePortRange(text: string): Range {
  if (text === '') throw new Error('empty string specified for ports')
  const dash = text.indexOf('-')
  if (dash === -1) return [portNumber(text), portNumber(text)]
  const [start, end] = [portNumber(text.slice(0, dash)), portNumber(text.slice(dash + 1))]
  if (end < start) throw new Error(`invalid range specified for port: ${text}`)
  return [start, end]
}

/** Splits `80/udp`; the protocol is tcp where none is named. */
export function splitProtocol(text: string): { port: string; protocol: string } {
  const slash = text.indexOf('/')
  const [port, protocol] = slash === -1 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)]
  if (port === '') return { port: '', protocol: '' }
  return { port, protocol: protocol || 'tcp' }
}

function checkedAddress(ip: string): string {
  if (ip === '') return ''
  if (ip.startsWith('[') && !ip.endsWith(']')) {
    const problem = ip.includes(']') ? 'missing port in address' : "missing ']' in address"
    throw new Error(`invalid IP address ${ip}: address ${ip}:: ${problem}`)
  }
  const address = /^\[(.*)\]$/.exec(ip)?.[1] ?? ip
  if (address !== '' && isIP(address.replace(/%.*$/, '')) === 0) {
    throw new Error(`invalid IP address: ${address}`)
  }
  return address
}

function attempt(text: string, message: string): Range {
  try {
    return parsePortRange(text)
  } catch (error) {
    throw new Error(message, { cause: error })
  }
}

/** Reads one specification. Throws when it is none. */
export function addPortSpec(spec: string, into: PublishedPorts): void {
  const parts = spec.split(':')
  const hostPart = parts.length > 1 ? (parts.at(-2) ?? '') : ''
  const { port, protocol } = splitProtocol(parts.at(-1) ?? '')
  if (port === '') throw new Error(`no port specified: ${spec}<empty>`)
  const lower = protocol.toLowerCase()
  if (!['tcp', 'udp', 'sctp'].includes(lower)) throw new Error(`invalid proto: ${lower}`)
  const HostIp = checkedAddress(parts.slice(0, -2).join(':'))
  const [start, end] = attempt(port, `invalid containerPort: ${port}`)
  const [hostStart, hostEnd] = hostPart === '' ? [0, 0] : attempt(hostPart, `invalid hostPort: ${hostPart}`)
  if (hostPart !== '' && end - start !== hostEnd - hostStart && end !== start) {
    throw new Error(`invalid ranges specified for container and host Ports: ${port} and ${hostPart}`)
  }
  for (let offset = 0; offset <= end - start; offset++) {
    const key = `${start + offset}/${lower}`
    let HostPort = hostPart === '' ? '' : String(hostStart + offset)
    if (start === end && hostStart !== hostEnd) HostPort = `${HostPort}-${hostEnd}`
    into.exposed[key] ??= {}
    ;(into.bindings[key] ??= []).push({ HostIp, HostPort })
  }
}
