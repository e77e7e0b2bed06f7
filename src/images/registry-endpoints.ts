/**
 * Where a registry is reached: its mirrors first, then itself over HTTPS, and where that is allowed
 * without checking certificates and over plain HTTP. Loopback addresses are always allowed, as Docker does.
 */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { locationOf, mirrorAddress, ruleFor, type RegistryRule } from './registry-rules.ts'

/** What the daemon's configuration says of registries. */
export type RegistrySettings = {
  /** Addresses tried before the Hub. */
  mirrors: readonly string[]
  /** What is said of single registries. */
  rules: readonly RegistryRule[]
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
  /** The repository's name there. */
  path: string
}

/** The domain of the Hub in references. */
export const hubDomain = 'docker.io'
const hubHost = 'registry-1.docker.io'

/** Splits a canonical repository into the registry's domain and the name there. */
export function splitRepository(repository: string): { domain: string; path: string } {
  const slash = repository.indexOf('/')
  return { domain: repository.slice(0, slash), path: repository.slice(slash + 1) }
}

/**
 * The addresses of a registry, or of a repository of it, in the order in which they are tried. Throws forbidden for
 * one that the configuration blocks.
 */
export async function endpointsOf(
  domain: string,
  settings: RegistrySettings,
  path = '',
): Promise<Endpoint[]> {
  const rule = ruleFor(path === '' ? domain : `${domain}/${path}`, settings.rules)
  const endpoints: Endpoint[] = []
  const isHub = domain === hubDomain
  for (const mirror of [...(rule?.mirrors ?? []), ...(isHub ? settings.mirrors : [])]) {
    const { base, prefix } = mirrorAddress(mirror)
    const verify = !(await isInsecure(base.host, settings.insecure))
    endpoints.push({ base, verify, isMirror: true, path: `${prefix}${path}` })
  }
  const place = locationOf({ domain, path }, rule)
  return [...endpoints, ...(await registryEndpoints(place, settings))]
}

async function registryEndpoints(
  { domain, path }: { domain: string; path: string },
  settings: RegistrySettings,
): Promise<Endpoint[]> {
  const host = domain === hubDomain ? hubHost : domain
  const insecure = domain !== hubDomain && (await isInsecure(domain, settings.insecure))
  const secure = { base: new URL(`https://${host}`), verify: !insecure, isMirror: false, path }
  if (!insecure) return [secure]
  return [secure, { base: new URL(`http://${host}`), verify: false, isMirror: false, path }]
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
