/** The gate of a registry with users: Basic and Bearer proofs, challenges, and the endpoint that issues tokens. */
import type { IncomingMessage } from 'node:http'
import { RegistryError } from './errors.ts'
import type { Action, Caller, Exchange } from './exchange.ts'
import type { Gate, IssuerSignIn, Need, PasswordSignIn } from './gate.ts'
import { schemeOfRequest } from './handling.ts'
import type { Issuer } from './issuer.ts'
import { isRepositoryName } from './names.ts'
import { allActions, type Rules } from './rules.ts'
import type { OutsideTokens } from './outside-tokens.ts'
import type { Grant, TokenCache, TokenService } from './tokens.ts'
import { parseBasic, type Users } from './users.ts'

/** What the gate is made of; without tokens it speaks Basic alone. */
export type UserGateOptions = {
  users: Users | undefined
  rules: Rules
  realm: string
  tokens: TokenService | undefined
  outside: { tokens: OutsideTokens; realm: string } | undefined
  /** Where people may sign in on the page with the name and password that the issuer knows. */
  issuer: Issuer | undefined
  service: string
  cache: TokenCache
  externalUrl: string
  isAdmin: (user: string) => boolean
}

const nobody = ''
const mostScopes = 100
const mostFormBytes = 64 * 1024

/** See the file's head. */
export class UserGate implements Gate {
  readonly #options: UserGateOptions
  // Callers whose proof was a token: they may be lacking a scope rather than the right.
  readonly #bearers = new WeakSet<Caller>()
  readonly signIn: PasswordSignIn | IssuerSignIn | 'elsewhere'

  constructor(options: UserGateOptions) {
    this.#options = options
    const { users, issuer } = options
    if (users !== undefined) {
      this.signIn = {
        check: (name, password) => this.#isRight({ name, password }),
        secretOf: (name) => users.hashOf(name),
        caller: (name) => this.#caller(name),
      }
    } else if (issuer === undefined) this.signIn = 'elsewhere'
    else {
      this.signIn = {
        callerOf: async (proof) => {
          const access = await issuer.access(proof)
          return access === undefined ? undefined : this.#tokenCaller(access.subject, access.grants)
        },
      }
    }
  }

