/** Images of several platforms: kept with their index, exactly as they came, and moved on so. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  buildImage,
  buildIndex,
  sha256,
  startDockerRegistry,
  uploadImage,
  uploadManifest,
  type BuiltImage,
  type DockerRegistry,
} from '../../fixtures/docker-registry.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { tarOf } from './tars.ts'

const host = process.arch === 'arm64' ? 'arm64' : 'amd64'
const foreign = host === 'arm64' ? 'amd64' : 'arm64'
const third = 's390x'
type Variant = BuiltImage & { platform: { os: string; architecture: string } }

let daemon: TestDaemon
let first: DockerRegistry
let second: DockerRegistry

before(async () => {
  first = await startDockerRegistry()
  second = await startDockerRegistry()
  daemon = await startDaemon()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await first?.[Symbol.asyncDispose]()
  await second?.[Symbol.asyncDispose]()
})

/** Puts an image of some platforms into the first registry. */
async function publish(
  repository: string,
  architectures: string[],
): Promise<{ list: BuiltImage; variants: Map<string, Variant> }> {
  const variants = new Map<string, Variant>()
  const shared = await tarOf({ shared: randomBytes(200) })
  for (const architecture of architectures) {
    const own = await tarOf({ own: randomBytes(300) })
    const image = buildImage([shared, own], { architecture, kind: 'oci' })
    variants.set(architecture, { ...image, platform: { os: 'linux', architecture } })
    await uploadImage(first.url, repository, image.digest, image)
  }
  const list = buildIndex([...variants.values()])
  await uploadManifest(first.url, `${repository}/manifests/latest`, list)
  return { list, variants }
}

async function inspect(name: string, query = ''): Promise<Record<string, unknown>> {
  const { status, json, body } = await daemon.api('GET', `/v1.51/images/${name}/json${query}`)
  assert.equal(status, 200, body)
  return json as Record<string, unknown>
}

/** Fails unless the command succeeds; answers its standard output. */
async function wharf(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.wharf(args)
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
  return stdout
}

async function digestAt(registry: DockerRegistry, path: string): Promise<string | null> {
  const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json'
  const answer = await fetch(`${registry.url}/v2/${path}`, { method: 'HEAD', headers: { accept } })
  return answer.headers.get('docker-content-digest')
}

function blobs(): string[] {
  return readdirSync(join(daemon.dataRoot, 'content/sha256')).toSorted()
}

/** Removes all images; what is left of blobs then. */
async function emptied(): Promise<string[]> {
  await wharf('image', 'prune', '-af')
  return blobs()
}

test('an index is kept: digests, descriptor and platforms show it', async () => {
  const { list, variants } = await publish('kept', [host, foreign, third])
  const name = `${first.host}/kept`
  assert.match(
    await wharf('pull', name),
    new RegExp(`Digest: ${list.digest}\nStatus: Downloaded newer image`),
  )
  const shown = await inspect(name, '?manifests=1')
  assert.equal(shown['Id'], variants.get(host)?.id)
  assert.deepEqual(shown['RepoDigests'], [`${name}@${list.digest}`])
  assert.equal((shown['Descriptor'] as { digest: string }).digest, list.digest)
  const manifests = shown['Manifests'] as { ID: string; Available: boolean; Kind: string }[]
  assert.deepEqual(
    manifests.map(({ ID, Available, Kind }) => [ID, Available, Kind]),
    [...variants.values()].map(({ digest }) => [digest, digest === variants.get(host)?.digest, 'image']),
  )
  assert.ok(existsSync(join(daemon.dataRoot, 'content', list.digest.replace(':', '/'))))
  assert.match(await wharf('image', 'ls', '--tree'), new RegExp(`linux/${third}`))
})

test('several platforms of one image are here side by side', async () => {
  const { list, variants } = await publish('both', [host, foreign])
  const name = `${first.host}/both`
  await wharf('pull', '-q', '--platform', `linux/${foreign}`, name)
  assert.equal((await inspect(name))['Id'], variants.get(foreign)?.id)
  await wharf('pull', '-q', name)
  assert.equal((await inspect(name))['Id'], variants.get(host)?.id)
  const rows = await wharf('image', 'ls', '-a', '--format', '{{.Repository}}:{{.Tag}}', name)
  assert.equal(rows, `${name}:latest\n`)
  assert.equal((await wharf('images', '-q', '--filter', 'dangling=true')).trim(), '')
  assert.equal(
    (await wharf('image', 'inspect', '--platform', `linux/${foreign}`, '--format', '{{.Id}}', name)).trim(),
    variants.get(foreign)?.id,
  )
  await wharf('history', '--platform', `linux/${foreign}`, name)
  assert.match((await daemon.wharf(['history', '--platform', 'linux/s390x', name])).stderr, /does not match/)
  await daemon.restart()
  const again = await inspect(name, '?manifests=1')
  assert.deepEqual(
    (again['Manifests'] as { Available: boolean }[]).map((one) => one.Available),
    [true, true],
  )
  // One platform goes, the name stays; then the other with its last platform.
  const removed = await wharf('image', 'rm', '--platform', `linux/${host}`, name)
  assert.match(removed, new RegExp(`^Deleted: ${variants.get(host)?.id}\n`))
  assert.equal((await inspect(name))['Id'], variants.get(foreign)?.id)
  assert.equal((await inspect(name))['RepoDigests']?.toString(), `${name}@${list.digest}`)
  await wharf('image', 'rm', '--platform', `linux/${foreign}`, name)
  assert.notEqual((await daemon.wharf(['image', 'inspect', name])).code, 0)
})

