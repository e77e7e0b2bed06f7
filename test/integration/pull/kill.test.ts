/**
 * The daemon dies at some call that changes a file while platforms of one image come in. The next one has each of them
 * whole or not at all, owns all that is there, and fetches only what is not on disk. WHARF_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startCountingRegistry, type CountingRegistry } from '../../fixtures/counting-registry.ts'
import { buildImage, buildIndex, sha256 } from '../../fixtures/docker-registry.ts'
import { Faults } from '../../fixtures/faults.ts'
import { chance } from '../../fixtures/random-tree.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { faultsOf } from '../store/store-model.ts'
import { tarOf } from './tars.ts'

const seed = Number(process.env['WHARF_SEED'] ?? Date.now() % 1_000_000)
const trials = Number(process.env['WHARF_TRIALS'] ?? 10)
const architectures = ['amd64', 'arm64']

/** Puts an image of two platforms there; answers the digest of its index. */
async function publish(registry: CountingRegistry): Promise<string> {
  const shared = await tarOf({ shared: randomBytes(1_500_000) })
  const variants = await Promise.all(
    architectures.map(async (architecture) => {
      const layers = [shared, await tarOf({ own: randomBytes(1_200_000) })]
      return { ...buildImage(layers, { architecture, kind: 'oci' }), platform: { os: 'linux', architecture } }
    }),
  )
  const index = buildIndex(variants)
  for (const { manifest: data, mediaType, digest, blobs } of [...variants, index]) {
    registry.manifests.set(digest, { data, mediaType, digest })
    for (const blob of blobs) registry.blobs.set(sha256(blob), blob)
  }
  registry.manifests.set('v1', { data: index.manifest, mediaType: index.mediaType, digest: index.digest })
  return index.digest
}

/** Bytes of each layer that the daemon's disk holds. */
function onDisk(daemon: TestDaemon, registry: CountingRegistry): Map<string, number> {
  const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)
  const content = join(daemon.dataRoot, 'content')
  return new Map(
    [...registry.blobs.keys()].map((digest) => [
      digest,
      sizeOf(join(content, digest.replace(':', '/'))) ||
        sizeOf(join(content, 'downloads', digest.replace(':', '-'))),
    ]),
  )
}

test(`a pull of two platforms goes on where the daemon was killed (seed ${seed})`, async (t) => {
  await using registry = await startCountingRegistry()
  await using daemon = await startDaemon()
  using faults = new Faults(daemon.dataRoot)
  const random = chance(seed)
  const name = `${registry.host}/app`
  const pull = async (architecture: string) =>
    daemon.api('POST', `/images/create?fromImage=${name}&tag=v1&platform=linux/${architecture}`)
  const both = async () => Promise.all(architectures.map(pull))
  await daemon.stop()
  await daemon.start(faults.environment)
  const index = await publish(registry)
  faults.arm('count')
  for (const { body } of await both()) assert.match(body, new RegExp(`Digest: ${index}`))
  const calls = faults.disarm()
  await daemon.api('DELETE', `/images/${name}:v1`)
  assert.deepEqual(await faultsOf(daemon), [])
  for (let trial = 0; trial < trials; trial++) {
    registry.blobs.clear()
    await publish(registry)
    const at = 1 + random(calls)
    t.diagnostic(`call ${at} of ${calls}`)
    faults.arm('die', at)
    await both().catch(() => undefined)
    faults.arm('die', 1)
    await daemon.api('POST', '/volumes/create', { Name: 'last' }).catch(() => undefined)
    await daemon.ended()
    faults.disarm()
    await daemon.start(faults.environment)
    assert.deepEqual(await faultsOf(daemon), [], 'the next start leaves nothing that is unowned')
    const there = onDisk(daemon, registry)
    registry.forget()
    for (const { body } of await both())
      assert.match(body, /Status: (Downloaded newer image|Image is up to date)/)
    for (const [digest, blob] of registry.blobs) {
      // Configurations are small: they come anew, or are there.
      if (blob.length < 10_000) continue
      assert.equal(registry.asked.get(digest) ?? 0, blob.length - (there.get(digest) ?? 0), digest)
    }
    assert.deepEqual(await faultsOf(daemon), [])
    const removed = await daemon.api('DELETE', `/images/${name}:v1`)
    assert.equal(removed.status, 200, removed.body)
    assert.deepEqual(
      onDisk(daemon, registry),
      new Map([...registry.blobs.keys()].map((digest) => [digest, 0])),
    )
  }
})
