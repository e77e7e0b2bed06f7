/**
 * Finds the route of a request. A pattern is literal segments and a `{name}` that takes one or more segments, as
 * Docker's routes do: image names have slashes. A second `{name}` takes one segment, whatever it is. Versions are
 * taken off before: see `splitTarget`.
 */
import { EngineError } from '../spec/errors.ts'
import type { Exchange } from './exchange.ts'
import type { HijackedConnection } from './hijack.ts'

/** Answers a request, or throws an EngineError. */
export type Handler = (exchange: Exchange) => Promise<void> | void

/** Answers a request that may take the connection over. */
export type HijackHandler = (exchange: Exchange, connection: HijackedConnection) => Promise<void>

/**
 * One endpoint. `hijack` routes get the connection itself; `direct` does what `handle` does, on a connection that can be
 * lent (`lent-connection.ts`). `oldest` is the minor version from which it answers, where
 * that is before the oldest that the API has as a whole.
 */
export type Route = { method: string; path: string; oldest?: number } & (
  | { handle: Handler; direct?: HijackHandler }
  | { hijack: HijackHandler }
)

/** A route and what stood in the place of its `{name}`. */
export type RouteMatch = { route: Route; name: string }

type Compiled = { route: Route; before: string[]; after: string[]; open: boolean }

/** See the file's head. Routes given first win. */
export class Router {
  // By method and first segment: a handful of candidates each.
  readonly #routes = new Map<string, Compiled[]>()

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const segments = route.path.slice(1).split('/')
      const at = segments.findIndex((segment) => segment.startsWith('{'))
      const open = at >= 0
      const compiled = {
        route,
        open,
        before: open ? segments.slice(0, at) : segments,
        after: open ? segments.slice(at + 1) : [],
      }
      const key = `${route.method} ${segments[0]}`
      const bucket = this.#routes.get(key)
      if (bucket === undefined) this.#routes.set(key, [compiled])
      else bucket.push(compiled)
    }
  }

  /** `path` is decoded, without version, query and doubled slashes. */
  match(method: string, path: string): RouteMatch | undefined {
    const segments = path.slice(1).split('/')
    for (const candidate of this.#routes.get(`${method} ${segments[0]}`) ?? []) {
      if (matches(candidate, segments)) {
        const name = candidate.open
          ? segments.slice(candidate.before.length, segments.length - candidate.after.length).join('/')
          : ''
        return { route: candidate.route, name }
      }
    }
    return undefined
  }
}

function matches({ before, after, open }: Compiled, segments: string[]): boolean {
  const rest = segments.length - before.length - after.length
  if (open ? rest < 1 : rest !== 0) return false
  if (before.some((segment, index) => segments[index] !== segment)) return false
  const tail = segments.length - after.length
  return !after.some((segment, index) => !segment.startsWith('{') && segments[tail + index] !== segment)
}

/** A request target taken apart; `version` is the text after `/v`, undefined for a bare path. */
export type Target = { version: string | undefined; path: string; query: string }

/** Splits a request target, which may be a whole URL (RFC 9112, 3.2.2). Throws `invalid` for a broken escape. */
export function splitTarget(target: string): Target {
  const mark = target.indexOf('?')
  const whole = mark < 0 ? target : target.slice(0, mark)
  const raw = whole.startsWith('/') ? whole : whole.replace(/^https?:\/\/[^/]*/i, '')
  const query = mark < 0 ? '' : target.slice(mark + 1)
  let path = raw.includes('//') ? raw.replace(/\/{2,}/g, '/') : raw
  const version = /^\/v([0-9.]+)(?=\/)/.exec(path)
  if (version !== null) path = path.slice(version[0].length)
  return { version: version?.[1], path: path.includes('%') ? decodePath(path) : path, query }
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path).replace(/\/{2,}/g, '/')
  } catch (cause) {
    throw new EngineError('invalid', `invalid URL escape in path ${JSON.stringify(path)}`, { cause })
  }
}
