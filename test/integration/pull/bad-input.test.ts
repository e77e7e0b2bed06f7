/** Images and archives that are not what they say: Docker's text, nothing to be seen of them, nothing left. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { busyboxArchive } from '../../fixtures/busybox-image.ts'
import { startCountingRegistry, type CountingRegistry } from '../../fixtures/counting-registry.ts'
import { buildImage, buildIndex, sha256, type BuiltImage } from '../../fixtures/docker-registry.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { faultsOf } from '../store/store-model.ts'
import { tarOf } from './tars.ts'

let daemon: TestDaemon
let registry: CountingRegistry

before(async () => {
  registry = await startCountingRegistry()
  daemon = await startDaemon({ config: { 'max-download-attempts': 1 } })
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

/** Puts an image there under the tag `v1`, with its manifest's fields changed. */
function publish(image: BuiltImage, change: (manifest: Manifest) => void = () => {}): void {
  const manifest = JSON.parse(image.manifest.toString()) as Manifest
  change(manifest)
  const data = Buffer.from(JSON.stringify(manifest))
  registry.blobs.clear()
  registry.manifests.clear()
  for (const blob of image.blobs) registry.blobs.set(sha256(blob), blob)
  registry.manifests.set('v1', { data, mediaType: image.mediaType, digest: sha256(data) })
}

type Manifest = {
  config: { digest: string; size: number; mediaType: string }
  layers: { digest: string; size: number; mediaType: string }[]
}

/** What a pull ends with. */
async function failure(query = ''): Promise<string> {
  const { body } = await daemon.api('POST', `/images/create?fromImage=${registry.host}/app&tag=v1${query}`)
  const last = JSON.parse(body.trim().split('\r\n').at(-1) ?? '') as { error?: string; message?: string }
  return last.error ?? last.message ?? `no failure: ${body}`
}

async function nothingIsThere(): Promise<void> {
  assert.deepEqual((await daemon.api('GET', '/images/json?all=1')).json, [])
  assert.deepEqual(await faultsOf(daemon), [])
  const content = join(daemon.dataRoot, 'content')
  for (const part of ['sha256', 'sha512', 'ingest'])
    assert.deepEqual(readdirSync(join(content, part)), [], part)
  assert.deepEqual(readdirSync(join(daemon.dataRoot, 'layers/overlay2/drafts')), [])
}

async function goodImage(options: Parameters<typeof buildImage>[1] = {}): Promise<BuiltImage> {
  return buildImage(
    [await tarOf({ a: randomBytes(60_000) }), await tarOf({ b: randomBytes(60_000) })],
    options,
  )
}

/** An image with another configuration than its layers would have. */
function withConfig(image: BuiltImage, data: Buffer): BuiltImage {
  const manifest = JSON.parse(image.manifest.toString()) as Manifest
  manifest.config = { ...manifest.config, digest: sha256(data), size: data.length }
  return { ...image, manifest: Buffer.from(JSON.stringify(manifest)), blobs: [data, ...image.blobs.slice(1)] }
}

test('blobs that are too short, too long, wrong or absent', async () => {
  const image = await goodImage()
  const [config = Buffer.alloc(0), layer = Buffer.alloc(0)] = image.blobs
  const id = sha256(layer)
  const spoiled = Buffer.from(layer)
  spoiled[spoiled.length - 1] = (spoiled.at(-1) ?? 0) ^ 1
  const wrong = new RegExp(`^filesystem layer verification failed for digest ${id}$`)
  const cases: [string, Buffer | undefined, RegExp][] = [
    [id, layer.subarray(0, -10), /unexpected EOF/],
    [id, Buffer.concat([layer, Buffer.from('more')]), /longer than its manifest says/],
    [id, spoiled, wrong],
    [id, randomBytes(layer.length), wrong],
    [id, undefined, /unknown/],
    [sha256(config), Buffer.from('{}'), /^image config verification failed for digest sha256:/],
    [sha256(config), undefined, /unknown/],
  ]
  for (const [digest, blob, text] of cases) {
    publish(image)
    if (blob === undefined) registry.blobs.delete(digest)
    else registry.blobs.set(digest, blob)
    assert.match(await failure(), text)
    await nothingIsThere()
  }
  // The right one comes in after all of that.
  publish(image)
  assert.match(await failure(), /^no failure: [^]*Downloaded newer image/)
  await daemon.api('DELETE', `/images/${registry.host}/app:v1`)
  await nothingIsThere()
})

