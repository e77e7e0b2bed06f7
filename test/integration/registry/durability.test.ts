/** What was acknowledged outlives the process; the folder is the reference registry's, both ways. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DiskImage } from '../../fixtures/disk-image.ts'
import { eventually } from '../../fixtures/processes.ts'
import { freePort, startRegistryProcess } from '../../fixtures/registry-process.ts'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
} from '../../fixtures/test-registry.ts'

let data = ''
before(async () => {
  data = await mkdtemp(join(tmpdir(), 'wharf-registry-durable-'))
})
after(() => rm(data, { recursive: true, force: true }))

async function get(url: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(url)
  return { status: answer.status, text: await answer.text() }
}

/** Every third image is deleted after it was pushed. */
function mayBeDeleted(tag: string): boolean {
  return Number(tag.slice(1)) % 3 === 2
}

async function checkBlobs(url: string, repository: string, manifest: string): Promise<void> {
  const { config, layers } = JSON.parse(manifest) as {
    config: { digest: string }
    layers: { digest: string }[]
  }
  for (const { digest } of [config, ...layers]) {
    const blob = await get(`${url}/v2/${repository}/blobs/${digest}`)
    assert.equal(digestOf(blob.text), digest)
  }
}

/** Pushes and deletes images until the registry is gone; notes what was acknowledged. */
async function pushUntilKilled(
  url: string,
  repository: string,
  acknowledged: { tags: Map<string, string>; deleted: Set<string> },
): Promise<void> {
  try {
    for (let index = 0; ; index++) {
      const tag = `t${index}`
      const config = await pushBlob(url, repository, `{"n":"${repository}-${index}"}`)
      const layer = await pushBlob(url, repository, `${repository}-${index}`.repeat(1000))
      const text = imageManifest(config, [layer])
      const { status } = await pushManifest(url, { repository, reference: tag }, text)
      if (status === 201) acknowledged.tags.set(tag, text)
      if (!mayBeDeleted(tag)) continue
      acknowledged.tags.delete(tag)
      const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'DELETE' })
      if (answer.status === 202) acknowledged.deleted.add(tag)
    }
  } catch {
    // The registry was killed: what was under way may or may not be there.
  }
}

test('kill -9 in the middle of pushes loses nothing that was acknowledged', async () => {
  const port = await freePort()
  const folder = join(data, 'killed')
  const repositories = ['a/one', 'a/two', 'a/three', 'a/four']
  const known = new Map(
    repositories.map((name) => [name, { tags: new Map<string, string>(), deleted: new Set<string>() }]),
  )
  let half = ''
  for (let round = 0; round < 3; round++) {
    await using registry = await startRegistryProcess(folder, port)
    const started = await fetch(`${registry.url}/v2/half/blobs/uploads/`, { method: 'POST' })
    half = started.headers.get('location')!
    assert.equal((await fetch(half, { method: 'PATCH', body: 'first half, ' })).status, 202)
    const pushing = repositories.map((name) =>
      pushUntilKilled(registry.url, `${name}-${round}`, known.get(name)!),
    )
    const enough = async () => {
      while ([...known.values()].some(({ tags }) => tags.size < 4 + 3 * round)) {
        await fetch(`${registry.url}/healthz`).then((answer) => answer.text())
      }
    }
    await enough()
    const closed = once(registry.child, 'close')
    registry.child.kill('SIGKILL')
    await closed
    await Promise.all(pushing)
    await using again = await startRegistryProcess(folder, port)
    for (const [name, { tags, deleted }] of known) {
      for (const [tag, text] of tags) {
        const manifest = await get(`${again.url}/v2/${name}-${round}/manifests/${tag}`)
        assert.equal(manifest.text, text, `${name}:${tag}`)
        await checkBlobs(again.url, `${name}-${round}`, text)
      }
      for (const tag of deleted) {
        assert.equal((await get(`${again.url}/v2/${name}-${round}/manifests/${tag}`)).status, 404)
      }
      tags.clear()
      deleted.clear()
    }
    // The upload goes on where it stopped.
    assert.equal((await fetch(half)).headers.get('range'), '0-11')
    assert.equal((await fetch(half, { method: 'PATCH', body: 'second half' })).status, 202)
    const digest = digestOf('first half, second half')
    assert.equal((await fetch(`${half}?digest=${digest}`, { method: 'PUT' })).status, 201)
    assert.equal((await get(`${again.url}/v2/half/blobs/${digest}`)).text, 'first half, second half')
  }
})

