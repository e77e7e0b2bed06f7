/**
 * Images between Wharf and other engines, both ways: over our socket as `docker-daemon:`, through a registry, and as
 * archives. Wherever an image went, its id is the same, and a registry's digest stays what it was.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  buildImage,
  startDockerRegistry,
  uploadImage,
  type DockerRegistry,
} from '../fixtures/docker-registry.ts'
import { hasDockerd, startDockerd, type Dockerd } from '../fixtures/dockerd.ts'
import { runCommand } from '../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../fixtures/test-daemon.ts'
import { tarOf } from '../integration/pull/tars.ts'

let daemon: TestDaemon
let registry: DockerRegistry
let busybox = ''

before(async () => {
  registry = await startDockerRegistry()
  daemon = await startDaemon()
  await daemon.loadBusybox()
  busybox = await idOf('busybox')
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

async function must(
  file: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { code, stdout, stderr } = await runCommand(file, args, { env, timeoutMs: 120_000 })
  assert.equal(code, 0, `${file} ${args.join(' ')}: ${stderr}`)
  return stdout.replace(/\n$/, '')
}

async function wharf(...args: string[]): Promise<string> {
  return must('bin/wharf', args, daemon.clientEnvironment())
}

async function idOf(name: string): Promise<string> {
  return wharf('image', 'inspect', '--format', '{{.Id}}', name)
}

/** The digest that a registry has for `NAME:TAG`. */
async function digestAt(name: string, tag: string): Promise<string> {
  const types = ['docker.distribution.manifest.v2', 'oci.image.manifest.v1', 'oci.image.index.v1']
  const accept = types.map((type) => `application/vnd.${type}+json`).join(', ')
  const answer = await fetch(`${registry.url}/v2/${name}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept },
  })
  return answer.headers.get('docker-content-digest') ?? ''
}

/** A place for archives of the test. */
function file(name: string): string {
  return join(daemon.names.root, name)
}

test('skopeo copies from our socket and to it', async () => {
  const at = `unix://${daemon.socketPath}`
  const skopeo = (...args: string[]) => must('skopeo', ['copy', '--insecure-policy', ...args])
  const name = `${registry.host}/from-skopeo:1`
  await skopeo(
    '--src-daemon-host',
    at,
    '--dest-tls-verify=false',
    'docker-daemon:busybox:latest',
    `docker://${name}`,
  )
  await wharf('pull', '-q', name)
  assert.equal(await idOf(name), busybox)
  // The client is told of no older version than Docker's: only these routes take it.
  const old = await daemon.api('GET', '/v1.22/images/busybox/json')
  assert.match(old.body, /client version 1\.22 is too old/)
  // Back in over the socket: from the registry, and from an archive.
  await skopeo(
    '--dest-daemon-host',
    at,
    '--src-tls-verify=false',
    `docker://${name}`,
    'docker-daemon:copied:1',
  )
  assert.equal(await idOf('copied:1'), busybox)
  const archive = file('skopeo.tar')
  await skopeo('--src-daemon-host', at, `docker-daemon:${busybox}`, `docker-archive:${archive}:by-id:1`)
  await skopeo('--dest-daemon-host', at, `docker-archive:${archive}:by-id:1`, 'docker-daemon:by-id:1')
  assert.equal(await idOf('by-id:1'), busybox)
  const shown = await must('skopeo', ['inspect', '--daemon-host', at, 'docker-daemon:busybox:latest'])
  const { Layers, Architecture } = JSON.parse(shown) as { Layers: string[]; Architecture: string }
  assert.equal(Layers.length, 1)
  assert.equal(Architecture, process.arch === 'arm64' ? 'arm64' : 'amd64')
})

for (const engine of ['podman', 'buildah'] as const) {
  test(`${engine} pulls from our socket and pushes to it, and to a registry that we pull from`, async () => {
    const run = storage(engine)
    await run('pull', 'docker-daemon:busybox:latest')
    assert.equal(await theirId(run), busybox)
    await run('push', 'docker.io/library/busybox:latest', `docker-daemon:from-${engine}:1`)
    assert.equal(await idOf(`from-${engine}:1`), busybox)
    const name = `${registry.host}/from-${engine}`
    await run('push', '--tls-verify=false', 'docker.io/library/busybox:latest', `docker://${name}:1`)
    await wharf('pull', '-q', `${name}:1`)
    assert.equal(await idOf(`${name}:1`), busybox)
    // What it pushed is pushed on by us, and what it then pulls has the digest that it made.
    await wharf('tag', `${name}:1`, `${name}:2`)
    await wharf('push', '-q', `${name}:2`)
    assert.equal(await digestAt(`from-${engine}`, '2'), await digestAt(`from-${engine}`, '1'))
    await run('rmi', '--all', '--force')
    await run('pull', '--tls-verify=false', `${name}:2`)
    assert.equal(await theirId(run), busybox)
  })
}

