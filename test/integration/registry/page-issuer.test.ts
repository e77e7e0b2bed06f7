/** The web page of a registry whose users an outside issuer knows: signing in there, and seeing what it allows. */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import {
  pageRequestHeader,
  type PageRepositories,
  type PageRepository,
  type PageStatus,
} from '../../../src/spec/registry-page.ts'
import { issuerService, startTokenIssuer, type TokenIssuer } from '../../fixtures/token-issuer.ts'
import { imageManifest, pushBlob, pushManifest, startTestRegistry } from '../../fixtures/test-registry.ts'

const own = { [pageRequestHeader]: '1', 'Content-Type': 'application/json' }
const many = Array.from({ length: 70 }, (_, number) => `many/r${number}`)
let issuer: TokenIssuer

before(async () => {
  issuer = await startTokenIssuer()
  for (const name of ['alice', 'bob']) issuer.users.set(name, `${name}-pass`)
  for (const repository of ['team/app', 'team/secret', 'late/app', ...many]) {
    issuer.rights.set(`alice ${repository}`, ['pull', 'push', 'delete'])
  }
  issuer.rights.set('bob team/app', ['pull'])
})
after(() => issuer[Symbol.asyncDispose]())

async function startRegistry(more: object = {}) {
  const outside = { ...issuer.settings, signIn: true, ...more }
  return await startTestRegistry({ tokens: { service: issuerService, outside } })
}

async function fill(url: string, repository: string): Promise<void> {
  const token = await issuer.token('alice', `repository:${repository}:pull,push`)
  const headers = { Authorization: `Bearer ${token}` }
  const config = await pushBlob(url, repository, '{}', headers)
  const text = imageManifest(config, [])
  const { status, body } = await pushManifest(url, { repository, reference: 'v1' }, text, headers)
  assert.equal(status, 201, body)
}

type Answers = {
  status: PageStatus
  repositories: PageRepositories
  repository: PageRepository
  manifest: unknown
}

/** A visitor of the page with a cookie of its own. */
class Visitor {
  readonly #url: string
  cookie = ''

  constructor(url: string) {
    this.#url = url
  }

