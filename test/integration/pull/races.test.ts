/** Pulls, loads, commits and removals of the same image side by side: all that may succeed does, and the store is sound. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  buildImage,
  buildIndex,
  startDockerRegistry,
  uploadImage,
  uploadManifest,
  type DockerRegistry,
} from '../../fixtures/docker-registry.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { faultsOf } from '../store/store-model.ts'
import { tarOf } from './tars.ts'

const rounds = 40
const host = process.arch === 'arm64' ? 'arm64' : 'amd64'

let daemon: TestDaemon
let registry: DockerRegistry

before(async () => {
  registry = await startDockerRegistry()
  daemon = await startDaemon()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

async function pull(name: string): Promise<void> {
  const { status, body } = await daemon.api('POST', `/images/create?fromImage=${name}&tag=v1`)
  assert.equal(status, 200, body)
  assert.match(body, /Status: (Downloaded newer image|Image is up to date) for/)
}

async function remove(name: string): Promise<void> {
  const { status, body } = await daemon.api('DELETE', `/images/${name}?force=1`)
  assert.ok(status === 200 || /No such image/.test(body), body)
}

test('pulls and removals of one image at the same time, over and over', async () => {
  const shared = await tarOf({ shared: randomBytes(20_000) })
  const one = buildImage([shared, await tarOf({ one: randomBytes(20_000) })], {
    kind: 'oci',
    architecture: host,
  })
  const two = buildImage([shared, await tarOf({ two: randomBytes(20_000) })])
  await uploadImage(registry.url, 'one', one.digest, one)
  await uploadManifest(
    registry.url,
    'one/manifests/v1',
    buildIndex([{ ...one, platform: { os: 'linux', architecture: host } }]),
  )
  await uploadImage(registry.url, 'two', 'v1', two)
  const [first, second] = [`${registry.host}/one`, `${registry.host}/two`]
  for (let round = 0; round < rounds; round++) {
    const work = [
      () => pull(first),
      () => remove(`${first}:v1`),
      () => pull(second),
      () => remove(`${second}:v1`),
      () => pull(first),
      () => remove(one.id),
      () => daemon.api('POST', '/images/prune?filters={"dangling":["false"]}'),
    ]
    // Each round begins at another place.
    const begin = round % work.length
    await Promise.all([...work.slice(begin), ...work.slice(0, begin)].map((start) => start()))
  }
  assert.deepEqual(await faultsOf(daemon), [])
  await pull(first)
  await pull(second)
  assert.deepEqual(await faultsOf(daemon), [])
  for (const name of [first, second]) await remove(`${name}:v1`)
  assert.deepEqual(await faultsOf(daemon), [])
  const { json } = await daemon.api('POST', '/wharf/system/check')
  const { Checked: checked } = json as { Checked: Record<string, number> }
  assert.equal(checked['content'], 0)
  assert.equal(checked['layers'], 0)
})

test('what is committed while its image is removed is whole', async () => {
  for (let round = 0; round < 10; round++) {
    await daemon.loadBusybox()
    const made = await daemon.api('POST', '/containers/create?name=box', {
      Image: 'busybox',
      Cmd: ['sh', '-c', 'echo kept >/kept'],
    })
    assert.equal(made.status, 201, made.body)
    await daemon.api('POST', '/containers/box/start')
    await daemon.api('POST', '/containers/box/wait')
    const [committed] = await Promise.all([
      daemon.api('POST', '/commit?container=box&repo=made', {}),
      remove('busybox'),
    ])
    await daemon.api('DELETE', '/containers/box')
    assert.deepEqual(await faultsOf(daemon), [])
    if (committed.status !== 201) {
      // The removal came first.
      assert.match(committed.body, /"No such image: sha256:/)
      continue
    }
    const run = await daemon.wharf(['run', '--rm', '--network=none', 'made', 'cat', '/kept'])
    assert.equal(run.stdout, 'kept\n', run.stderr)
    await remove('made')
    assert.deepEqual(await faultsOf(daemon), [])
  }
})