test('rmi of the name takes all platforms and the index, and nothing of it stays', async () => {
  assert.deepEqual(await emptied(), [])
  await publish('gone', [host, foreign])
  const name = `${first.host}/gone`
  await wharf('pull', '-q', name)
  await wharf('pull', '-q', '--platform', `linux/${foreign}`, name)
  await wharf('tag', name, 'gone:copy')
  const before = blobs()
  await wharf('rmi', name)
  assert.deepEqual(blobs(), before, 'the copy holds all of it')
  const lines = (await wharf('rmi', 'gone:copy')).split('\n').map((line) => line.split(':')[0])
  assert.deepEqual(lines.filter((line) => line === 'Deleted').length, 2 + 3)
  assert.deepEqual(blobs(), [])
  assert.deepEqual(readdirSync(join(daemon.dataRoot, 'content/sha256')), [])
})

test('an index is pushed with the digest it came with, to the same registry and to another', async () => {
  const { list, variants } = await publish('source', [host, foreign, third])
  const name = `${first.host}/source`
  await wharf('pull', '-q', name)
  const sibling = `${first.host}/sibling`
  await wharf('tag', name, sibling)
  const pushed = await wharf('push', sibling)
  assert.match(pushed, new RegExp(`latest: digest: ${list.digest} size: ${list.manifest.length}`))
  assert.equal(await digestAt(first, 'sibling/manifests/latest'), list.digest)
  for (const { digest } of variants.values()) {
    assert.equal(await digestAt(first, `sibling/manifests/${digest}`), digest)
  }
  const other = `${second.host}/other`
  await wharf('tag', name, other)
  assert.match(await wharf('push', other), new RegExp(`digest: ${list.digest}`))
  assert.equal(
    await digestAt(second, `other/manifests/${variants.get(third)?.digest}`),
    variants.get(third)?.digest,
  )
  const only = `${second.host}/only`
  await wharf('tag', name, only)
  await wharf('push', '--platform', `linux/${host}`, only)
  assert.equal(await digestAt(second, 'only/manifests/latest'), variants.get(host)?.digest)
})

test('where parts of an index are nowhere to be had, the one image goes up and the client is told', async () => {
  const registry = await startDockerRegistry()
  const name = `${registry.host}/lost`
  const own = buildImage([await tarOf({ own: randomBytes(100) })], { architecture: host, kind: 'oci' })
  const other = buildImage([await tarOf({ other: randomBytes(100) })], { architecture: third, kind: 'oci' })
  try {
    await uploadImage(registry.url, 'lost', own.digest, own)
    await uploadImage(registry.url, 'lost', other.digest, other)
    const list = buildIndex([
      { ...own, platform: { os: 'linux', architecture: host } },
      { ...other, platform: { os: 'linux', architecture: third } },
    ])
    await uploadManifest(registry.url, 'lost/manifests/latest', list)
    await wharf('pull', '-q', name)
  } finally {
    await registry[Symbol.asyncDispose]()
  }
  await wharf('tag', name, `${second.host}/lost`)
  const pushed = await wharf('push', `${second.host}/lost`)
  assert.match(pushed, /only the available single-platform image was pushed/)
  assert.equal(await digestAt(second, 'lost/manifests/latest'), own.digest)
})

