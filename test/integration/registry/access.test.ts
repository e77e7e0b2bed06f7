/** Users, rules, tokens, TLS, limits and read-only mode, over real HTTP. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { hash } from 'bcryptjs'
import { checkConfig } from '../../../src/registry/config.ts'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
} from '../../fixtures/test-registry.ts'

const run = promisify(execFile)
let directory = ''
let htpasswd = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wharf-registry-access-'))
  htpasswd = join(directory, 'htpasswd')
  const line = async (name: string) => `${name}:${await hash(`${name}-password`, 4)}\n`
  await writeFile(htpasswd, (await line('alice')) + (await line('bob')) + (await line('root')))
})
after(() => rm(directory, { recursive: true, force: true }))

const basic = (name: string, password = `${name}-password`) => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const rules = [
  { repositories: ['team/**'], users: ['alice'], actions: ['pull', 'push', 'delete'] },
  { repositories: ['team/**'], groups: ['readers'], actions: ['pull'] },
  { repositories: ['public/*'], anonymous: true, actions: ['pull'] },
  { repositories: ['**'], users: ['root'], actions: ['pull', 'push', 'delete'] },
]
const users = () => ({ htpasswd, groups: { readers: ['bob'] }, admins: ['root'] })

async function status(url: string, init: RequestInit = {}): Promise<number> {
  const answer = await fetch(url, init)
  await answer.arrayBuffer()
  return answer.status
}

async function json<T>(url: string, init: RequestInit = {}): Promise<T> {
  return (await (await fetch(url, init)).json()) as T
}

describe('basic', () => {
  test('rules decide for user, group and nobody; listings show only what may be pulled', async () => {
    await using r = await startTestRegistry({ users: users(), rules })
    const blob = await pushBlob(r.url, 'team/app', 'x', basic('alice'))
    await pushBlob(r.url, 'public/app', 'y', basic('root'))
    await pushBlob(r.url, 'secret/app', 'z', basic('root'))
    const blobUrl = `${r.url}/v2/team/app/blobs/${blob}`
    assert.equal(await status(blobUrl, { headers: basic('bob') }), 200)
    assert.equal(await status(blobUrl, { headers: basic('bob', 'wrong') }), 401)
    assert.equal(await status(blobUrl, { headers: basic('stranger') }), 401)
    assert.equal(await status(blobUrl), 401)
    const denied = await fetch(`${r.url}/v2/team/app/blobs/uploads/`, {
      method: 'POST',
      headers: basic('bob'),
    })
    assert.equal(denied.status, 403)
    const body = (await denied.json()) as { errors: { code: string }[] }
    assert.equal(body.errors[0]!.code, 'DENIED')
    assert.equal(await status(blobUrl, { method: 'DELETE', headers: basic('bob') }), 403)
    assert.equal(await status(`${r.url}/v2/public/app/blobs/${digestOf('y')}`), 200)
    // What is not there and what may not be seen look alike.
    assert.equal(await status(`${r.url}/v2/secret/app/tags/list`, { headers: basic('bob') }), 403)
    assert.equal(await status(`${r.url}/v2/secret/none/tags/list`, { headers: basic('bob') }), 403)
    const catalog = async (headers = {}) =>
      (await json<{ repositories: string[] }>(`${r.url}/v2/_catalog?n=1`, { headers })).repositories
    assert.deepEqual(await catalog(), ['public/app'])
    assert.deepEqual(await catalog(basic('bob')), ['public/app'])
    const found = await json<{ results: { name: string }[] }>(`${r.url}/v1/search?q=app`, {
      headers: basic('bob'),
    })
    assert.deepEqual(found.results.map(({ name }) => name).sort(), ['public/app', 'team/app'])
    assert.equal(await status(`${r.url}/v2/`), 401)
    assert.equal(await status(`${r.url}/v2/`, { headers: basic('bob') }), 200)
  })

  test('stars come from users who may pull, count once, and survive the loss of the index', async () => {
    const data = await mkdtemp(join(tmpdir(), 'wharf-registry-stars-'))
    try {
      const settings = { users: users(), rules }
      {
        await using r = await startTestRegistry(settings, { data })
        await pushBlob(r.url, 'team/app', 'x', basic('alice'))
        await pushBlob(r.url, 'public/app', 'y', basic('root'))
        const star = (name: string, repository: string, method = 'PUT') =>
          status(`${r.url}/_wharf/stars/${repository}`, { method, headers: name === '' ? {} : basic(name) })
        assert.equal(await star('', 'public/app'), 401)
        assert.equal(await star('root', 'no/such'), 404)
        for (const user of ['alice', 'bob', 'bob', 'root']) assert.equal(await star(user, 'team/app'), 204)
        assert.equal(await star('root', 'team/app', 'DELETE'), 204)
        assert.equal(await star('alice', 'secret/app'), 403)
        await fetch(`${r.url}/_wharf/repositories/public/app`, {
          method: 'PATCH',
          body: '{"description":"app for all","automated":true}',
          headers: basic('root'),
        })
        const card = await json<object>(`${r.url}/_wharf/repositories/team/app`, { headers: basic('bob') })
        const unmarked = { description: '', official: false, automated: false }
        assert.deepEqual(card, { name: 'team/app', ...unmarked, stars: 2, starred: true })
      }
      await rm(join(data, 'wharf'), { recursive: true })
      await using r = await startTestRegistry(settings, { data })
      type Found = { results: { name: string; star_count: number; description: string }[] }
      const { results } = await json<Found>(`${r.url}/v1/search?q=app`, { headers: basic('alice') })
      assert.deepEqual(
        results.map(({ name, star_count }) => [name, star_count]),
        [
          ['team/app', 2],
          ['public/app', 0],
        ],
      )
      assert.equal(results[1]?.description, 'app for all')
    } finally {
      await rm(data, { recursive: true, force: true })
    }
  })

  test('a mount needs the right to pull from where the blob is', async () => {
    await using r = await startTestRegistry({ users: users(), rules })
    const secret = await pushBlob(r.url, 'secret/app', 'hidden bytes', basic('root'))
    for (const query of [`mount=${secret}&from=secret/app`, `mount=${secret}`]) {
      const url = `${r.url}/v2/team/app/blobs/uploads/?${query}`
      assert.equal(await status(url, { method: 'POST', headers: basic('alice') }), 202, query)
      assert.equal(await status(url, { method: 'POST', headers: basic('root') }), 201, query)
      await status(`${r.url}/v2/team/app/blobs/${secret}`, { method: 'DELETE', headers: basic('root') })
    }
  })

  test('metrics and collection are for administrators, health is for everybody', async () => {
    await using r = await startTestRegistry({ users: users(), rules })
    assert.equal(await status(`${r.url}/metrics`), 401)
    assert.equal(await status(`${r.url}/metrics`, { headers: basic('alice') }), 403)
    assert.equal(await status(`${r.url}/metrics`, { headers: basic('root') }), 200)
    const collect = { method: 'POST' }
    assert.equal(await status(`${r.url}/_wharf/collect`, { ...collect, headers: basic('alice') }), 403)
    assert.equal(await status(`${r.url}/_wharf/collect`, { ...collect, headers: basic('root') }), 200)
    assert.equal(await status(`${r.url}/healthz`), 200)
    assert.equal(await status(`${r.url}/readyz`), 200)
  })
})

describe('tokens', () => {
  const settings = () => ({ users: users(), rules, tokens: { service: 'test' } })
  const issue = (url: string, scope: string, headers = {}) =>
    json<{ token: string }>(`${url}/token?service=test&scope=${scope}`, { headers })
  const bearer = ({ token }: { token: string }) => ({ Authorization: `Bearer ${token}` })

  test('a challenge leads to a token that does what it says and no more', async () => {
    await using r = await startTestRegistry(settings())
    const uploads = `${r.url}/v2/team/app/blobs/uploads/`
    const challenge = await fetch(uploads, { method: 'POST' })
    assert.equal(challenge.status, 401)
    assert.equal(
      challenge.headers.get('www-authenticate'),
      `Bearer realm="${r.url}/token",service="test",scope="repository:team/app:pull,push"`,
    )
    const push = bearer(await issue(r.url, 'repository:team/app:pull,push', basic('alice')))
    const blob = await pushBlob(r.url, 'team/app', 'x', push)
    const blobUrl = `${r.url}/v2/team/app/blobs/${blob}`
    assert.equal(await status(blobUrl, { headers: push }), 200)
    const lacking = await fetch(`${r.url}/v2/team/other/tags/list`, { headers: push })
    assert.equal(lacking.status, 401)
    assert.match(lacking.headers.get('www-authenticate')!, /error="insufficient_scope"/)
    assert.equal(await status(blobUrl, { method: 'DELETE', headers: push }), 401)
    // Asking for more than the rules allow gives what they allow.
    const reader = bearer(await issue(r.url, 'repository:team/app:pull,push,delete', basic('bob')))
    assert.equal(await status(blobUrl, { headers: reader }), 200)
    assert.equal(await status(uploads, { method: 'POST', headers: reader }), 401)
    const anonymous = bearer(await issue(r.url, 'repository:public/app:pull'))
    assert.equal(await status(`${r.url}/v2/`, { headers: anonymous }), 200)
    assert.equal(await status(`${r.url}/v2/public/app/tags/list`, { headers: anonymous }), 404)
    const form = new URLSearchParams({
      grant_type: 'password',
      username: 'alice',
      password: 'alice-password',
      scope: 'repository:team/app:pull',
    })
    const oauth = await json<{ access_token: string }>(`${r.url}/token`, { method: 'POST', body: form })
    assert.equal(await status(blobUrl, { headers: bearer({ token: oauth.access_token }) }), 200)
  })

  test('forged, changed and foreign tokens are refused', async () => {
    await using r = await startTestRegistry(settings())
    const { token } = await issue(r.url, 'repository:team/app:pull', basic('alice'))
    const [head = '', body = '', signature = ''] = token.split('.')
    const payload = JSON.parse(Buffer.from(body, 'base64url').toString()) as object
    const changed = Buffer.from(JSON.stringify({ ...payload, sub: 'root' })).toString('base64url')
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const foreign = sign('sha256', Buffer.from(`${head}.${body}`), {
      key: privateKey,
      dsaEncoding: 'ieee-p1363',
    }).toString('base64url')
    const all = [
      `${head}.${changed}.${signature}`,
      `${none}.${body}.`,
      `${head}.${body}.${foreign}`,
      'x',
      'a.b.c',
    ]
    for (const bad of all)
      assert.equal(await status(`${r.url}/v2/`, { headers: bearer({ token: bad }) }), 401, bad)
    assert.equal(await status(`${r.url}/v2/`, { headers: bearer({ token }) }), 200)
    assert.equal(await status(`${r.url}/token?service=test`, { headers: basic('alice', 'wrong') }), 401)
  })
})

describe('configuration', () => {
  test('users and rules are read again; tokens stay good; what cannot be read changes nothing', async () => {
    await using r = await startTestRegistry({ users: users(), rules, tokens: { service: 'test' } })
    const { token } = await json<{ token: string }>(`${r.url}/token?scope=repository:team/app:pull`, {
      headers: basic('alice'),
    })
    const more = join(directory, 'htpasswd.more')
    await writeFile(more, `dave:${await hash('dave-password', 4)}\n`)
    const base = { addr: '127.0.0.1:0', data: r.data }
    assert.equal(await status(`${r.url}/v2/`, { headers: basic('dave') }), 401)
    await r.registry.reload(checkConfig({ ...base, users: { htpasswd: more }, tokens: { service: 'test' } }))
    assert.equal(await status(`${r.url}/v2/`, { headers: basic('dave') }), 200)
    assert.equal(await status(`${r.url}/v2/`, { headers: basic('alice') }), 401)
    assert.equal(await status(`${r.url}/v2/`, { headers: { Authorization: `Bearer ${token}` } }), 200)
    const broken = checkConfig({ ...base, users: { htpasswd: '/does/not/exist' } })
    await assert.rejects(r.registry.reload(broken), /cannot read users/)
    assert.equal(await status(`${r.url}/v2/`, { headers: basic('dave') }), 200)
  })

  test('TLS with client certificates, and a new certificate for new connections', async () => {
    const make = async (name: string) => {
      const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)]
      const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
      const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1']
      await run('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate])
      return { key, certificate }
    }
    const [first, second, client] = [await make('first'), await make('second'), await make('client')]
    await using r = await startTestRegistry({ tls: { ...first, clientCa: client.certificate } })
    const get = async (server: { certificate: string }, withClient: boolean) => {
      const request = httpsRequest({
        host: '127.0.0.1',
        port: r.registry.address.port,
        path: '/v2/',
        agent: false,
        ca: await readFile(server.certificate),
        ...(withClient && { cert: await readFile(client.certificate), key: await readFile(client.key) }),
      })
      request.end()
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.resume()
      return response.statusCode
    }
    assert.equal(await get(first, true), 200)
    await assert.rejects(get(first, false))
    const tls = { ...second, clientCa: client.certificate }
    await r.registry.reload(checkConfig({ addr: '127.0.0.1:0', data: r.data, tls }))
    assert.equal(await get(second, true), 200)
    await assert.rejects(get(first, true))
  })

  test('read-only serves on; deletion can be off; rates and quotas hold', async () => {
    await using r = await startTestRegistry({ delete: false, limits: { namespaces: { small: 10 } } })
    const blob = await pushBlob(r.url, 'a', 'x')
    assert.equal(await status(`${r.url}/v2/a/blobs/${blob}`, { method: 'DELETE' }), 405)
    await pushBlob(r.url, 'small/a', '12345678')
    await assert.rejects(pushBlob(r.url, 'small/b', 'abcdefgh'), /quota/)
    const reload = (more: object) =>
      r.registry.reload(checkConfig({ addr: '127.0.0.1:0', data: r.data, ...more }))
    await reload({ readOnly: true })
    assert.equal(await status(`${r.url}/v2/a/blobs/${blob}`), 200)
    assert.equal(await status(`${r.url}/v2/a/blobs/uploads/`, { method: 'POST' }), 405)
    const pushed = await pushManifest(r.url, { repository: 'a', reference: 'x' }, imageManifest(blob, []))
    assert.equal(pushed.status, 405)
    await reload({ limits: { requestsPerSecond: 1 } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${r.url}/v2/`)))
    const refused = answers.filter((answer) => answer.status === 429)
    assert.ok(refused.length >= 10)
    assert.ok(Number(refused[0]!.headers.get('retry-after')) >= 1)
  })
})
