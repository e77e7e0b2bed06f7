/** Builds the gate that the configuration describes. */
import type { Clock } from '../lib/clock.ts'
import { EngineError } from '../spec/errors.ts'
import type { RegistryConfig } from './config.ts'
import type { Exchange } from './exchange.ts'
import { Issuer } from './issuer.ts'
import { openGate, type Gate } from './gate.ts'
import { Rules } from './rules.ts'
import type { SharedKeys } from './shared-keys.ts'
import { OutsideTokens } from './outside-tokens.ts'
import { TokenCache, TokenService } from './tokens.ts'
import { UserGate } from './user-gate.ts'
import { Users, type PasswordMatches } from './users.ts'

/** The gate, and the endpoint that issues tokens where the registry does so. */
export type Access = { gate: Gate; issueToken?: (exchange: Exchange) => Promise<void> }

/** What outlives a reload: tokens that were issued stay good. */
export type AccessMemory = {
  tokens: TokenService | undefined
  sharedKeys: SharedKeys | undefined
  matches: PasswordMatches
  /** Names of repositories after one. */
  repositories: (last: string, limit: number) => string[]
}

/** Reads users and certificates, and builds the gate. Throws `invalid`. */
export async function createAccess(
  config: RegistryConfig,
  clock: Clock,
  memory: AccessMemory,
): Promise<Access> {
  const { users, tokens, rules } = config
  if (users === undefined && tokens?.outside === undefined) {
    if (rules.length > 0) throw new EngineError('invalid', 'rules need users, or tokens of an outside issuer')
    if (tokens !== undefined) throw new EngineError('invalid', 'tokens need users, or an outside issuer')
    return { gate: openGate }
  }
  const service = tokens?.service ?? ''
  const userFile = users === undefined ? undefined : new Users(users.htpasswd, clock, memory.matches)
  await userFile?.load()
  const own = tokens !== undefined && tokens.outside === undefined
  if (own) {
    const shared = memory.sharedKeys
    memory.tokens ??= new TokenService({ service, lifetimeMs: tokens.lifetime, clock, shared })
  }
  const outside = tokens?.outside
  const outsideTokens = outside === undefined ? undefined : new OutsideTokens({ ...outside, service, clock })
  await outsideTokens?.load()
  const gate = new UserGate({
    users: userFile,
    rules: new Rules({ rules, groups: users?.groups ?? {} }),
    realm: (users?.realm ?? 'Wharf registry').replace(/["\\\r\n]/g, ''),
    tokens: own ? memory.tokens : undefined,
    outside:
      outside === undefined || outsideTokens === undefined
        ? undefined
        : { tokens: outsideTokens, realm: outside.realm },
    issuer:
      outside?.signIn === true && outsideTokens !== undefined
        ? new Issuer({
            realm: outside.realm,
            service,
            tokens: outsideTokens,
            clock,
            repositories: memory.repositories,
          })
        : undefined,
    service,
    cache: new TokenCache(clock),
    externalUrl: config.externalUrl,
    // Where everybody may do everything, that includes this.
    isAdmin: (name) => users?.admins.includes(name) === true || rules.length === 0,
  })
  return { gate, ...(own ? { issueToken: (exchange: Exchange) => gate.issueToken(exchange) } : {}) }
}
