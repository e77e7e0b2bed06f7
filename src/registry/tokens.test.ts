import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { TokenCache, TokenService } from './tokens.ts'

const hourMs = 3_600_000

function fakeClock() {
  const clock = {
    ms: Date.parse('2026-01-01T00:00:00Z'),
    nowMs: () => clock.ms,
    nowNs: () => BigInt(clock.ms) * 1_000_000n,
  }
  return clock
}

const access = [{ type: 'repository', name: 'a/b', actions: ['pull'] }]

test('a token has all claims that the specification names', async () => {
  const clock = fakeClock()
  const service = new TokenService({ service: 'registry.example', lifetimeMs: 300_000, clock })
  const issued = await service.issue('alice', access)
  const { jti, ...claims } = decodeJwt(issued.token)
  const now = clock.ms / 1000
  const who = { iss: 'registry.example', aud: 'registry.example', sub: 'alice' }
  assert.deepEqual(claims, { ...who, exp: now + 300, nbf: now, iat: now, access })
  assert.match(jti ?? '', /^[0-9a-f-]{36}$/)
  const { kid, ...head } = decodeProtectedHeader(issued.token)
  assert.deepEqual(head, { alg: 'ES256', typ: 'JWT' })
  assert.ok(kid !== undefined)
  const { token: _token, access_token: accessToken, ...rest } = issued
  assert.equal(accessToken, issued.token)
  assert.deepEqual(rest, { expires_in: 300, issued_at: '2026-01-01T00:00:00.000Z' })
})

test('the key changes, and tokens of the one before are good until they end', async () => {
  const clock = fakeClock()
  const service = new TokenService({ service: 'x', lifetimeMs: hourMs, clock })
  const first = await service.issue('alice', access)
  clock.ms += 12 * hourMs - 60_000
  const late = await service.issue('alice', access)
  const key = (token: string) => decodeProtectedHeader(token).kid
  assert.equal(key(late.token), key(first.token))
  assert.equal(await service.verify(first.token), undefined)
  clock.ms += 60_000
  const next = await service.issue('alice', access)
  assert.notEqual(key(next.token), key(late.token))
  clock.ms += hourMs - 61_000
  const subject = async (token: string) => (await service.verify(token))?.subject
  assert.equal(await subject(late.token), 'alice')
  assert.equal(await subject(next.token), 'alice')
  clock.ms += 2_000
  assert.equal(await subject(late.token), undefined)
  assert.equal(await subject(next.token), 'alice')
})

test('many who ask for the first token at once get it by one key', async () => {
  const service = new TokenService({ service: 'x', lifetimeMs: hourMs, clock: fakeClock() })
  const issued = await Promise.all(Array.from({ length: 8 }, () => service.issue('alice', access)))
  assert.equal(new Set(issued.map(({ token }) => decodeProtectedHeader(token).kid)).size, 1)
  for (const { token } of issued) assert.equal((await service.verify(token))?.subject, 'alice')
})

test('what was verified is remembered until it ends, and no longer', async () => {
  const clock = fakeClock()
  const service = new TokenService({ service: 'x', lifetimeMs: hourMs, clock })
  const cache = new TokenCache(clock)
  const { token } = await service.issue('alice', access)
  let verified = 0
  const verify = (text: string) => {
    verified += 1
    return service.verify(text)
  }
  for (let round = 0; round < 3; round++) assert.equal((await cache.get(token, verify))?.subject, 'alice')
  assert.equal(verified, 1)
  clock.ms += hourMs
  assert.equal(await cache.get(token, verify), undefined)
  assert.equal(verified, 2)
})
