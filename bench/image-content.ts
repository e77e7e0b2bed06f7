/** Images to move: layers of files as compressible as those of real images, and where they lie. */
import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { tarHeader } from '../src/lib/tar-format.ts'
import { encodeTarHeader, tarTrailer } from '../src/lib/tar-writer.ts'
import { dockerNamespace } from './engines.ts'

const zip = promisify(gzip)
const text = Buffer.from('The quick brown fox jumps over the lazy dog, again and again. '.repeat(4096))

/** A layer's tar and its gzip. */
export type BuiltLayer = { tar: Buffer; blob: Buffer }

/** A layer of so many files of one size, half of whose bytes cannot be compressed. */
export async function layerOf(name: string, files: number, fileBytes: number): Promise<BuiltLayer> {
  const parts: Uint8Array[] = []
  for (let index = 0; index < files; index++) {
    const directory = `${name}/${Math.floor(index / 100)}`
    if (index % 100 === 0)
      parts.push(encodeTarHeader(tarHeader({ name: `${directory}/`, type: 'directory' })))
    parts.push(
      encodeTarHeader(tarHeader({ name: `${directory}/${index}`, type: 'file', size: fileBytes })),
      ...content(fileBytes),
    )
  }
  const tar = Buffer.concat([...parts, tarTrailer])
  return { tar, blob: await zip(tar, { level: 6 }) }
}

/** Alternating pieces of random bytes and of text, padded to a tar block. */
function content(bytes: number): Buffer[] {
  const piece = 2048
  const parts: Buffer[] = []
  let left = bytes
  for (let index = 0; left > 0; index++) {
    const size = Math.min(piece, left)
    parts.push(index % 2 === 0 ? randomBytes(size) : text.subarray(index % 997, (index % 997) + size))
    left -= size
  }
  return [...parts, Buffer.alloc((512 - (bytes % 512)) % 512)]
}

const sha256 = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`

/** The configuration of an image with these layers. */
export function configOf(layers: readonly BuiltLayer[], label = ''): Buffer {
  return Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      created: '2024-01-01T00:00:00Z',
      config: { Cmd: ['sh'], Labels: { bench: label } },
      rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => sha256(tar)) },
      history: layers.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: 'bench' })),
    }),
  )
}

/** A registry that both engines reach at the same loopback address, each in its own network namespace. */
export type BenchRegistry = {
  host: string
  upload(repository: string, layers: readonly BuiltLayer[]): Promise<void>
  /** Forgets everything. */
  clear(): void
  stop(): void
}

/** Starts the registry: two processes with one directory. */
export async function startRegistry(root: string, port: number): Promise<BenchRegistry> {
  const data = join(root, 'data')
  mkdirSync(data, { recursive: true })
  const config = join(root, 'config.yml')
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${data}}}\nhttp: {addr: "127.0.0.1:${port}", secret: bench}\n`,
  )
  const output = openSync(join(root, 'log'), 'a')
  const serve = ['docker-registry', 'serve', config]
  const inside = ['nsenter', `--net=/run/netns/${dockerNamespace}`, ...serve]
  const processes = [serve, inside].map(([program = '', ...args]) =>
    spawn(program, args, { stdio: ['ignore', output, output] }),
  )
  const url = `http://127.0.0.1:${port}`
  for (let attempt = 0; !(await answers(url)); attempt++) {
    if (attempt > 100) throw new Error('docker-registry does not answer')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    host: `127.0.0.1:${port}`,
    upload: (repository, layers) => upload(url, repository, layers),
    clear: () => rmSync(join(data, 'docker'), { recursive: true, force: true }),
    stop: () => {
      for (const one of processes) one.kill('SIGKILL')
    },
  }
}

async function answers(url: string): Promise<boolean> {
  const inside = spawnSync('nsenter', [`--net=/run/netns/${dockerNamespace}`, 'curl', '-fs', `${url}/v2/`])
  return (
    inside.status === 0 &&
    (await fetch(`${url}/v2/`).then(
      (answer) => answer.ok,
      () => false,
    ))
  )
}

async function upload(url: string, repository: string, layers: readonly BuiltLayer[]): Promise<void> {
  const types = 'application/vnd.docker'
  const config = configOf(layers)
  for (const blob of [config, ...layers.map((layer) => layer.blob)]) {
    const started = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
    const location = new URL(started.headers.get('location') ?? '', url)
    location.searchParams.set('digest', sha256(blob))
    const done = await fetch(location, { method: 'PUT', body: new Uint8Array(blob) })
    if (done.status !== 201) throw new Error(`upload: ${done.status} ${await done.text()}`)
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: `${types}.distribution.manifest.v2+json`,
    config: { mediaType: `${types}.container.image.v1+json`, size: config.length, digest: sha256(config) },
    layers: layers.map(({ blob }) => ({
      mediaType: `${types}.image.rootfs.diff.tar.gzip`,
      size: blob.length,
      digest: sha256(blob),
    })),
  }
  const done = await fetch(`${url}/v2/${repository}/manifests/latest`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: JSON.stringify(manifest),
  })
  if (done.status !== 201) throw new Error(`manifest: ${done.status} ${await done.text()}`)
}

/** A docker archive of images that share their layers. */
export function archiveOf(layers: readonly BuiltLayer[], names: readonly string[]): Buffer {
  const parts: Uint8Array[] = []
  const add = (name: string, data: Buffer) => {
    parts.push(encodeTarHeader(tarHeader({ name, type: 'file', size: data.length })), data)
    parts.push(Buffer.alloc((512 - (data.length % 512)) % 512))
  }
  for (const [index, { tar }] of layers.entries()) add(`${index}.tar`, tar)
  const images = names.map((name, index) => {
    add(`${index}.json`, configOf(layers, name))
    return { Config: `${index}.json`, RepoTags: [name], Layers: layers.map((_layer, at) => `${at}.tar`) }
  })
  add('manifest.json', Buffer.from(JSON.stringify(images)))
  return Buffer.concat([...parts, tarTrailer])
}
