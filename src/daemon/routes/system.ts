/** The engine itself: ping, version, info, disk usage, registry login. */
import type { CheckReport } from '../../spec/check-types.ts'
import { EngineError } from '../../spec/errors.ts'
import type { DiskUsage, SystemInfo, SystemVersion } from '../../spec/system-types.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'
import { adaptDiskUsage, adaptInfo } from '../versions.ts'

/** Kinds of objects whose disk usage can be asked for. */
const usageKinds = ['container', 'image', 'volume', 'build-cache'] as const
/** See `usageKinds`. */
export type UsageKind = (typeof usageKinds)[number]

/** What the system routes need. */
export type SystemRoutesDeps = {
  info: () => SystemInfo
  version: () => SystemVersion
  diskUsage: (kinds: ReadonlySet<UsageKind>) => Promise<DiskUsage>
  /** Looks for what is wrong with the state; `repair` puts right what can be. */
  check: (options: { deep: boolean; repair: boolean }, signal: AbortSignal) => Promise<CheckReport>
  /** Logs in to a registry; the answer is an identity token or empty. */
  login: (credentials: unknown, signal: AbortSignal) => Promise<{ status: string; token: string }>
}

/** Routes of the API's "System" area, events aside. */
export function systemRoutes(deps: SystemRoutesDeps): Route[] {
  return [
    { method: 'GET', path: '/_ping', handle: ping },
    // The command lines' first request: they may be about to start something.
    { method: 'HEAD', path: '/_ping', handle: ping },
    {
      method: 'GET',
      path: '/info',
      handle: (x) => x.sendJson(200, adaptInfo(deps.info(), x.version)),
    },
    { method: 'GET', path: '/version', handle: (x) => x.sendJson(200, deps.version()) },
    { method: 'GET', path: '/system/df', handle: (x) => diskUsage(deps, x) },
    {
      method: 'POST',
      path: '/wharf/system/check',
      handle: async (x) => {
        const options = { deep: x.flag('deep'), repair: x.flag('repair') }
        x.sendJson(200, await deps.check(options, x.signal))
      },
    },
    {
      method: 'POST',
      path: '/auth',
      handle: async (x) => {
        const result = await deps.login((await x.jsonValue()) ?? {}, x.signal)
        x.sendJson(200, { Status: result.status, IdentityToken: result.token })
      },
    },
  ]
}

function ping(x: Exchange): void {
  x.response.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate')
  x.response.setHeader('Pragma', 'no-cache')
  // The classic builder's protocol: clients with BuildKit then fall back to it.
  x.response.setHeader('Builder-Version', '1')
  x.response.setHeader('Swarm', 'inactive')
  x.sendText(200, x.request.method === 'HEAD' ? '' : 'OK', 'text/plain; charset=utf-8')
}

async function diskUsage(deps: SystemRoutesDeps, x: Exchange): Promise<void> {
  const asked = x.version < 42 ? [] : x.query.getAll('type')
  const kinds = new Set<UsageKind>(asked.length === 0 ? usageKinds : asked.map(usageKind))
  const verbose = x.version >= 52 && x.text('verbose') !== '' ? parseGoBool(x.text('verbose')) : undefined
  x.sendJson(200, adaptDiskUsage(await deps.diskUsage(kinds), x.version, verbose))
}

function usageKind(text: string): UsageKind {
  const kind = usageKinds.find((known) => known === text)
  if (kind === undefined) throw new EngineError('invalid', `unknown object type: ${text}`)
  return kind
}

function parseGoBool(text: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw new EngineError('invalid', `invalid value for verbose: ${text}`)
}