test('what was acknowledged survives a power cut at any time', async () => {
  using disk = DiskImage.create(96)
  const port = await freePort()
  await using registry = await startRegistryProcess(disk.path, port)
  const names = ['a/one', 'a/two']
  const known = new Map(
    names.map((name) => [name, { tags: new Map<string, string>(), deleted: new Set<string>() }]),
  )
  const pushing = names.map((name) => pushUntilKilled(registry.url, name, known.get(name)!))
  for (let round = 0; round < 3; round++) {
    const sofar = [...known.values()].map(({ tags }) => tags.size)
    await eventually('more was pushed', () =>
      [...known.values()].every(({ tags }, index) => tags.size >= (sofar[index] ?? 0) + 3),
    )
    // In the middle of further pushes: what is known now was acknowledged before.
    const acknowledged = [...known].map(
      ([name, { tags, deleted }]) => [name, new Map(tags), new Set(deleted)] as const,
    )
    using left = disk.cut()
    await using after = await startRegistryProcess(left.path, await freePort())
    for (const [name, tags, deleted] of acknowledged) {
      for (const [tag, text] of tags) {
        // It may have been deleted since.
        const { status, text: found } = await get(`${after.url}/v2/${name}/manifests/${tag}`)
        if (status === 404 && mayBeDeleted(tag)) continue
        assert.equal(found, text, `${name}:${tag}`)
        await checkBlobs(after.url, name, text)
      }
      for (const tag of deleted) {
        assert.equal((await get(`${after.url}/v2/${name}/manifests/${tag}`)).status, 404)
      }
    }
  }
  await registry[Symbol.asyncDispose]()
  await Promise.all(pushing)
})

const reference = '/usr/bin/docker-registry'

test(
  "the reference registry's folder is served, and it serves ours",
  { skip: !existsSync(reference) },
  async () => {
    const folder = join(data, 'reference')
    const port = await freePort()
    const config = join(data, 'reference.yml')
    await writeFile(
      config,
      `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${folder} }, delete: { enabled: true } }
http: { addr: "127.0.0.1:${port}" }
`,
    )
    const command = [reference, 'serve', config]
    const push = async (url: string, repository: string, tag: string) => {
      const blob = await pushThreeSteps(url, repository, `{"image":"${repository}:${tag}"}`)
      const text = imageManifest(blob, [], {
        mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      })
      const type = 'application/vnd.docker.distribution.manifest.v2+json'
      const docker = text
        .replaceAll('vnd.oci.image.config.v1+json', 'vnd.docker.container.image.v1+json')
        .replace('"size":1', `"size":${`{"image":"${repository}:${tag}"}`.length}`)
      const answer = await pushManifest(url, { repository, reference: tag, type }, docker)
      assert.equal(answer.status, 201, answer.body)
      return { blob, text: docker }
    }
    let theirs: { blob: string; text: string }
    {
      await using registry = await startRegistryProcess(folder, port, command)
      theirs = await push(registry.url, 'their/app', 'v1')
    }
    let ours: { blob: string; text: string }
    {
      await using r = await startTestRegistry({}, { data: folder })
      assert.equal((await get(`${r.url}/v2/their/app/manifests/v1`)).text, theirs.text)
      assert.equal((await get(`${r.url}/v2/their/app/blobs/${theirs.blob}`)).status, 200)
      assert.deepEqual(JSON.parse((await get(`${r.url}/v2/_catalog`)).text), { repositories: ['their/app'] })
      ours = await push(r.url, 'our/app', 'v2')
      await push(r.url, 'our/app', 'deleted')
      await fetch(`${r.url}/v2/our/app/manifests/deleted`, { method: 'DELETE' })
    }
    await using registry = await startRegistryProcess(folder, port, command)
    const accept = { headers: { Accept: 'application/vnd.docker.distribution.manifest.v2+json' } }
    const manifest = await fetch(`${registry.url}/v2/our/app/manifests/v2`, accept)
    assert.equal(await manifest.text(), ours.text)
    assert.equal((await get(`${registry.url}/v2/our/app/blobs/${ours.blob}`)).status, 200)
    assert.deepEqual(JSON.parse((await get(`${registry.url}/v2/our/app/tags/list`)).text), {
      name: 'our/app',
      tags: ['v2'],
    })
  },
)

/** POST, PATCH, PUT: the reference registry takes no blob in a single request. */
async function pushThreeSteps(url: string, repository: string, text: string): Promise<string> {
  const started = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const patched = await fetch(started.headers.get('location')!, {
    method: 'PATCH',
    body: text,
    headers: { 'Content-Type': 'application/octet-stream' },
  })
  assert.equal(patched.status, 202)
  const closing = new URL(patched.headers.get('location')!)
  closing.searchParams.set('digest', digestOf(text))
  assert.equal((await fetch(closing, { method: 'PUT' })).status, 201)
  return digestOf(text)
}
