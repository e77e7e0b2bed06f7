/** `-p` and `--expose`: port specifications, ranges included. Error texts are those of Docker's nat package. */
import { isIP } from 'node:net'
import type { PortBinding } from '../../spec/container-config.ts'
import { quoteGo } from '../../lib/go-quote.ts'
import { cut } from './csv.ts'

/** Ports to publish, and all ports named. */
export type PublishedPorts = { exposed: Record<string, object>; bindings: Record<string, PortBinding[]> }

function portNumber(text: string): number {
  const quoted = quoteGo(text)
  if (!/^\d+$/.test(text)) throw new Error(`strconv.ParseUint: parsing ${quoted}: invalid syntax`)
  if (Number(text) > 65_535) throw new Error(`strconv.ParseUint: parsing ${quoted}: value out of range`)
  return Number(text)
}

/** `80` or `80-90`. Throws when it is neither. */
export function parsePortRange(text: string): [number, number] {
  if (text === '') throw new Error('empty string specified for ports')
  const [first, last] = cut(text, '-')
  if (last === undefined) return [portNumber(first), portNumber(first)]
  const [start, end] = [portNumber(first), portNumber(last)]
  if (end < start) throw new Error(`invalid range specified for port: ${text}`)
  return [start, end]
}

/** Splits `80/udp`; the protocol is tcp where none is named. */
function splitProtocol(text: string): { port: string; protocol: string } {
  const [port, protocol] = cut(text, '/')
  if (port === '') return { port: '', protocol: '' }
  return { port, protocol: protocol || 'tcp' }
}

function checkedAddress(ip: string): string {
  if (ip === '') return ''
  const address = /^\[(.*)\]$/.exec(ip)?.[1] ?? ip
  if (isIP(address.replace(/%.*$/, '')) === 0) throw new Error(`invalid IP address: ${address}`)
  return address
}

type Range = [number, number]

function attempt(text: string, message: string): Range {
  try {
    return parsePortRange(text)
  } catch (error) {
    throw new Error(message, { cause: error })
  }
}

function publishOne(spec: string, into: PublishedPorts): void {
  const parts = spec.split(':')
  const containerPart = parts.at(-1) ?? ''
  const hostPart = parts.length > 1 ? (parts.at(-2) ?? '') : ''
  const HostIp = checkedAddress(parts.slice(0, -2).join(':'))
  const { port, protocol } = splitProtocol(containerPart)
  if (port === '') throw new Error(`no port specified: ${spec}<empty>`)
  const [start, end] = attempt(port, `invalid containerPort: ${port}`)
  const [hostStart, hostEnd] = hostPart === '' ? [0, 0] : attempt(hostPart, `invalid hostPort: ${hostPart}`)
  if (hostPart !== '' && end - start !== hostEnd - hostStart && end !== start) {
    throw new Error(`invalid ranges specified for container and host Ports: ${port} and ${hostPart}`)
  }
  const lower = protocol.toLowerCase()
  if (!['tcp', 'udp', 'sctp'].includes(lower)) throw new Error(`invalid proto: ${protocol}`)
  for (let offset = 0; offset <= end - start; offset++) {
    const key = `${start + offset}/${lower}`
    let HostPort = hostPart === '' ? '' : String(hostStart + offset)
    if (start === end && hostStart !== hostEnd) HostPort = `${HostPort}-${hostEnd}`
    into.exposed[key] ??= {}
    ;(into.bindings[key] ??= []).push({ HostIp, HostPort })
  }
}

/** `published=8080,target=80,protocol=tcp` in the short notation. */
function standardNotation(spec: string): string {
  if (!spec.includes('=')) return spec
  const parameters: Record<string, string> = { protocol: 'tcp' }
  for (const parameter of spec.split(',')) {
    const [key, value] = parameter.split('=')
    if (key === undefined || value === undefined) {
      throw new Error(`invalid publish opts format (should be name=value but got '${parameter}')`)
    }
    parameters[key] = value
  }
  const { published = '', target = '', protocol = '' } = parameters
  return `${published}:${target}/${protocol}`
}

/** Reads all `-p` and `--expose` values. */
export function parsePorts(publish: readonly string[], expose: readonly string[]): PublishedPorts {
  const ports: PublishedPorts = { exposed: {}, bindings: {} }
  for (const spec of publish.map(standardNotation)) publishOne(spec, ports)
  for (const spec of expose) {
    if (spec.includes(':')) throw new Error(`invalid port format for --expose: ${spec}`)
    const { port, protocol } = splitProtocol(spec)
    let range: Range
    try {
      range = parsePortRange(port)
    } catch (error) {
      const reason = error instanceof Error ? error.message : ''
      throw new Error(`invalid range format for --expose: ${spec}, error: ${reason}`, { cause: error })
    }
    for (let number = range[0]; number <= range[1]; number++) ports.exposed[`${number}/${protocol}`] ??= {}
  }
  return ports
}
