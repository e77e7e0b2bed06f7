/**
 * Makes the image `busybox:latest` from Debian's busybox-static, as a docker archive that is an OCI layout too. The
 * same busybox gives the same bytes. Run it with the archive's path: `node tools/images/busybox.ts busybox.tar`.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { busyboxRoot } from '../../src/cli/bootstrap/busybox-root.ts'
import { tarHeader } from '../../src/lib/tar-format.ts'
import { writeTar, type TarSource } from '../../src/lib/tar-stream.ts'

const architectures: Record<string, { architecture: string; variant?: string }> = {
  x64: { architecture: 'amd64' },
  arm64: { architecture: 'arm64', variant: 'v8' },
  arm: { architecture: 'arm', variant: 'v7' },
}

/** One image of an archive: its configuration's fields beyond the root file system, its layers, its names. */
export type ImageSource = {
  config: Record<string, unknown>
  /** Tars, from the bottom up. */
  layers: readonly Buffer[]
  names: readonly string[]
}

/** The bytes of a docker archive, which is an OCI layout too, of some images. */
export async function imageArchive(images: readonly ImageSource[]): Promise<Buffer> {
  const blobs = new Map<string, Buffer>()
  const add = (data: Buffer, mediaType: string) => {
    const hex = createHash('sha256').update(data).digest('hex')
    blobs.set(hex, data)
    return { mediaType, digest: `sha256:${hex}`, size: data.length }
  }
  const docker: unknown[] = []
  const manifests: unknown[] = []
  for (const { config, layers, names } of images) {
    const descriptors = layers.map((layer) => add(layer, 'application/vnd.oci.image.layer.v1.tar'))
    const document = {
      ...config,
      rootfs: { type: 'layers', diff_ids: descriptors.map((layer) => layer.digest) },
    }
    const configBlob = add(Buffer.from(JSON.stringify(document)), 'application/vnd.oci.image.config.v1+json')
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const manifest = { schemaVersion: 2, mediaType, config: configBlob, layers: descriptors }
    const descriptor = add(Buffer.from(JSON.stringify(manifest)), mediaType)
    for (const name of names) {
      const annotations = {
        'io.containerd.image.name': name.includes('/') ? name : `docker.io/library/${name}`,
        'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
      }
      manifests.push({ ...descriptor, annotations })
    }
    docker.push({
      Config: blobPath(configBlob.digest),
      RepoTags: names,
      Layers: descriptors.map((layer) => blobPath(layer.digest)),
    })
  }
  const files: [string, Buffer][] = [
    ...[...blobs].map(([hex, data]): [string, Buffer] => [`blobs/sha256/${hex}`, data]),
    [
      'index.json',
      json({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }),
    ],
    ['manifest.json', json(docker)],
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
  ]
  const entries = files.map(([name, data]) => ({
    header: tarHeader({ name, type: 'file', size: data.length }),
    content: [data],
  }))
  return tarOf(entries)
}

/** The bytes of a tar. */
export async function tarOf(entries: Iterable<TarSource>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(entries)))
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** The image itself, to be put into archives beside others. */
export async function busyboxImage(path = '/bin/busybox'): Promise<ImageSource> {
  const busybox = readFileSync(path)
  const applets = execFileSync(path, ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox')
    .sort()
  const created = '2023-05-18T22:34:17Z'
  const layer = await tarOf(busyboxRoot(busybox, applets))
  const platform = architectures[process.arch] ?? { architecture: process.arch }
  return {
    config: {
      ...platform,
      os: 'linux',
      created,
      config: {
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        Cmd: ['sh'],
        WorkingDir: '/',
      },
      history: [
        { created, created_by: 'busybox-static (Debian)' },
        { created, created_by: 'CMD ["sh"]', empty_layer: true },
      ],
    },
    layers: [layer],
    names: ['busybox:latest'],
  }
}

/** Writes the archive of `busybox:latest`. */
export async function buildBusyboxArchive(targetPath: string): Promise<void> {
  writeFileSync(targetPath, await imageArchive([await busyboxImage()]))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const target = process.argv[2]
  if (target === undefined) throw new Error('usage: node tools/images/busybox.ts ARCHIVE')
  await buildBusyboxArchive(target)
}
