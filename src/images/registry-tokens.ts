/**
 * Authorization at registries: what a challenge asks for is got from the token server (Docker Registry v2
 * authentication, and OAuth2 where there is an identity token) and kept until shortly before it runs out.
 */
import type { z } from 'zod'
import { EngineError } from '../spec/errors.ts'
import { goInt, goString, goStruct } from '../spec/go-json.ts'
import type { Challenge } from './registry-challenge.ts'

/** Credentials as clients send them in `X-Registry-Auth`. */
export const AuthConfig = goStruct({
  username: goString(),
  password: goString(),
  auth: goString(),
  serveraddress: goString(),
  identitytoken: goString(),
  registrytoken: goString(),
})
/** See the schema of the same name. */
export type AuthConfig = z.infer<typeof AuthConfig>

/** No credentials. */
export const anonymous: AuthConfig = AuthConfig.parse({})

/** Reads the header's base64url JSON; what is none is anonymous, as in Docker. */
export function decodeAuth(header: string | undefined): AuthConfig {
  if (header === undefined || header === '') return anonymous
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(header, 'base64').toString('utf8'))
  } catch (cause) {
    throw new EngineError('invalid', 'invalid X-Registry-Auth header: unexpected end of JSON input', {
      cause,
    })
  }
  const result = AuthConfig.safeParse(parsed)
  if (!result.success) throw new EngineError('invalid', 'invalid X-Registry-Auth header: wrong JSON')
  return withAuth(result.data)
}

/** `auth` is user name and password in one. */
export function withAuth(config: AuthConfig): AuthConfig {
  if (config.auth === '' || config.username !== '') return config
  const text = Buffer.from(config.auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0) return config
  return { ...config, username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') }
}

/** Asks a token server; the answer's status and text. */
export type TokenFetch = (request: {
  method: 'GET' | 'POST'
  url: URL
  headers: Record<string, string>
  body?: Buffer
}) => Promise<{ status: number; challenge: string; body: string }>

const TokenAnswer = goStruct({
  token: goString(),
  access_token: goString(),
  refresh_token: goString(),
  expires_in: goInt(),
})

/** A token that a server gave. */
export type Token = { token: string; refreshToken: string; expiresInSeconds: number }

const minLifeSeconds = 60
const clientId = 'docker'

/** Gets a token for scopes. `fail` makes an error of a refusal. */
export async function fetchToken(
  challenge: Challenge,
  request: { scopes: readonly string[]; auth: AuthConfig; offline?: boolean },
  fetch: TokenFetch,
  fail: (answer: { status: number; challenge: string; body: string }) => EngineError,
): Promise<Token> {
  const realm = URL.parse(challenge.parameters.get('realm') ?? '')
  if (realm === null || !/^https?:$/.test(realm.protocol)) {
    throw new EngineError(
      'internal',
      'unsupported protocol scheme in the realm of the authorization challenge',
    )
  }
  const service = challenge.parameters.get('service') ?? ''
  const { auth, scopes } = request
  const answer =
    auth.identitytoken === ''
      ? await basicToken(realm, service, request, fetch)
      : await fetch({
          method: 'POST',
          url: realm,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: Buffer.from(
            new URLSearchParams({
              scope: scopes.join(' '),
              service,
              client_id: clientId,
              grant_type: 'refresh_token',
              refresh_token: auth.identitytoken,
            }).toString(),
          ),
        })
  if (answer.status >= 300) throw fail(answer)
  const parsed = parseToken(answer.body)
  const token = parsed.access_token === '' ? parsed.token : parsed.access_token
  if (token === '')
    throw new EngineError('internal', 'authorization server did not include a token in the response')
  return {
    token,
    refreshToken: parsed.refresh_token,
    expiresInSeconds: Math.max(minLifeSeconds, parsed.expires_in),
  }
}

async function basicToken(
  realm: URL,
  service: string,
  { scopes, auth, offline }: { scopes: readonly string[]; auth: AuthConfig; offline?: boolean },
  fetch: TokenFetch,
): Promise<{ status: number; challenge: string; body: string }> {
  const url = new URL(realm)
  if (service !== '') url.searchParams.append('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (offline === true) {
    url.searchParams.append('offline_token', 'true')
    url.searchParams.append('client_id', clientId)
  }
  const headers: Record<string, string> = {}
  if (auth.username !== '' && auth.password !== '') {
    url.searchParams.append('account', auth.username)
    headers['authorization'] = basicHeader(auth)
  }
  return fetch({ method: 'GET', url, headers })
}

/** The `Authorization` header of a user name and a password. */
export function basicHeader({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function parseToken(body: string): z.output<typeof TokenAnswer> {
  try {
    return TokenAnswer.parse(JSON.parse(body))
  } catch (cause) {
    throw new EngineError('internal', 'unable to decode token response', { cause })
  }
}