  async identify(request: IncomingMessage): Promise<Caller> {
    const header = request.headers.authorization ?? ''
    if (header === '') return this.#caller(nobody)
    const bearer = /^bearer\s+(\S+)\s*$/i.exec(header)?.[1]
    if (bearer !== undefined) return await this.#bearer(request, bearer)
    const basic = parseBasic(header)
    if (basic !== undefined && (await this.#isRight(basic))) return this.#caller(basic.name)
    throw this.#challenge(request, undefined)
  }

  isSignedIn(caller: Caller): boolean {
    return caller.name !== nobody || this.#bearers.has(caller)
  }

  checkCatalog(request: IncomingMessage, caller: Caller): void {
    // Only the issuer knows what somebody may see, and is asked for a scope of its own.
    if (this.#options.outside === undefined || this.isSignedIn(caller)) return
    throw this.#challenge(request, { scope: 'registry:catalog:*', detail: undefined })
  }

  refusal(request: IncomingMessage, caller: Caller, need: Need | undefined): RegistryError {
    if (caller.name === nobody || this.#bearers.has(caller)) {
      const error = this.#bearers.has(caller) ? 'insufficient_scope' : undefined
      return this.#challenge(request, need === undefined ? undefined : wantedOf(need), error)
    }
    return new RegistryError('DENIED', { detail: detailOf(need) })
  }

  /** `GET /token` (Basic) and `POST /token` (OAuth 2, password). */
  async issueToken(exchange: Exchange): Promise<void> {
    const { tokens } = this.#options
    if (tokens === undefined)
      throw new RegistryError('UNSUPPORTED', { message: 'page not found', status: 404 })
    const { user, scopes } = await this.#tokenRequest(exchange)
    if (scopes.length > mostScopes)
      throw new RegistryError('DENIED', { message: 'too many scopes', status: 400 })
    const access = scopes.flatMap((scope) => this.#grant(user, scope))
    const issued = await tokens.issue(user, access)
    exchange.json(issued, { 'Cache-Control': 'no-store' })
  }

  async #tokenRequest(exchange: Exchange): Promise<{ user: string; scopes: string[] }> {
    const { request } = exchange
    if (request.method === 'GET') {
      const header = exchange.header('authorization')
      const basic = parseBasic(header)
      if (header !== '' && (basic === undefined || !(await this.#isRight(basic)))) throw this.#wrong()
      const scopes = exchange.query.getAll('scope').flatMap((scope) => scope.split(' '))
      return { user: basic?.name ?? nobody, scopes: scopes.filter((scope) => scope !== '') }
    }
    if (request.method !== 'POST') throw new RegistryError('UNSUPPORTED', { headers: { Allow: 'GET, POST' } })
    const body = await exchange.body(mostFormBytes, () => new RegistryError('SIZE_INVALID', { status: 413 }))
    const form = new URLSearchParams(body.toString())
    if (form.get('grant_type') !== 'password') {
      throw new RegistryError('UNSUPPORTED', { message: 'unsupported grant_type', status: 400 })
    }
    const proof = { name: form.get('username') ?? '', password: form.get('password') ?? '' }
    if (!(await this.#isRight(proof))) throw this.#wrong()
    return { user: proof.name, scopes: (form.get('scope') ?? '').split(' ').filter((scope) => scope !== '') }
  }

  #grant(user: string, scope: string): Grant[] {
    const match = /^([a-z]+)(?:\([a-z]+\))?:([^:]+):([a-z*,]+)$/.exec(scope)
    const [, type = '', name = '', wanted = ''] = match ?? []
    if (type !== 'repository' || !isRepositoryName(name)) return []
    const asked = wanted.split(',')
    const actions = allActions.filter(
      (action) =>
        (asked.includes(action) || asked.includes('*')) && this.#options.rules.allows(user, action, name),
    )
    return actions.length === 0 ? [] : [{ type, name, actions }]
  }

  async #isRight({ name, password }: { name: string; password: string }): Promise<boolean> {
    return (
      name !== nobody &&
      this.#options.users !== undefined &&
      (await this.#options.users.check(name, password))
    )
  }

  async #bearer(request: IncomingMessage, token: string): Promise<Caller> {
    const { cache, tokens, outside } = this.#options
    const verify = async (text: string) =>
      (await tokens?.verify(text)) ?? (await outside?.tokens.verify(text)) ?? undefined
    const verified = await cache.get(token, verify)
    if (verified === undefined) throw this.#challenge(request, undefined, 'invalid_token')
    const caller = this.#tokenCaller(verified.subject, verified.access)
    this.#bearers.add(caller)
    return caller
  }

  #tokenCaller(subject: string, access: readonly Grant[]): Caller {
    const { outside, rules } = this.#options
    const grants = (action: Action, repository: string) =>
      access.some(
        ({ type, name, actions }) =>
          type === 'repository' && name === repository && (actions.includes(action) || actions.includes('*')),
      )
    return {
      name: subject,
      may: grants,
      isAdmin: false,
      // A listing shows what the user may pull; of tokens that others issue the rules say nothing.
      sees: (repository) =>
        grants('pull', repository) || (outside === undefined && rules.allows(subject, 'pull', repository)),
      seesCatalog:
        outside !== undefined &&
        access.some(
          ({ type, name, actions }) => type === 'registry' && name === 'catalog' && actions.includes('*'),
        ),
    }
  }

  #caller(name: string): Caller {
    const { rules } = this.#options
    const may = (action: Action, repository: string) => rules.allows(name, action, repository)
    const isAdmin = name !== nobody && this.#options.isAdmin(name)
    return { name, may, isAdmin, sees: (repository) => may('pull', repository) }
  }

  #wrong(): RegistryError {
    return new RegistryError('UNAUTHORIZED', {
      message: 'incorrect username or password',
      headers: { 'WWW-Authenticate': `Basic realm="${this.#options.realm}"` },
    })
  }

  #challenge(request: IncomingMessage, wanted: Wanted | undefined, error?: string): RegistryError {
    const { tokens, outside, realm, service } = this.#options
    if (tokens === undefined && outside === undefined) {
      return new RegistryError('UNAUTHORIZED', {
        detail: wanted?.detail,
        headers: { 'WWW-Authenticate': `Basic realm="${realm}"` },
      })
    }
    const parts = [`realm="${outside?.realm ?? this.#tokenUrl(request)}"`, `service="${service}"`]
    if (wanted !== undefined) parts.push(`scope="${wanted.scope}"`)
    if (error !== undefined) parts.push(`error="${error}"`)
    return new RegistryError('UNAUTHORIZED', {
      detail: wanted?.detail,
      headers: { 'WWW-Authenticate': `Bearer ${parts.join(',')}` },
    })
  }

  #tokenUrl(request: IncomingMessage): string {
    const { externalUrl } = this.#options
    if (externalUrl !== '') return `${externalUrl.replace(/\/$/, '')}/token`
    // What the client sent must not end up in the header's syntax.
    const host = (request.headers.host ?? '').replace(/[^A-Za-z0-9.:[\]_-]/g, '')
    return `${schemeOfRequest(request)}://${host}/token`
  }
}

/** What a challenge asks for. */
type Wanted = { scope: string; detail: unknown }

function wantedOf(need: Need): Wanted {
  return { scope: `repository:${need.repository}:${scopeActions(need.actions)}`, detail: detailOf(need) }
}

// Who pushes also looks whether it is there already, as the reference registry's challenge says.
function scopeActions(actions: readonly Action[]): string {
  return actions.includes('push') ? 'pull,push' : actions.join(',')
}

function detailOf(need: Need | undefined): unknown {
  return need?.actions.map((action) => ({ Type: 'repository', Name: need.repository, Action: action }))
}
