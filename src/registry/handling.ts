/** What several handlers share. */
import type { IncomingMessage } from 'node:http'
import type { App } from './app.ts'
import { RegistryError } from './errors.ts'
import type { RegistryEvent } from './events.ts'
import type { Exchange } from './exchange.ts'
import type { Reference } from './names.ts'

/** Tells what a request did. */
export function emit(
  app: App,
  exchange: Exchange,
  event: Omit<RegistryEvent, 'actor' | 'method' | 'host' | 'base' | 'address' | 'userAgent'>,
): void {
  const { request, caller } = exchange
  app.events.emit({
    ...event,
    actor: caller.name,
    method: request.method ?? '',
    host: exchange.header('host'),
    base: baseOf(app, exchange),
    address: `${request.socket.remoteAddress ?? ''}:${request.socket.remotePort ?? 0}`,
    userAgent: exchange.header('user-agent'),
  })
}

/** Tells that a tag is gone, or a manifest with all its tags. */
export function emitDeletion(
  app: App,
  exchange: Exchange,
  gone: { repository: string; reference: Reference; tags: readonly string[] },
): void {
  const { repository, reference, tags } = gone
  if ('digest' in reference) {
    emit(app, exchange, { action: 'delete', kind: 'manifest', repository, digest: reference.digest })
  }
  for (const tag of tags) emit(app, exchange, { action: 'delete', kind: 'tag', repository, tag })
}

/** Throws UNSUPPORTED in a registry that does not delete. */
export function checkDelete(app: App): void {
  if (!app.settings().allowDelete) throw new RegistryError('UNSUPPORTED')
}

/** How many entries a listing may have: `n`, or what the registry allows. Throws UNSUPPORTED. */
export function pageSize(app: App, exchange: Exchange): number {
  const text = exchange.query.get('n')
  const { maxPage } = app.settings()
  if (text === null || text === '') return maxPage
  const n = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) {
    throw new RegistryError('UNSUPPORTED', {
      message: 'invalid number of results requested',
      status: 400,
      detail: { n: text.slice(0, 100) },
    })
  }
  return Math.min(n, maxPage)
}

/** A path as clients are told it: whole unless the registry is set to relative ones. */
export function locationOf(app: App, exchange: Exchange, path: string): string {
  const { relativeUrls, externalUrl } = app.settings()
  if (externalUrl === '' && (relativeUrls || exchange.header('host') === '')) return path
  return `${baseOf(app, exchange)}${path}`
}

function baseOf(app: App, exchange: Exchange): string {
  const { externalUrl } = app.settings()
  if (externalUrl !== '') return externalUrl.replace(/\/$/, '')
  return `${schemeOfRequest(exchange.request)}://${exchange.header('host')}`
}

/** The scheme that the client used, as far as can be told. */
export function schemeOfRequest({ headers, socket }: IncomingMessage): 'http' | 'https' {
  const forwarded = headers['x-forwarded-proto']
  if (forwarded === 'https' || forwarded === 'http') return forwarded
  return 'encrypted' in socket ? 'https' : 'http'
}
