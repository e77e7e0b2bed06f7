/**
 * Endpoints of the registry's own, below `/_wharf/`: collection and its preview, deletion and description of a
 * repository.
 */
import { z } from 'zod'
import type { App } from './app.ts'
import type { CollectOptions, CollectResult } from './collect.ts'
import { RegistryError } from './errors.ts'
import type { Exchange } from './exchange.ts'
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
const cardSchema = z.strictObject({
  description: z.string().max(1000).optional(),
  official: z.boolean().optional(),
  automated: z.boolean().optional(),
})

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
  if (rest.startsWith('repositories/')) {
    await repository(parts, exchange, checkRepositoryName(rest.slice('repositories/'.length)))
    return
  }
  throw new RegistryError('UNSUPPORTED', { message: 'page not found', status: 404 })
}

async function repository(parts: AdminParts, exchange: Exchange, name: string): Promise<void> {
  const { app } = parts
  const { method } = exchange.request
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
    throw new RegistryError('UNSUPPORTED', { headers: { Allow: 'DELETE, PATCH' } })
  }
  may(parts, exchange, { action: 'push', name })
  checkWritable(app)
  const body = await exchange.body(mostBytes, () => new RegistryError('SIZE_INVALID', { status: 413 }))
  const card = parseCard(body)
  // Marks of trust are not for those who push.
  if (card.official !== undefined || card.automated !== undefined) checkAdmin(parts, exchange)
  const changed = await app.index.commit(() => app.index.setCard(name, card))
  if (!changed) throw new RegistryError('NAME_UNKNOWN', { detail: { name } })
  exchange.empty(204)
}

function parseCard(body: Buffer): z.infer<typeof cardSchema> {
  try {
    return cardSchema.parse(JSON.parse(body.toString()))
  } catch (cause) {
    throw new RegistryError('UNSUPPORTED', { message: 'not a description', status: 400, cause })
  }
}

function may(
  { gate }: AdminParts,
  exchange: Exchange,
  { action, name }: { action: 'push' | 'delete'; name: string },
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
