/** Tokens that somebody else issues: by certificate, by a chain, by a key set, and everything that is wrong with one. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createPrivateKey } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { pushBlob, startTestRegistry } from '../../fixtures/test-registry.ts'

const run = promisify(execFile)
let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wharf-registry-issuer-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const realm = 'https://issuer.example/token'
const now = () => Math.floor(Date.now() / 1000)
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

type Signer = { alg: 'RS256' | 'ES256'; key: KeyObject; head?: object }

function tokenOf({ alg, key, head = {} }: Signer, claims: object = {}): string {
  const usual = {
    iss: 'issuer',
    aud: 'registry.example',
    sub: 'carol',
    exp: now() + 60,
    nbf: now() - 1,
    iat: now() - 1,
    jti: 'one',
    access: [{ type: 'repository', name: 'a/b', actions: ['pull', 'push'] }],
  }
  const text = `${part({ alg, typ: 'JWT', ...head })}.${part({ ...usual, ...claims })}`
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

const outside = (files: object) => ({
  tokens: { service: 'registry.example', outside: { realm, issuer: 'issuer', ...files } },
})

async function startsUpload(url: string, token: string): Promise<number> {
  const headers = { Authorization: `Bearer ${token}` }
  const answer = await fetch(`${url}/v2/a/b/blobs/uploads/`, { method: 'POST', headers })
  await answer.arrayBuffer()
  return answer.status
}

async function keySet(): Promise<{ path: string; signers: Signer[] }> {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const nameless = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = [
    { ...ec.publicKey.export({ format: 'jwk' }), kid: 'first', use: 'sig', alg: 'ES256' },
    { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'second' },
    { ...nameless.publicKey.export({ format: 'jwk' }) },
    { kty: 'oct', k: 'c2VjcmV0', kid: 'no-such-kind' },
  ]
  const path = join(folder, 'jwks.json')
  await writeFile(path, JSON.stringify({ keys }))
  const signers: Signer[] = [
    { alg: 'ES256', key: ec.privateKey, head: { kid: 'first' } },
    { alg: 'RS256', key: rsa.privateKey, head: { kid: 'second' } },
    { alg: 'ES256', key: nameless.privateKey },
    { alg: 'ES256', key: ec.privateKey, head: { kid: 'unknown' } },
  ]
  return { path, signers }
}

test('keys of a key set verify RS256 and ES256 tokens, named or not', async () => {
  const { path, signers } = await keySet()
  await using r = await startTestRegistry(outside({ jwks: path }))
  for (const signer of signers) assert.equal(await startsUpload(r.url, tokenOf(signer)), 202)
  const [first, second] = signers as [Signer, Signer]
  // A name leads to one key alone.
  assert.equal(await startsUpload(r.url, tokenOf({ ...first, head: { kid: 'second' } })), 401)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  assert.equal(await startsUpload(r.url, tokenOf({ ...first, key: privateKey })), 401)
  // A public key is no secret: a token that is "signed" with it as one must not pass.
  const hmac = `${part({ alg: 'HS256', typ: 'JWT', kid: 'second' })}.${tokenOf(second).split('.')[1]}.AAAA`
  assert.equal(await startsUpload(r.url, hmac), 401)
})

test('every claim counts', async () => {
  const { path, signers } = await keySet()
  await using r = await startTestRegistry(outside({ jwks: path }))
  for (const signer of signers.slice(0, 2)) {
    const ask = (claims: object) => startsUpload(r.url, tokenOf(signer, claims))
    assert.equal(await ask({}), 202)
    assert.equal(await ask({ aud: ['other', 'registry.example'] }), 202)
    const access = (more: object) => [{ type: 'repository', name: 'a/b', actions: ['push'], ...more }]
    for (const claims of [
      { iss: 'other' },
      { iss: undefined },
      { aud: 'other' },
      { aud: undefined },
      { exp: now() - 10 },
      { exp: undefined },
      { nbf: now() + 60 },
      { access: access({ name: 'a/c' }) },
      { access: access({ type: 'registry' }) },
      { access: access({ actions: ['pull'] }) },
      { access: access({ actions: 'push' }) },
      { access: undefined },
      { access: 'all' },
    ]) {
      assert.equal(await ask(claims), 401, JSON.stringify(claims))
    }
  }
})

test('a certificate verifies tokens, and so does one below it that the token carries', async () => {
  const file = (name: string) => join(folder, name)
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const make = async (name: string, more: string[]) => {
    await run(
      'openssl',
      ['req', '-x509', ...ec, '-days', '2', '-subj', `/CN=${name}`].concat(
        ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)],
        more,
      ),
    )
    return createPrivateKey(await readFile(file(`${name}.key`)))
  }
  const rootKey = await make('root', [])
  const below = ['-CA', file('root.pem'), '-CAkey', file('root.key'), '-addext', 'basicConstraints=CA:FALSE']
  const leafKey = await make('leaf', below)
  const strayKey = await make('stray', [])
  const der = async (name: string) =>
    (await readFile(file(`${name}.pem`), 'utf8')).replace(/-----[^-]+-----|\s/g, '')
  await using r = await startTestRegistry(outside({ certificates: file('root.pem') }))
  const ask = (signer: Signer) => startsUpload(r.url, tokenOf(signer))
  assert.equal(await ask({ alg: 'ES256', key: rootKey }), 202)
  assert.equal(await ask({ alg: 'ES256', key: leafKey, head: { x5c: [await der('leaf')] } }), 202)
  assert.equal(await ask({ alg: 'ES256', key: leafKey }), 401)
  assert.equal(await ask({ alg: 'ES256', key: strayKey, head: { x5c: [await der('stray')] } }), 401)
  assert.equal(await ask({ alg: 'ES256', key: strayKey, head: { x5c: [await der('leaf')] } }), 401)
  assert.equal(
    await ask({ alg: 'ES256', key: strayKey, head: { x5c: [await der('stray'), await der('root')] } }),
    401,
  )
})

test('the catalog asks for a scope of its own, and shows what the token tells', async () => {
  const { path, signers } = await keySet()
  await using r = await startTestRegistry(outside({ jwks: path }))
  const signer = signers[0] as Signer
  const repositories = (names: string[]) =>
    names.map((name) => ({ type: 'repository', name, actions: ['pull', 'push'] }))
  const headers = (access: object[]) => ({ Authorization: `Bearer ${tokenOf(signer, { access })}` })
  for (const name of ['a/b', 'a/c']) await pushBlob(r.url, name, 'x', headers(repositories([name])))
  const challenge = await fetch(`${r.url}/v2/_catalog`)
  assert.equal(challenge.status, 401)
  assert.equal(
    challenge.headers.get('www-authenticate'),
    `Bearer realm="${realm}",service="registry.example",scope="registry:catalog:*"`,
  )
  const catalog = async (access: object[]) => {
    const answer = await fetch(`${r.url}/v2/_catalog`, { headers: headers(access) })
    return ((await answer.json()) as { repositories: string[] }).repositories
  }
  assert.deepEqual(await catalog([{ type: 'registry', name: 'catalog', actions: ['*'] }]), ['a/b', 'a/c'])
  assert.deepEqual(await catalog(repositories(['a/c'])), ['a/c'])
  assert.deepEqual(await catalog([]), [])
})

test('files that hold no key are refused at the start', async () => {
  const empty = join(folder, 'empty.json')
  await writeFile(empty, '{"keys":[]}')
  await assert.rejects(startTestRegistry(outside({ jwks: empty })), /no certificate or key/)
  await writeFile(empty, '{')
  await assert.rejects(startTestRegistry(outside({ jwks: empty })), /cannot read keys from/)
  await assert.rejects(startTestRegistry(outside({})), /no certificate or key/)
})