test('archives of podman load here, and ours load there', async () => {
  const run = storage('podman')
  await run('load', '-i', await saved('ours.tar', 'busybox'))
  assert.equal(await theirId(run), busybox)
  const other = buildImage([await tarOf({ other: randomBytes(2000) })], { kind: 'oci' })
  await uploadImage(registry.url, 'second', '1', other)
  await run('pull', '--tls-verify=false', `${registry.host}/second:1`)
  for (const format of ['docker-archive', 'oci-archive']) {
    const archive = file(`podman-${format}.tar`)
    await run('tag', 'docker.io/library/busybox:latest', `docker.io/library/${format}:1`)
    await run('save', '--format', format, '-o', archive, `docker.io/library/${format}:1`)
    assert.match(await wharf('load', '-i', archive), new RegExp(`Loaded image: ${format}:1`))
    assert.equal(await idOf(`${format}:1`), busybox)
  }
  const both = file('podman-both.tar')
  await run('save', '-m', '-o', both, 'docker.io/library/docker-archive:1', `${registry.host}/second:1`)
  await wharf('rmi', 'docker-archive:1')
  await wharf('load', '-q', '-i', both)
  assert.equal(await idOf('docker-archive:1'), busybox)
  assert.equal(await idOf(`${registry.host}/second:1`), other.id)
  // And several of ours go there in one.
  const back = await saved('several.tar', 'docker-archive:1', `${registry.host}/second:1`)
  await run('rmi', '--all', '--force')
  await run('load', '-i', back)
  const ids = (await run('images', '--quiet', '--no-trunc')).split('\n').toSorted()
  assert.deepEqual(ids, [busybox, other.id].toSorted())
})

test('a real dockerd and ours exchange images through a registry', { skip: !hasDockerd }, async () => {
  await using dockerd = await startDockerd()
  // Ours goes there.
  const ours = `${registry.host}/ours`
  await wharf('tag', 'busybox', `${ours}:1`)
  await wharf('push', '-q', `${ours}:1`)
  assert.match(
    await dockerd.docker('pull', `${ours}:1`),
    new RegExp(`Digest: ${await digestAt('ours', '1')}`),
  )
  assert.equal(await theirs(dockerd, `${ours}:1`), busybox)
  // It is pushed from there to another name, and comes back.
  const returned = `${registry.host}/theirs`
  await dockerd.docker('tag', `${ours}:1`, `${returned}:1`)
  const pushed = /digest: (sha256:\S+)/.exec(await dockerd.docker('push', `${returned}:1`))?.[1]
  assert.match(await wharf('pull', `${returned}:1`), new RegExp(`Digest: ${pushed}`))
  assert.equal(await idOf(`${returned}:1`), busybox)
  // What dockerd made is pushed on by us with dockerd's digest, and found by it to be what it has.
  await wharf('tag', `${returned}:1`, `${returned}:2`)
  await wharf('push', '-q', `${returned}:2`)
  assert.equal(await digestAt('theirs', '2'), pushed)
  assert.match(await dockerd.docker('pull', `${returned}:2`), new RegExp(`Digest: ${pushed}`))
  // By digest there and here.
  assert.equal(await theirs(dockerd, `${returned}@${pushed}`), busybox)
  assert.equal(await idOf(`${returned}@${pushed}`), busybox)
})

test('a real dockerd and ours exchange archives', { skip: !hasDockerd }, async () => {
  await using dockerd = await startDockerd()
  const layers = [await tarOf({ one: randomBytes(3000) }), await tarOf({ two: randomBytes(3000) })]
  const image = buildImage(layers, { config: { Cmd: ['/x'], Labels: { of: 'both' } } })
  await uploadImage(registry.url, 'layered', '1', image)
  const name = `${registry.host}/layered:1`
  await wharf('pull', '-q', name)
  const ours = await saved('to-docker.tar', 'busybox', name)
  const loaded = await dockerd.docker('load', '-i', ours)
  assert.deepEqual(
    loaded.split('\n').toSorted(),
    [`Loaded image: ${name}`, 'Loaded image: busybox:latest'].toSorted(),
  )
  assert.equal(await theirs(dockerd, 'busybox'), busybox)
  assert.equal(await theirs(dockerd, name), image.id)
  await dockerd.docker('tag', name, 'renamed:1')
  const archive = file('from-docker.tar')
  await dockerd.docker('save', '-o', archive, 'busybox', 'renamed:1')
  await wharf('rmi', '-f', 'busybox', name)
  assert.match(await wharf('load', '-i', archive), /Loaded image: renamed:1/)
  assert.equal(await idOf('busybox'), busybox)
  assert.equal(await idOf('renamed:1'), image.id)
  // An image without a name, by its id.
  const unnamed = file('unnamed.tar')
  await dockerd.docker('save', '-o', unnamed, image.id)
  await wharf('rmi', 'renamed:1')
  assert.equal(await wharf('load', '-i', unnamed), `Loaded image ID: ${image.id}`)
})

type Engine = (...args: string[]) => Promise<string>

/** They know `docker-daemon:` at one place only: in a view of their own our socket stands there. */
const inView = 'mount -t tmpfs tmpfs /run && ln -s "$0" /run/docker.sock && exec "$@"'

/** One of the engines that have no daemon, with an empty storage of its own. */
function storage(engine: 'podman' | 'buildah'): Engine {
  const root = file(`storage-${engine}-${randomBytes(3).toString('hex')}`)
  mkdirSync(root)
  const policy = join(root, 'policy.json')
  writeFileSync(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  const places = ['--root', join(root, 'data'), '--runroot', join(root, 'run'), '--storage-driver', 'vfs']
  return async (command, ...args) => {
    const checked = ['pull', 'push'].includes(command) ? ['--signature-policy', policy] : []
    const line = [engine, ...places, command, ...checked, ...args]
    return must('unshare', ['--mount', 'sh', '-c', inView, daemon.socketPath, ...line])
  }
}

/** The id of its only image. */
async function theirId(run: Engine): Promise<string> {
  return run('images', '--quiet', '--no-trunc')
}

async function theirs({ docker }: Dockerd, name: string): Promise<string> {
  return docker('image', 'inspect', '--format', '{{.Id}}', name)
}

async function saved(name: string, ...images: string[]): Promise<string> {
  await wharf('save', '-o', file(name), ...images)
  return file(name)
}
