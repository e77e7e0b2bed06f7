/** What the registry's web page asks of it: who may see and do what, and that no other site can make them do it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  pageRequestHeader,
  type PageDeletionResult,
  type PageManifest,
  type PageRepositories,
  type PageRepository,
  type PageRetention,
  type PageStatus,
  type PageTagNames,
  type PageTags,
} from '../../../src/spec/registry-page.ts'
import { Pusher, startPageRegistry } from '../../fixtures/page-registry.ts'
import { startTestRegistry, type TestRegistry } from '../../fixtures/test-registry.ts'

let registry: TestRegistry
const own = { [pageRequestHeader]: '1', 'Content-Type': 'application/json' }

before(async () => {
  registry = await startPageRegistry(300)
})
after(() => registry[Symbol.asyncDispose]())

type Answer<T> = { status: number; body: T; headers: Headers }

async function get<T>(path: string, cookie = ''): Promise<Answer<T>> {
  const headers: Record<string, string> = cookie === '' ? {} : { Cookie: cookie }
  return await read(await fetch(`${registry.url}/console/api/${path}`, { headers }))
}

async function post<T>(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const init = { method: 'POST', body: JSON.stringify(body), headers: { ...own, ...headers } }
  return await read(await fetch(`${registry.url}/console/api/${path}`, init))
}

async function read<T>(answer: Response): Promise<Answer<T>> {
  return { status: answer.status, body: (await answer.json()) as T, headers: answer.headers }
}

async function signIn(name: string): Promise<string> {
  const answer = await post('sign-in', { name, password: `${name}-pass` })
  assert.equal(answer.status, 200)
  return (answer.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
}

const namesOf = ({ body }: Answer<PageRepositories>) => body.repositories.map(({ name }) => name)

test('a session is a cookie that scripts and other sites do not get', async () => {
  const answer = await post('sign-in', { name: 'alice', password: 'alice-pass' })
  const [cookie = ''] = answer.headers.getSetCookie()
  assert.match(cookie, /; HttpOnly/)
  assert.match(cookie, /; SameSite=Strict/)
  assert.doesNotMatch(cookie, /alice-pass/)
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal((await get<PageStatus>('status', cookie.split(';')[0])).body.user, 'alice')
})

test('wrong names and passwords get the same answer, and none that makes a browser ask', async () => {
  const wrong = await post('sign-in', { name: 'alice', password: 'nope' })
  const nobody = await post('sign-in', { name: 'nobody', password: 'nope' })
  assert.deepEqual([wrong.status, wrong.body], [401, nobody.body])
  assert.equal(wrong.headers.get('www-authenticate'), null)
  assert.deepEqual(wrong.headers.getSetCookie(), [])
})

test('a changed, foreign or ended session is none', async () => {
  const cookie = await signIn('alice')
  const [name = '', value = ''] = cookie.split('=')
  const [, expires, id, signature] = value.split('.')
  const forged = [Buffer.from('root').toString('base64url'), expires, id, signature].join('.')
  assert.equal((await get<PageStatus>('status', `${name}=${forged}`)).body.user, '')
  assert.equal(
    (await get<PageStatus>('status', `${name}=${value.replace(String(expires), '99999999999999')}`)).body
      .user,
    '',
  )
  assert.equal((await get<PageStatus>('status', `${name}=x`)).body.user, '')
  assert.equal((await get<PageStatus>('status', cookie)).body.user, 'alice')
  const out = await post('sign-out', {}, { Cookie: cookie })
  assert.match(out.headers.getSetCookie()[0] ?? '', /Max-Age=0/)
  assert.equal((await get<PageStatus>('status', cookie)).body.user, '')
})

test('lists show what the caller may pull, and nothing else is there for them', async () => {
  assert.deepEqual(namesOf(await get('repositories')), ['public/hello'])
  const bob = await signIn('bob')
  const seen = namesOf(await get('repositories', bob))
  assert.ok(seen.includes('team/api') && !seen.includes('private/secret'))
  for (const path of ['repository', 'tags', 'tag-names', 'manifest', 'referrers']) {
    const query = '?repository=private/secret&reference=1.0&digest='
    assert.equal((await get(path + query, bob)).status, 404, path)
    // Somebody who is not signed in is told to do so, whether it is there or not.
    assert.equal((await get(path + query)).status, 401, path)
    assert.equal((await get(`${path}?repository=team/none`)).status, 401, path)
  }
})

test('who may not delete, describe or collect is refused, and told beforehand', async () => {
  const bob = { Cookie: await signIn('bob') }
  const shown = (await get<PageRepository>('repository?repository=team/api', bob.Cookie)).body
  assert.deepEqual([shown.mayDelete, shown.mayDescribe], [false, false])
  assert.equal((await post('delete', { repository: 'team/api', tags: ['1.0'] }, bob)).status, 403)
  assert.equal((await post('delete-repositories', { repositories: ['team/api'] }, bob)).status, 403)
  assert.equal((await post('describe', { repository: 'team/api', description: 'x' }, bob)).status, 403)
  assert.equal((await post('collect', { dryRun: true }, bob)).status, 403)
  assert.equal((await post('delete', { repository: 'public/hello', tags: ['1.0'] })).status, 401)
  assert.equal(
    (await get<PageManifest>('manifest?repository=team/api&reference=1.0', bob.Cookie)).status,
    200,
  )
})

test('requests that another site could make are refused', async () => {
  const alice = { Cookie: await signIn('alice') }
  const body = { repository: 'team/api', tags: ['1.0'] }
  const refused: Record<string, string>[] = [
    { ...alice, [pageRequestHeader]: '' },
    { ...alice, 'Content-Type': 'text/plain' },
    { ...alice, 'Sec-Fetch-Site': 'cross-site' },
    { ...alice, 'Sec-Fetch-Site': 'same-site' },
  ]
  for (const headers of refused) assert.equal((await post('delete', body, headers)).status, 403)
  const answer = await fetch(`${registry.url}/console/api/delete`, { method: 'OPTIONS' })
  assert.equal(answer.status, 405)
  // A session is for the page alone: the registry's own endpoints do not know it.
  const direct = await fetch(`${registry.url}/v2/team/api/manifests/1.0`, {
    method: 'DELETE',
    headers: alice,
  })
  assert.equal(direct.status, 401)
})

test('tags come in natural order, page by page, filtered, with size and platform', async () => {
  const cookie = await signIn('bob')
  const page = (query: string) => get<PageTags>(`tags?repository=team/many&${query}`, cookie)
  const names = ({ body }: Answer<PageTags>) => body.tags.map(({ name }) => name)
  const first = await page('limit=3')
  assert.deepEqual([first.body.total, names(first)], [300, ['1.2.99', '1.2.98', '1.2.97']])
  assert.deepEqual(first.body.tags[0]?.platforms, ['linux/amd64'])
  assert.ok((first.body.tags[0]?.sizeBytes ?? 0) > 7000)
  assert.deepEqual(names(await page('order=name&offset=8&limit=4')), ['1.0.8', '1.0.9', '1.0.10', '1.0.11'])
  const filtered = await page('q=2.1&order=name')
  assert.deepEqual([filtered.body.total, names(filtered).slice(0, 2)], [11, ['1.2.1', '1.2.10']])
  assert.deepEqual((await page('offset=300')).body.tags, [])
  assert.equal((await page('order=size')).status, 400)
  assert.equal((await page('offset=-1')).status, 400)
  const all = await get<PageTagNames>('tag-names?repository=team/many&order=name', cookie)
  assert.deepEqual([all.body.names.length, all.body.more], [300, false])
})

test('an index shows its platforms and the size of all it needs, each blob counted once', async () => {
  const cookie = await signIn('bob')
  const { body } = await get<PageTags>('tags?repository=team/web/shop&q=latest', cookie)
  assert.deepEqual(body.tags[0]?.platforms, ['linux/amd64', 'linux/arm64', 'linux/riscv64'])
  const manifest = (await get<PageManifest>('manifest?repository=team/web/shop&reference=latest', cookie))
    .body
  assert.deepEqual(manifest.tags, ['1.10.0', 'latest'])
  const one =
    (await get<PageTags>('tags?repository=team/web/shop&q=1.9.0', cookie)).body.tags[0]?.sizeBytes ?? 0
  assert.ok(manifest.contentBytes > 2.9 * one && manifest.contentBytes < 3.1 * one)
})

test('bulk deletion deletes what is there, and names what is not', async () => {
  const alice = { Cookie: await signIn('alice') }
  const tags = ['1.0.0', '1.0.1', 'none', 'not a tag']
  const { status, body } = await post<PageDeletionResult>('delete', { repository: 'team/many', tags }, alice)
  assert.deepEqual([status, body.deleted], [200, 2])
  assert.deepEqual(
    body.failed.map(({ reference }) => reference),
    ['none', 'not a tag'],
  )
  const left = await get<PageTags>('tags?repository=team/many&order=name&limit=1', alice.Cookie)
  assert.deepEqual([left.body.total, left.body.tags[0]?.name], [298, '1.0.2'])
  await new Pusher(registry.url, 'root').image('team/gone', ['1'])
  const both = { repositories: ['team/gone', 'team/none'] }
  const gone = await post<PageDeletionResult>('delete-repositories', both, alice)
  assert.deepEqual(
    [gone.body.deleted, gone.body.failed.map(({ reference }) => reference)],
    [1, ['team/none']],
  )
  assert.equal((await get<PageRepository>('repository?repository=team/gone', alice.Cookie)).status, 404)
})

test('stars and descriptions are kept by user and right', async () => {
  const [alice, bob] = [{ Cookie: await signIn('alice') }, { Cookie: await signIn('bob') }]
  for (const headers of [alice, bob]) {
    assert.equal((await post('star', { repository: 'team/api', starred: true }, headers)).status, 200)
  }
  assert.equal((await post('star', { repository: 'team/api', starred: false }, bob)).status, 200)
  assert.equal((await post('star', { repository: 'public/hello', starred: true })).status, 401)
  assert.equal(
    (await post('describe', { repository: 'team/api', description: 'The API.' }, alice)).status,
    200,
  )
  const { stars, starred, description } = (
    await get<PageRepository>('repository?repository=team/api', alice.Cookie)
  ).body
  assert.deepEqual([stars, starred, description], [1, true, 'The API.'])
  assert.equal((await get<PageRepository>('repository?repository=team/api', bob.Cookie)).body.starred, false)
})

test('the retention preview tells what would go of what the caller sees', async () => {
  const bob = (await get<PageRetention>('retention', await signIn('bob'))).body
  assert.deepEqual(bob.rules, [{ repositories: ['team/many'], tags: ['1.*'], keepLast: 20 }])
  assert.ok(bob.total > 200)
  assert.deepEqual((await get<PageRetention>('retention')).body.tags, [])
})

test('an open registry lets everybody do everything, without anybody to sign in', async () => {
  await using open = await startTestRegistry()
  await new Pusher(open.url).image('app', ['1'])
  const status = (await (await fetch(`${open.url}/console/api/status`)).json()) as PageStatus
  assert.deepEqual([status.signIn, status.user, status.isAdmin], ['open', '', true])
  const answer = await fetch(`${open.url}/console/api/delete`, {
    method: 'POST',
    headers: own,
    body: JSON.stringify({ repository: 'app', tags: ['1'] }),
  })
  assert.deepEqual(await answer.json(), { deleted: 1, failed: [] })
})

test('unknown endpoints, methods and bodies get clear errors', async () => {
  assert.equal((await get('nothing')).status, 404)
  assert.equal((await get('constructor')).status, 404)
  assert.equal((await get('delete')).status, 405)
  assert.equal((await post('status', {})).status, 405)
  assert.equal((await post('sign-in', { name: 1 })).status, 400)
  assert.equal((await get<PageRepository>('repository?repository=../x')).status, 400)
  assert.equal((await fetch(`${registry.url}/`, { method: 'POST' })).status, 405)
})