  async signIn(name: string, password: string): Promise<number> {
    const { status, headers } = await this.post('sign-in', { name, password })
    this.cookie = (headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
    return status
  }

  async post(path: string, body: unknown) {
    const headers = { ...own, Cookie: this.cookie }
    const answer = await fetch(`${this.#url}/console/api/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers,
    })
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  }

  async get<Path extends keyof Answers>(
    path: Path,
    query = '',
  ): Promise<{ status: number; body: Answers[Path] }> {
    const url = `${this.#url}/console/api/${path}${query}`
    const answer = await fetch(url, { headers: { Cookie: this.cookie } })
    return { status: answer.status, body: (await answer.json()) as Answers[Path] }
  }

  async names(): Promise<string[]> {
    return (await this.get('repositories')).body.repositories.map(({ name }) => name)
  }
}

test('people sign in with what the issuer knows, and see and do what it allows', async () => {
  await using r = await startRegistry()
  for (const repository of ['team/app', 'team/secret']) await fill(r.url, repository)
  const [alice, bob, nobody] = [new Visitor(r.url), new Visitor(r.url), new Visitor(r.url)]
  assert.equal((await nobody.get('status')).body.signIn, 'password')
  assert.deepEqual(await nobody.names(), [])
  assert.equal(await bob.signIn('bob', 'wrong'), 401)
  assert.equal(bob.cookie, '')
  assert.equal(await bob.signIn('bob', 'bob-pass'), 200)
  assert.equal(await alice.signIn('alice', 'alice-pass'), 200)
  assert.equal((await bob.get('status')).body.user, 'bob')
  assert.deepEqual(await alice.names(), ['team/app', 'team/secret'])
  assert.deepEqual(await bob.names(), ['team/app'])
  assert.equal((await bob.get('manifest', '?repository=team/secret&reference=v1')).status, 404)
  const { body: app } = await bob.get('repository', '?repository=team/app')
  assert.deepEqual([app.mayDescribe, app.mayDelete], [false, false])
  const deletion = { repository: 'team/app', tags: ['v1'] }
  assert.equal((await bob.post('delete', deletion)).status, 403)
  assert.equal((await alice.post('delete', deletion)).status, 200)
  // What came after somebody has signed in is asked for then.
  await fill(r.url, 'late/app')
  assert.deepEqual(await alice.names(), ['late/app', 'team/app', 'team/secret'])
  assert.deepEqual(await bob.names(), ['team/app'])
  await alice.post('sign-out', {})
  assert.deepEqual(await alice.names(), [])
})

test('the cookie tells nobody the password, and is good in this process alone', async () => {
  await using r = await startRegistry()
  await using other = await startRegistry()
  await fill(r.url, 'team/app')
  await fill(other.url, 'team/app')
  const alice = new Visitor(r.url)
  await alice.signIn('alice', 'alice-pass')
  const [name, value = ''] = alice.cookie.split('=')
  assert.doesNotMatch(Buffer.from(value, 'base64url').toString('latin1'), /alice/)
  const visitor = new Visitor(other.url)
  visitor.cookie = `wharf-registry-${other.registry.address.port}=${value}`
  assert.deepEqual(await visitor.names(), [])
  alice.cookie = `${name}=${value.startsWith('A') ? 'B' : 'A'}${value.slice(1)}`
  assert.deepEqual(await alice.names(), [])
})

test('the issuer is asked for many repositories at a time, and not again for each request', async () => {
  await using r = await startRegistry()
  for (const repository of many) await fill(r.url, repository)
  const alice = new Visitor(r.url)
  issuer.asked.length = 0
  await alice.signIn('alice', 'alice-pass')
  const lists = await Promise.all(Array.from({ length: 5 }, () => alice.names()))
  for (const names of lists) assert.deepEqual(names, many.toSorted())
  assert.equal(issuer.asked.flat().length, many.length)
  assert.ok(issuer.asked.length < 6)
})

test('a password that has changed, and an issuer that is away, lying or far', async () => {
  await using r = await startRegistry()
  await fill(r.url, 'team/app')
  const bob = new Visitor(r.url)
  await bob.signIn('bob', 'bob-pass')
  assert.deepEqual(await bob.names(), ['team/app'])
  // A reload forgets what the issuer said.
  await r.registry.reload(r.registry.config)
  issuer.users.set('bob', 'another')
  assert.deepEqual(await bob.names(), [])
  issuer.users.set('bob', 'bob-pass')
  const replies: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(500).end(),
    (response) => response.end('{"token":"a.b.c"}'),
    (response) => response.end('nonsense'),
    (response) => response.destroy(),
    (response) => response.writeHead(302, { Location: issuer.settings.realm }).end(),
  ]
  try {
    for (const reply of replies) {
      issuer.answer = reply
      assert.equal(await new Visitor(r.url).signIn('bob', 'bob-pass'), 503)
    }
  } finally {
    issuer.answer = undefined
  }
  assert.equal(await bob.signIn('bob', 'bob-pass'), 200)
})

test('nobody is asked for a password that the registry is not told to pass on', async () => {
  await using r = await startRegistry({ signIn: false })
  const visitor = new Visitor(r.url)
  assert.equal((await visitor.get('status')).body.signIn, 'elsewhere')
  issuer.asked.length = 0
  assert.equal(await visitor.signIn('alice', 'alice-pass'), 401)
  assert.deepEqual(issuer.asked, [])
})

test('a token for the catalog names repositories, and opens none of them', async () => {
  await using r = await startRegistry()
  await fill(r.url, 'team/secret')
  issuer.rights.set('bob catalog', ['*'])
  const headers = { Authorization: `Bearer ${await issuer.token('bob', 'registry:catalog:*')}` }
  const catalog = await fetch(`${r.url}/v2/_catalog`, { headers })
  assert.deepEqual(await catalog.json(), { repositories: ['team/secret'] })
  for (const path of [
    'v2/team/secret/tags/list',
    'console/api/manifest?repository=team/secret&reference=v1',
  ]) {
    const { status } = await fetch(`${r.url}/${path}`, { headers })
    assert.ok(status === 401 || status === 404, `${path}: ${status}`)
  }
})
