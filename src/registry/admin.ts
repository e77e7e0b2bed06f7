/**
 * Endpoints of the registry's own, below `/_wharf/`: collection and its preview, deletion and description of a
 * repository, and its stars.
 */
import type { App } from './app.ts'
import { parseCard } from './cards.ts'
import type { CollectOptions, CollectResult } from './collect.ts'
import { RegistryError } from './errors.ts'
import type { Action, Exchange } from './exchange.ts'
import type { Gate } from './gate.ts'
import { checkDelete, emit } from './handling.ts'
import { checkRepositoryName } from './names.ts'

/** What the endpoints need. */
export type AdminParts = {
  app: App
  gate: () => Gate
  collect: (options: Partial<CollectOptions>) => Promise<CollectResult>
}

const mostBytes = 64 * 1024
/** Answers a request below `/_wharf/`. */
export async function handleAdmin(parts: AdminParts, exchange: Exchange, rest: string): Promise<void> {
  const { method = '' } = exchange.request
  if (rest === 'collect' && method === 'POST') {
    checkAdmin(parts, exchange)
    const dryRun = exchange.query.get('dry-run') === '1'
    if (!dryRun) checkWritable(parts.app)
    const untagged = exchange.query.get('untagged')
    exchange.json(
      await parts.collect({ dryRun, ...(untagged === null ? {} : { untagged: untagged === '1' }) }),
    )
    return
  }
  if (rest === 'retention' && method === 'GET') {
    checkAdmin(parts, exchange)
    const { tags } = await parts.collect({ dryRun: true })
    exchange.json({ tags })
    return
  }
  if (rest.startsWith('stars/')) {
    await star(parts, exchange, checkRepositoryName(rest.slice('stars/'.length)))
    return
  }
  if (rest.startsWith('repositories/')) {
    await repository(parts, exchange, checkRepositoryName(rest.slice('repositories/'.length)))
    return
  }
  throw new RegistryError('UNSUPPORTED', { message: 'page not found', status: 404 })
}

async function repository(parts: AdminParts, exchange: Exchange, name: string): Promise<void> {
  const { app } = parts
  const { method } = exchange.request
  if (method === 'GET' || method === 'HEAD') {
    may(parts, exchange, { action: 'pull', name })
    exchange.json(app.cards.card(name, exchange.caller.name))
    return
  }
  if (method === 'DELETE') {
    may(parts, exchange, { action: 'delete', name })
    checkWritable(app)
    checkDelete(app)
    await app.repositories.deleteRepository(name)
    emit(app, exchange, { action: 'delete', kind: 'manifest', repository: name })
    exchange.empty(202)
    return
  }
  if (method !== 'PATCH') {
    throw new RegistryError('UNSUPPORTED', { headers: { Allow: 'DELETE, GET, PATCH' } })
  }
  may(parts, exchange, { action: 'push', name })
  checkWritable(app)
  const body = await exchange.body(mostBytes, () => new RegistryError('SIZE_INVALID', { status: 413 }))
  const card = parseCard(body)
  if (card === undefined) {
    throw new RegistryError('UNSUPPORTED', { message: 'not a description', status: 400 })
  }
  // Marks of trust are not for those who push.
  if (card.official !== undefined || card.automated !== undefined) checkAdmin(parts, exchange)
  await app.cards.change(name, card)
  exchange.empty(204)
}

/** A user's star, given or taken back. */
async function star(parts: AdminParts, exchange: Exchange, name: string): Promise<void> {
  const { app } = parts
  const { method } = exchange.request
  if (method !== 'PUT' && method !== 'DELETE') {
    throw new RegistryError('UNSUPPORTED', { headers: { Allow: 'DELETE, PUT' } })
  }
  may(parts, exchange, { action: 'pull', name })
  const user = exchange.caller.name
  if (user === '') {
    if (!parts.gate().isSignedIn(exchange.caller)) {
      throw parts.gate().refusal(exchange.request, exchange.caller, undefined)
    }
    throw new RegistryError('DENIED', { message: 'stars are given by users, and this registry has none' })
  }
  checkWritable(app)
  await app.cards.star(name, user, method === 'PUT')
  exchange.empty(204)
}

function may(
  { gate }: AdminParts,
  exchange: Exchange,
  { action, name }: { action: Action; name: string },
): void {
  if (exchange.caller.may(action, name)) return
  throw gate().refusal(exchange.request, exchange.caller, { repository: name, actions: [action] })
}

function checkAdmin({ gate }: AdminParts, exchange: Exchange): void {
  if (exchange.caller.isAdmin) return
  throw gate().refusal(exchange.request, exchange.caller, undefined)
}

function checkWritable(app: App): void {
  if (app.settings().readOnly)
    throw new RegistryError('UNSUPPORTED', { message: 'the registry is read-only' })
}
