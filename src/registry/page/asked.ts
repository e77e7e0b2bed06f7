/** What requests of the page ask for, read and checked, and whether they may have it. */
import type { z } from 'zod'
import type { App } from '../app.ts'
import { RegistryError } from '../errors.ts'
import type { Action, Exchange } from '../exchange.ts'
import { checkRepositoryName } from '../names.ts'
import type { PageContext } from './page-api.ts'

const mostBodyBytes = 1024 * 1024

/** The body, by its schema. Throws SIZE_INVALID, and UNSUPPORTED for anything else. */
export async function bodyOf<Schema extends z.ZodType>(
  exchange: Exchange,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const bytes = await exchange.body(mostBodyBytes, () => new RegistryError('SIZE_INVALID', { status: 413 }))
  try {
    return schema.parse(JSON.parse(bytes.toString()))
  } catch (cause) {
    throw new RegistryError('UNSUPPORTED', { message: 'not what this request takes', status: 400, cause })
  }
}

/** A whole number of the query between 0 and `most`. */
export function numberOf(
  exchange: Exchange,
  name: string,
  { most, otherwise }: { most: number; otherwise: number },
): number {
  const text = exchange.query.get(name)
  if (text === null) return otherwise
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text))
    throw new RegistryError('UNSUPPORTED', { message: 'not a number', status: 400, detail: { [name]: text } })
  return Math.min(value, most)
}

/** The repository that the query names, with its number, when the caller may see it. Throws NAME_UNKNOWN. */
export function askedRepository(page: PageContext, exchange: Exchange): { name: string; id: number } {
  return visibleRepository(page, exchange, exchange.query.get('repository') ?? '')
}

/** A repository with its number, when the caller may see it. Throws NAME_UNKNOWN, UNAUTHORIZED for nobody. */
export function visibleRepository(
  page: PageContext,
  exchange: Exchange,
  text: string,
): { name: string; id: number } {
  const name = checkRepositoryName(text)
  if (!exchange.caller.sees(name))
    throw refusal(exchange, new RegistryError('NAME_UNKNOWN', { detail: { name } }))
  const id = page.app.index.repositoryId(name)
  if (id === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name } })
  return { name, id }
}

/** Throws unless the caller may. Who is not signed in is asked to do so. */
export function checkMay(exchange: Exchange, action: Action, repository: string): void {
  if (!exchange.caller.may(action, repository)) throw refusal(exchange, new RegistryError('DENIED'))
}

/** Throws unless the caller is an administrator. */
export function checkAdmin(exchange: Exchange): void {
  if (!exchange.caller.isAdmin) throw refusal(exchange, new RegistryError('DENIED'))
}

/** Throws in a registry that takes no changes. */
export function checkWritable(app: App): void {
  if (app.settings().readOnly)
    throw new RegistryError('UNSUPPORTED', { message: 'the registry is read-only' })
}

function refusal({ caller }: Exchange, known: RegistryError): RegistryError {
  return caller.name === '' ? new RegistryError('UNAUTHORIZED') : known
}