test('save and load carry the index and all its platforms that are here', async () => {
  const { list, variants } = await publish('saved', [host, foreign, third])
  const name = `${first.host}/saved`
  await wharf('pull', '-q', name)
  await wharf('pull', '-q', '--platform', `linux/${foreign}`, name)
  const archive = join(daemon.names.root, 'saved.tar')
  await wharf('save', '-o', archive, name)
  const one = join(daemon.names.root, 'one.tar')
  await wharf('save', '--platform', `linux/${foreign}`, '-o', one, name)
  assert.deepEqual(await emptied(), [])
  assert.equal(await wharf('load', '-i', archive), `Loaded image: ${name}:latest\n`)
  const shown = await inspect(name, '?manifests=1')
  assert.equal(shown['Id'], variants.get(host)?.id)
  assert.equal((shown['Descriptor'] as { digest: string }).digest, list.digest)
  assert.deepEqual(
    (shown['Manifests'] as { Available: boolean }[]).map(({ Available }) => Available),
    [true, true, false],
  )
  assert.deepEqual(await emptied(), [])
  await wharf('load', '-q', '--platform', `linux/${foreign}`, '-i', archive)
  assert.equal((await inspect(name))['Id'], variants.get(foreign)?.id)
  assert.deepEqual(await emptied(), [])
  await wharf('load', '-q', '-i', one)
  assert.equal((await inspect(name))['Id'], variants.get(foreign)?.id)
  assert.equal(
    ((await inspect(name))['Descriptor'] as { digest: string }).digest,
    variants.get(foreign)?.digest,
  )
})

test('one configuration under two manifests: each name is pushed with its own', async () => {
  const layer = await tarOf({ twice: randomBytes(500) })
  const zipped = buildImage([layer], { kind: 'oci' })
  const plain = buildImage([layer], { kind: 'docker', compress: (tar) => tar })
  assert.equal(zipped.id, plain.id)
  await uploadImage(first.url, 'zipped', 'latest', zipped)
  await uploadImage(first.url, 'plain', 'latest', plain)
  await wharf('pull', '-q', `${first.host}/zipped`)
  await wharf('pull', '-q', `${first.host}/plain`)
  for (const [from, image] of [
    ['zipped', zipped],
    ['plain', plain],
  ] as const) {
    await wharf('tag', `${first.host}/${from}`, `${second.host}/${from}`)
    assert.match(await wharf('push', `${second.host}/${from}`), new RegExp(`digest: ${image.digest}`))
  }
})

test('statements about an image are read from the registry that its index came from', async () => {
  const image = buildImage([await tarOf({ attested: randomBytes(100) })], { architecture: host, kind: 'oci' })
  const statements = ['https://slsa.dev/provenance/v1', 'https://spdx.dev/Document'].map((predicateType) => ({
    _type: 'https://in-toto.io/Statement/v1',
    predicateType,
    predicate: { made: 'by a test' },
  }))
  const blobs = statements.map((statement) => Buffer.from(JSON.stringify(statement)))
  const config = Buffer.from('{}')
  const layers = blobs.map((blob, index) => ({
    mediaType: 'application/vnd.in-toto+json',
    digest: sha256(blob),
    size: blob.length,
    annotations: { 'in-toto.io/predicate-type': statements[index]?.predicateType },
  }))
  const { mediaType } = image
  const configEntry = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: sha256(config),
    size: 2,
  }
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: configEntry, layers }))
  const attestation = { manifest, mediaType, blobs: [config, ...blobs], digest: sha256(manifest), id: '' }
  for (const one of [image, attestation]) await uploadImage(first.url, 'attested', one.digest, one)
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': image.digest,
  }
  const list = buildIndex([
    { ...image, platform: { os: 'linux', architecture: host } },
    { ...attestation, platform: { os: 'unknown', architecture: 'unknown' }, annotations },
  ])
  await uploadManifest(first.url, 'attested/manifests/latest', list)
  const name = `${first.host}/attested`
  await wharf('pull', '-q', name)
  const ask = async (query: string) => daemon.api('GET', `/v1.55/images/${name}/attestations${query}`)
  const brief = layers.map((layer, index) => ({
    Descriptor: layer,
    PredicateType: statements[index]?.predicateType,
  }))
  assert.deepEqual((await ask('')).json, brief)
  const [, spdx] = brief
  const one = await ask(`?type=${encodeURIComponent('https://spdx.dev/Document')}&statement=1`)
  assert.deepEqual(one.json, [{ ...spdx, Statement: statements[1] }])
  assert.deepEqual((await ask('?type=nothing')).json, [])
  const foreignPlatform = encodeURIComponent(JSON.stringify({ os: 'linux', architecture: foreign }))
  assert.equal((await ask(`?platform=${foreignPlatform}`)).status, 404)
  assert.equal((await ask('?platform=nonsense')).status, 400)
  assert.equal((await ask(`?platform=${foreignPlatform}&platform=${foreignPlatform}`)).status, 400)
  assert.equal((await daemon.api('GET', '/v1.55/images/absent/attestations')).status, 404)
  await daemon.loadBusybox()
  assert.deepEqual((await daemon.api('GET', '/v1.55/images/busybox/attestations')).json, [])
})
