/** Keeps the /etc files of sandboxes in step with their networks. */
import { readFileSync } from 'node:fs'
import { rootOwner } from '../lib/id-mapping.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { SandboxRequest } from '../spec/sandbox-types.ts'
import { resolverAddress } from './sandbox-resolver.ts'
import type { EndpointRecord } from './endpoint.ts'
import {
  editHosts,
  etcPaths,
  hostsText,
  ownNames,
  readInPlace,
  writeInPlace,
  type HostsLine,
} from './etc-files.ts'
import { parseIp } from './ip-address.ts'
import {
  directResolvConf,
  embeddedResolvConf,
  hostResolvConf,
  parseResolvConf,
  type ResolvConf,
  type ResolverOverrides,
} from './resolv-conf.ts'
import type { SandboxRecord } from './sandbox-record.ts'
import type { NetworkDaemonSettings } from './settings.ts'

/** What the files are written from, beside the sandbox itself. */
export type EtcContext = {
  settings: NetworkDaemonSettings
  /** What `host-gateway` means; empty when nothing does. */
  hostGateways: string[]
}

/** Lines of the own addresses on a network. */
export function endpointLines(request: SandboxRequest, endpoint: EndpointRecord): HostsLine[] {
  const names = ownNames(request.hostname, request.domainname)
  return [endpoint.address4, endpoint.address6]
    .filter((address) => address !== '' && names !== '')
    .map((address) => ({ address, names }))
}

/** Lines of `--add-host`. Throws invalid for `host-gateway` where there is none. */
function extraHostLines(request: SandboxRequest, context: EtcContext): HostsLine[] {
  return request.extraHosts.flatMap((entry) => {
    const at = entry.indexOf(':')
    const names = entry.slice(0, at)
    const value = entry.slice(at + 1).replace(/^\[(.*)\]$/, '$1')
    if (value !== 'host-gateway') return [{ address: value, names }]
    if (context.hostGateways.length === 0) {
      throw new EngineError('invalid', 'unable to derive the IP value for host-gateway')
    }
    return context.hostGateways.map((address) => ({ address, names }))
  })
}

/** Writes all three files. Own addresses are added as networks are joined. */
export function writeEtcFiles(record: SandboxRecord, context: EtcContext): void {
  const { request } = record
  const paths = etcPaths(request.directory)
  const extra = [...extraHostLines(request, context), ...Object.values(record.linkLines)]
  const own = record.endpoints.flatMap((endpoint) => endpointLines(request, endpoint))
  const hosts =
    record.kind === 'host' ? editHosts(readHostFile('/etc/hosts'), [], extra) : hostsText([...extra, ...own])
  const { ids } = context.settings
  const owner = ids && rootOwner(ids)
  writeInPlace(paths.hosts, hosts, owner)
  writeInPlace(paths.hostname, `${request.hostname}\n`, owner)
  const { text, servers } = resolvConfOf(record, context)
  writeInPlace(paths.resolvConf, text, owner)
  record.resolvConf = text
  record.servers = servers
}

/** Brings resolv.conf up to date, unless the container has changed it. */
export function updateResolvConf(record: SandboxRecord, context: EtcContext): void {
  const { resolvConf } = etcPaths(record.request.directory)
  const { text, servers } = resolvConfOf(record, context)
  record.servers = servers
  if (text === record.resolvConf || readInPlace(resolvConf) !== record.resolvConf) return
  writeInPlace(resolvConf, text)
  record.resolvConf = text
}

/** Takes lines out of a hosts file and adds others; what else stands there stays. */
export function updateHosts(request: SandboxRequest, remove: HostsLine[], add: HostsLine[]): void {
  const { hosts } = etcPaths(request.directory)
  const text = readInPlace(hosts)
  if (text === undefined) return
  writeInPlace(hosts, editHosts(text, remove, add))
}

function resolvConfOf(record: SandboxRecord, context: EtcContext): { text: string; servers: string[] } {
  const { request } = record
  const { settings } = context
  const overrides: ResolverOverrides = {
    servers: request.dns.length > 0 ? request.dns : [...settings.dns],
    search: request.dnsSearch.length > 0 ? request.dnsSearch : [...settings.dnsSearch],
    options: request.dnsOptions.length > 0 ? request.dnsOptions : [...settings.dnsOptions],
  }
  const host = readHostResolvConf()
  if (record.kind === 'host') return { text: hostResolvConf(host, overrides), servers: [] }
  if (record.endpoints.some((endpoint) => endpoint.dnsNames.length > 0)) {
    return embeddedResolvConf(host, overrides, resolverAddress)
  }
  const hasIpv6 = record.endpoints.some((endpoint) => endpoint.address6 !== '')
  return { text: directResolvConf(host, overrides, hasIpv6), servers: [] }
}

/** The host's resolvers: those behind systemd-resolved, where that is the only one named. */
function readHostResolvConf(): ResolvConf {
  const conf = parseResolvConf(readHostFile('/etc/resolv.conf'))
  if (conf.servers.length !== 1 || conf.servers[0] !== '127.0.0.53') return conf
  const behind = parseResolvConf(readHostFile('/run/systemd/resolve/resolv.conf'))
  return behind.servers.length > 0 ? behind : conf
}

function readHostFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  }
}

/** Addresses of the host's resolvers, for subnets to keep away from. */
export function hostResolvers(): string[] {
  return readHostResolvConf().servers.filter((server) => parseIp(server) !== undefined)
}
