import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Router, splitTarget, type Route } from './router.ts'

const route = (method: string, path: string): Route => ({ method, path, handle: () => {} })

const router = new Router([
  route('GET', '/containers/json'),
  route('GET', '/containers/{id}/json'),
  route('GET', '/images/json'),
  route('GET', '/images/get'),
  route('GET', '/images/{name}/get'),
  route('GET', '/images/{name}/json'),
  route('DELETE', '/images/{name}'),
  route('POST', '/images/{name}/push'),
  route('DELETE', '/containers/{id}/checkpoints/{checkpoint}'),
])

const find = (method: string, path: string) => {
  const match = router.match(method, path)
  return match === undefined ? undefined : [match.route.path, match.name]
}

test('a name may have slashes, and literal paths go before', () => {
  assert.deepEqual(find('GET', '/containers/json'), ['/containers/json', ''])
  assert.deepEqual(find('GET', '/containers/abc/json'), ['/containers/{id}/json', 'abc'])
  assert.deepEqual(find('GET', '/images/get'), ['/images/get', ''])
  assert.deepEqual(find('GET', '/images/host:5000/a/b/json'), ['/images/{name}/json', 'host:5000/a/b'])
  assert.deepEqual(find('DELETE', '/images/a/b:c'), ['/images/{name}', 'a/b:c'])
  assert.deepEqual(find('POST', '/images/json/push'), ['/images/{name}/push', 'json'])
  assert.deepEqual(find('DELETE', '/containers/a/checkpoints/x'), [
    '/containers/{id}/checkpoints/{checkpoint}',
    'a',
  ])
})

test('what no route has is not found', () => {
  for (const [method, path] of [
    ['GET', '/'],
    ['PUT', '/containers/json'],
    ['GET', '/images'],
    ['GET', '/containers/a/b'],
    ['GET', ''],
  ]) {
    assert.equal(find(method ?? '', path ?? ''), undefined, path)
  }
})

test('splitTarget takes version and query off', () => {
  assert.deepEqual(splitTarget('/v1.43/containers//x/json?all=1&x=%2F'), {
    version: '1.43',
    path: '/containers/x/json',
    query: 'all=1&x=%2F',
  })
  assert.deepEqual(splitTarget('/_ping'), { version: undefined, path: '/_ping', query: '' })
  assert.deepEqual(splitTarget('/images/a%2Fb/json'), {
    version: undefined,
    path: '/images/a/b/json',
    query: '',
  })
  assert.deepEqual(splitTarget('/volumes/v1.0'), { version: undefined, path: '/volumes/v1.0', query: '' })
  const whole = splitTarget('http://engine:2375/v1.41/_ping?x=1')
  assert.deepEqual(whole, { version: '1.41', path: '/_ping', query: 'x=1' })
  assert.throws(() => splitTarget('/images/%zz'), /invalid URL escape/)
})
