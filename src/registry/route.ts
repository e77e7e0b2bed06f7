/** Which endpoint a path is. Repository names have slashes, so paths are read from their ends. */
import { RegistryError } from './errors.ts'
import { checkRepositoryName } from './names.ts'

/** An endpoint with what its path names. */
export type Route =
  | { kind: 'base' | 'catalog' | 'v1Ping' | 'v1Search' | 'token' | 'health' | 'ready' | 'metrics' }
  | { kind: 'admin' | 'page' | 'pageApi'; rest: string }
  | { kind: 'manifest'; repository: string; reference: string }
  | { kind: 'blob' | 'referrers'; repository: string; digest: string }
  | { kind: 'uploads' | 'tags'; repository: string }
  | { kind: 'upload'; repository: string; id: string }

/** All kinds of endpoints. */
export type RouteKind = Route['kind']

const fixed: Record<string, Route> = {
  '/': { kind: 'page', rest: '' },
  '/v2/': { kind: 'base' },
  '/v2': { kind: 'base' },
  '/v2/_catalog': { kind: 'catalog' },
  '/v1/_ping': { kind: 'v1Ping' },
  '/v1/search': { kind: 'v1Search' },
  '/token': { kind: 'token' },
  '/healthz': { kind: 'health' },
  '/readyz': { kind: 'ready' },
  '/metrics': { kind: 'metrics' },
}

/** Endpoints that are named by what follows a prefix. */
const prefixes = [
  ['/_wharf/', 'admin'],
  ['/console/assets/', 'page'],
  ['/console/api/', 'pageApi'],
] as const

/** Splits a request target. Throws NAME_INVALID for a broken escape. */
export function splitTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf('?')
  const raw = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? '' : target.slice(mark + 1)
  if (!raw.includes('%')) return { path: raw, query }
  try {
    return { path: decodeURIComponent(raw), query }
  } catch (cause) {
    throw new RegistryError('NAME_INVALID', { message: 'invalid escape in path', cause })
  }
}

/** The endpoint at a path; undefined where there is none. Throws NAME_INVALID. */
export function findRoute(path: string): Route | undefined {
  const known = fixed[path]
  if (known !== undefined) return known
  if (!path.startsWith('/v2/')) {
    const [prefix, kind] = prefixes.find(([prefix]) => path.startsWith(prefix)) ?? []
    return kind === undefined ? undefined : { kind, rest: path.slice(prefix.length) }
  }
  const segments = path.slice('/v2/'.length).split('/')
  const last = segments.at(-1) ?? ''
  const before = segments.at(-2)
  const repository = (parts: number) => checkRepositoryName(segments.slice(0, -parts).join('/'))
  if (segments.length > 2) {
    if (before === 'manifests') return { kind: 'manifest', repository: repository(2), reference: last }
    if (before === 'tags' && last === 'list') return { kind: 'tags', repository: repository(2) }
    if (before === 'referrers') return { kind: 'referrers', repository: repository(2), digest: last }
    if (before === 'blobs' && last === 'uploads') return { kind: 'uploads', repository: repository(2) }
    if (before === 'blobs') return { kind: 'blob', repository: repository(2), digest: last }
  }
  if (segments.length > 3 && before === 'uploads' && segments.at(-3) === 'blobs') {
    if (last === '') return { kind: 'uploads', repository: repository(3) }
    return { kind: 'upload', repository: repository(3), id: last }
  }
  return undefined
}
