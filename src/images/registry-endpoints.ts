/**
 * Where a registry is reached: its mirrors first (the Hub's), then itself over HTTPS, and where that is allowed
 * without checking certificates and over plain HTTP. Loopback addresses are always allowed, as Docker does.
 */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { EngineError } from '../spec/errors.ts'

/** What the daemon's configuration says of registries. */
export type RegistrySettings = {
  /** Addresses tried before the Hub. */
  mirrors: readonly string[]
  /** Names, names with port, and networks in CIDR notation. */
  insecure: readonly string[]
  maxDownloads: number
  maxUploads: number
  maxAttempts: number
  proxies: { http: string; https: string; none: string }
  /** Directories with a directory of certificates for each `HOST:PORT`. */
  certificateDirectories: readonly string[]
}

/** One address of a registry. */
export type Endpoint = {
  base: URL
  /** False where certificates are not checked. */
  verify: boolean
  isMirror: boolean
}

/** The domain of the Hub in references. */
export const hubDomain = 'docker.io'
const hubHost = 'registry-1.docker.io'

/** Splits a canonical repository into the registry's domain and the name there. */
export function splitRepository(repository: string): { domain: string; path: string } {
  const slash = repository.indexOf('/')
  return { domain: repository.slice(0, slash), path: repository.slice(slash + 1) }
}

/** The addresses of a registry in the order in which they are tried. */
export async function endpointsOf(domain: string, settings: RegistrySettings): Promise<Endpoint[]> {
  if (domain !== hubDomain) return registryEndpoints(domain, settings)
  const endpoints: Endpoint[] = []
  for (const mirror of settings.mirrors) {
    const base = mirrorUrl(mirror)
    const verify = !(await isInsecure(base.host, settings.insecure))
    endpoints.push({ base, verify, isMirror: true })
  }
  return [...endpoints, { base: new URL(`https://${hubHost}`), verify: true, isMirror: false }]
}

async function registryEndpoints(domain: string, settings: RegistrySettings): Promise<Endpoint[]> {
  const insecure = await isInsecure(domain, settings.insecure)
  const secure = { base: new URL(`https://${domain}`), verify: !insecure, isMirror: false }
  if (!insecure) return [secure]
  return [secure, { base: new URL(`http://${domain}`), verify: false, isMirror: false }]
}

function mirrorUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new EngineError('invalid', `invalid mirror: unsupported scheme in ${JSON.stringify(text)}`)
  }
  return url
}

/** Whether a registry may be talked to without checked certificates. */
export async function isInsecure(domain: string, insecure: readonly string[]): Promise<boolean> {
  const host = hostOf(domain)
  if (insecure.includes(domain) || insecure.includes(host)) return true
  const networks = new BlockList()
  networks.addSubnet('127.0.0.0', 8, 'ipv4')
  networks.addSubnet('::1', 128, 'ipv6')
  for (const entry of insecure) addNetwork(networks, entry)
  if (isIP(host) !== 0) return networks.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4')
  // A name that cannot be found fails where it is connected to.
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.some(({ address, family }) => networks.check(address, family === 6 ? 'ipv6' : 'ipv4'))
}

function addNetwork(networks: BlockList, entry: string): void {
  const match = /^([^/]+)\/([0-9]{1,3})$/.exec(entry)
  const address = match?.[1] ?? ''
  const version = isIP(address)
  const prefix = Number(match?.[2])
  if (version === 0 || prefix > (version === 6 ? 128 : 32)) return
  networks.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4')
}

function hostOf(domain: string): string {
  return domain.replace(/:[0-9]+$/, '').replace(/^\[(.*)\]$/, '$1')
}
