/** Images whose blobs, configuration and manifest are named by sha512: pulled, run, pushed, saved, loaded, removed. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { busyboxImage } from '../../../tools/images/busybox.ts'
import { startCountingRegistry, type CountingRegistry } from '../../fixtures/counting-registry.ts'
import { runCommand } from '../../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { startTestRegistry, type TestRegistry } from '../../fixtures/test-registry.ts'
import { faultsOf } from '../store/store-model.ts'
import { tarOf } from './tars.ts'

const type = 'application/vnd.oci.image'
const sha512 = (data: Uint8Array) => `sha512:${createHash('sha512').update(data).digest('hex')}`

let daemon: TestDaemon
let source: CountingRegistry
let target: TestRegistry

before(async () => {
  source = await startCountingRegistry()
  target = await startTestRegistry()
  daemon = await startDaemon()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
  await source?.[Symbol.asyncDispose]()
})

async function wharf(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.wharf(args)
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
  return stdout.trimEnd()
}

/** Puts busybox with one more layer there, all of it by sha512. */
async function publish(): Promise<{ id: string; digest: string; blobs: string[] }> {
  const busybox = await busyboxImage()
  const tars = [...busybox.layers, await tarOf({ more: randomBytes(5_000) })]
  const keep = (data: Buffer) => {
    source.blobs.set(sha512(data), data)
    return { digest: sha512(data), size: data.length }
  }
  const layers = tars.map((tar) => ({ mediaType: `${type}.layer.v1.tar+gzip`, ...keep(gzipSync(tar)) }))
  const { history: _history, ...rest } = busybox.config
  const document = { ...rest, rootfs: { type: 'layers', diff_ids: tars.map((tar) => sha512(tar)) } }
  const config = { mediaType: `${type}.config.v1+json`, ...keep(Buffer.from(JSON.stringify(document))) }
  const mediaType = `${type}.manifest.v1+json`
  const data = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }))
  const manifest = { data, mediaType, digest: sha512(data) }
  for (const name of ['v1', manifest.digest]) source.manifests.set(name, manifest)
  const blobs = [config, ...layers].map(({ digest }) => digest)
  return { id: config.digest, digest: manifest.digest, blobs }
}

test('an image of sha512 digests goes all ways as it came', async () => {
  const { id, digest, blobs } = await publish()
  const name = `${source.host}/strong`
  assert.match(await wharf('pull', `${name}:v1`), new RegExp(`Digest: ${digest}\n`))
  assert.equal(
    await wharf('image', 'inspect', '--format', '{{.Id}} {{index .RepoDigests 0}}', `${name}:v1`),
    `${id} ${name}@${digest}`,
  )
  assert.equal(
    await wharf('run', '--rm', '--network=none', `${name}@${digest}`, 'wc', '-c', '/more'),
    '5000 /more',
  )
  assert.deepEqual(await faultsOf(daemon), [])
  // By the id, the id without its algorithm, and a prefix; shown short without the algorithm.
  for (const text of [id, id.slice(7), id.slice(7, 19), id.slice(0, 30)]) {
    assert.equal(await wharf('image', 'inspect', '--format', '{{.Id}}', text), id)
  }
  for (const command of [
    ['images', '-q'],
    ['history', '--format', '{{.ID}}', `${name}:v1`],
  ]) {
    const shown = (await wharf(...command)).split('\n')[0]
    assert.ok(shown === id.slice(7, 19) || shown === '', shown)
  }

  // Pushed: the blobs are there by their digests, and the manifest's bytes are those that came.
  const copy = `${target.host}/strong`
  await wharf('tag', `${name}:v1`, `${copy}:v2`)
  const pushed = await wharf('push', `${copy}:v2`)
  for (const blob of blobs) {
    assert.equal((await fetch(`${target.url}/v2/strong/blobs/${blob}`, { method: 'HEAD' })).status, 200, blob)
  }
  const there = await fetch(`${target.url}/v2/strong/manifests/v2`, {
    headers: { accept: `${type}.manifest.v1+json` },
  })
  assert.equal(sha512(new Uint8Array(await there.arrayBuffer())), digest, pushed)

  // Saved and loaded: the same image, pushable again with the same bytes.
  const archive = join(daemon.names.root, 'strong.tar')
  await wharf('save', '-o', archive, `${name}:v1`)
  await wharf('rmi', '-f', id)
  assert.equal(await wharf('images', '-q'), '')
  assert.deepEqual(await faultsOf(daemon), [])
  assert.equal(await wharf('load', '-i', archive), `Loaded image: ${name}:v1`)
  assert.equal(
    await wharf('image', 'inspect', '--format', '{{.Id}} {{.Descriptor.digest}}', `${name}:v1`),
    `${id} ${digest}`,
  )
  assert.deepEqual(await faultsOf(daemon), [])

  // An OCI layout alone, as others write it.
  const layout = join(daemon.names.root, 'layout.tar')
  const only = `tar -xf ${archive} && rm -f manifest.json repositories && tar -cf ${layout} *`
  const { code, stderr } = await runCommand('sh', ['-c', `mkdir layout && cd layout && ${only}`], {
    cwd: daemon.names.root,
  })
  assert.equal(code, 0, stderr)
  await wharf('rmi', id)
  await wharf('load', '-i', layout)
  assert.equal(await wharf('image', 'inspect', '--format', '{{.Id}}', `${name}:v1`), id)
  await wharf('rmi', `${name}:v1`)
  assert.deepEqual(await faultsOf(daemon), [])

  // Pulled by its digest.
  await wharf('pull', '-q', `${name}@${digest}`)
  assert.equal(await wharf('image', 'inspect', '--format', '{{.Id}}', `${name}@${digest}`), id)
  await wharf('rmi', `${name}@${digest}`)
})

test('wrong bytes under a sha512 digest are refused, from a registry and in an archive', async () => {
  const { id, blobs } = await publish()
  const name = `${source.host}/strong`
  const archive = join(daemon.names.root, 'good.tar')
  await wharf('pull', '-q', `${name}:v1`)
  await wharf('save', '-o', archive, `${name}:v1`)
  await wharf('rmi', `${name}:v1`)
  for (const [index, blob] of blobs.entries()) {
    const good = source.blobs.get(blob) ?? Buffer.alloc(0)
    const bad = Buffer.from(good)
    bad[bad.length - 2] = (bad.at(-2) ?? 0) ^ 1
    source.blobs.set(blob, bad)
    // What an earlier pull has fetched would be taken.
    const downloads = join(daemon.dataRoot, 'content/downloads')
    for (const file of readdirSync(downloads)) rmSync(join(downloads, file))
    const { code, stderr } = await daemon.wharf(['pull', `${name}:v1`])
    source.blobs.set(blob, good)
    assert.equal(code, 1)
    assert.match(stderr, /verification failed|digest|invalid/)
    const spoiled = join(daemon.names.root, `spoiled-${index}`)
    const path = `blobs/${blob.replace(':', '/')}`
    const spoil = `mkdir ${spoiled} && tar -xf ${archive} -C ${spoiled} && printf x | dd conv=notrunc seek=9 bs=1 of=${spoiled}/${path} && tar -cf ${spoiled}.tar -C ${spoiled} .`
    assert.equal((await runCommand('sh', ['-c', spoil])).code, 0)
    const loaded = await daemon.wharf(['load', '-i', `${spoiled}.tar`])
    assert.equal(loaded.code, 1, loaded.stdout)
    assert.equal((await daemon.wharf(['image', 'inspect', id])).code, 1)
    assert.equal(await wharf('images', '-aq'), '')
    assert.deepEqual(await faultsOf(daemon), [])
  }
})