test('manifests that do not fit what they name', async () => {
  const image = await goodImage()
  const cases: [(manifest: Manifest) => void, RegExp][] = [
    [({ layers }) => (layers[0]!.size += 1), /unexpected EOF/],
    [({ layers }) => (layers[0]!.size -= 1), /longer than its manifest says/],
    [({ layers }) => layers.pop(), /^layers from manifest don't match image configuration$/],
    [({ layers }) => layers.reverse(), /^layers from manifest don't match image configuration$/],
    [({ layers }) => (layers[0]!.digest = 'sha256:short'), /^invalid image manifest/],
    [({ layers }) => (layers[0]!.size = -1), /^invalid image manifest/],
    [
      ({ config }) => (config.mediaType = 'application/vnd.example.chart.config.v1+json'),
      /^Encountered remote "application\/vnd\.example\.chart\.config\.v1\+json"\(unknown\) when fetching$/,
    ],
    [
      ({ config }) => (config.mediaType = 'application/vnd.docker.plugin.v1+json'),
      /^Encountered remote "application\/vnd\.docker\.plugin\.v1\+json"\(plugin\) when fetching$/,
    ],
  ]
  for (const [change, text] of cases) {
    publish(image, change)
    assert.match(await failure(), text)
    await nothingIsThere()
  }
})

test('configurations that are none', async () => {
  const image = await goodImage()
  const cases: [unknown, RegExp][] = [
    ['{"os":', /^invalid image configuration/],
    [[], /^invalid image configuration/],
    [{ os: 'linux', rootfs: { type: 'layers', diff_ids: 'x' } }, /^invalid image configuration/],
    [{ os: 'linux', rootfs: { diff_ids: ['x', 'y'] } }, /^invalid image configuration: diff id x/],
    [{ os: 'linux' }, /^layers from manifest don't match image configuration$/],
    [{ os: 'windows' }, /^image operating system "windows" cannot be used on this platform$/],
    ['x'.repeat(9 << 20), /larger than/],
  ]
  for (const [config, text] of cases) {
    publish(withConfig(image, Buffer.from(typeof config === 'string' ? config : JSON.stringify(config))))
    assert.match(await failure(), text)
    await nothingIsThere()
  }
})

test('layers that are no layers, or do harm', async () => {
  const cases: [Buffer, RegExp][] = [
    [Buffer.from('no archive'), /invalid|EOF|tar/i],
    [(await tarOf({ a: randomBytes(5000) })).subarray(0, 3000), /EOF/i],
  ]
  for (const [tar, text] of cases) {
    publish(buildImage([tar]))
    assert.match(await failure(), text)
    publish(buildImage([tar], { compress: () => gzipSync(tar).subarray(0, -9) }))
    assert.match(await failure(), /EOF|unexpected end|invalid/i)
    await nothingIsThere()
  }
})

test('indexes that lead nowhere', async () => {
  const image = await goodImage({ kind: 'oci' })
  const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }
  const index = buildIndex([{ ...image, platform }])
  const serve = (data: Buffer, mediaType = index.mediaType) => {
    publish(image)
    registry.manifests.set('v1', { data, mediaType, digest: sha256(data) })
  }
  serve(index.manifest)
  assert.match(await failure(), /manifest unknown|not found/)
  registry.manifests.set(image.digest, {
    data: Buffer.from('{}'),
    mediaType: image.mediaType,
    digest: image.digest,
  })
  assert.match(await failure(), new RegExp(`^manifest verification failed for digest ${image.digest}$`))
  serve(buildIndex([]).manifest)
  const none = `no matching manifest for linux/${platform.architecture}`
  assert.ok((await failure()).startsWith(none))
  serve(index.manifest)
  assert.match(
    await failure('&platform=linux/s390x'),
    /^no matching manifest for linux\/s390x in the manifest list entries$/,
  )
  assert.match(await failure('&platform=linux/no/such/thing'), /invalid|unsupported|unknown/)
  serve(Buffer.from('{"manifests":{}}'))
  assert.match(await failure(), /^invalid image manifest/)
  serve(Buffer.from(' '.repeat(5 << 20)))
  assert.match(await failure(), /larger than/)
  await nothingIsThere()
})

test('an archive cut off anywhere, or with its parts missing or wrong, loads nothing', async () => {
  const whole = await busyboxArchive()
  const load = async (archive: Buffer): Promise<string> => {
    const { body } = await daemon.api('POST', '/images/load?quiet=1', archive)
    return body
  }
  // The last blocks say only that it ends.
  const end = whole.length - 10_240
  for (let at = 1; at < end; at += Math.floor(end / 12)) {
    assert.match(await load(whole.subarray(0, at)), /"(message|error)":/, `cut at ${at}`)
    await nothingIsThere()
  }
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const config = json({ os: 'linux', rootfs: { type: 'layers', diff_ids: [] } })
  const cases: [Record<string, Buffer>, RegExp][] = [
    [{}, /open manifest\.json: no such file or directory/],
    [{ 'manifest.json': Buffer.from('[') }, /invalid manifest\.json/],
    [{ 'manifest.json': json(null) }, /manifest cannot be null/],
    [{ 'manifest.json': json([{ Config: 'c' }]) }, /open c: no such file or directory/],
    [
      { 'manifest.json': json([{ Config: 'c', Layers: ['l'] }]), c: config },
      /open l: no such file or directory/,
    ],
    [
      { 'manifest.json': json([{ Config: 'c', Layers: ['l'] }]), c: config, l: await tarOf({}) },
      /layers length mismatch: expected 1, got 0/,
    ],
    [{ 'manifest.json': json([{ Config: '../../etc/passwd', Layers: [] }]) }, /no such file or directory/],
    [{ 'manifest.json': json([{ Config: 'c', Layers: [], RepoTags: ['UPPER:1'] }]), c: config }, /lowercase/],
    [{ 'index.json': json({ manifests: [{ digest: 'x' }] }) }, /invalid index\.json/],
    [
      { 'index.json': json({ manifests: [{ digest: sha256(config), size: 1, mediaType: 'x' }] }) },
      /open blobs\/sha256\/[0-9a-f]{64}: no such file or directory/,
    ],
  ]
  for (const [files, text] of cases) {
    assert.match(await load(await tarOf(files)), text)
    await nothingIsThere()
  }
})
