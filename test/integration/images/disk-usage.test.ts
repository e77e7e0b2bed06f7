/** `system df` against `du` of the data root: what it says of each kind is what lies there. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DiskUsage } from '../../../src/spec/system-types.ts'
import {
  buildImage,
  buildIndex,
  startDockerRegistry,
  uploadImage,
  uploadManifest,
} from '../../fixtures/docker-registry.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { tarOf } from '../pull/tars.ts'

/** What `du` counts below some directories, without the directories themselves. */
function du(named: readonly string[]): number {
  const paths = named.filter((path) => existsSync(path))
  if (paths.length === 0) return 0
  const total = execFileSync('du', ['--apparent-size', '--block-size=1', '-cs', ...paths], {
    encoding: 'utf8',
  })
  const directories = execFileSync('find', [...paths, '-type', 'd', '-printf', '%s\n'], { encoding: 'utf8' })
  const all = Number(/^(\d+)\ttotal$/m.exec(total)?.[1])
  return directories
    .split('\n')
    .filter(Boolean)
    .reduce((left, size) => left - Number(size), all)
}

/** The directory `part` of everything that is in a directory of the data root. */
function parts(daemon: TestDaemon, directory: string, part: string): string[] {
  const path = join(daemon.dataRoot, directory)
  return existsSync(path) ? readdirSync(path).map((name) => join(path, name, part)) : []
}

async function usage(daemon: TestDaemon): Promise<Required<DiskUsage>> {
  const { status, body, json } = await daemon.api('GET', '/v1.51/system/df')
  assert.equal(status, 200, body)
  const { json: newer } = await daemon.api('GET', '/v1.52/system/df?verbose=1')
  return {
    ...(json as Required<DiskUsage>),
    ...(newer as Required<DiskUsage>),
    ...(json as Required<DiskUsage>),
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

/** Compares all that is there; answers the number for images. */
async function compare(daemon: TestDaemon): Promise<number> {
  const found = await usage(daemon)
  const layers = parts(daemon, 'layers/overlay2/layers', 'diff')
  assert.equal(found.LayersSize, du([...layers, join(daemon.dataRoot, 'content')]), 'images')
  assert.equal(found.ImageUsage.TotalSize, found.LayersSize)
  const images = found.Images ?? []
  const unique = sum(images.map(({ Size, SharedSize }) => Size - SharedSize))
  const shared = images.map(({ SharedSize }) => SharedSize)
  assert.ok(unique + Math.max(0, ...shared) <= found.LayersSize)
  assert.ok(unique + sum(shared) >= found.LayersSize, 'every byte belongs to an image that is shown')
  const writable = parts(daemon, 'layers/overlay2/writable', 'diff')
  const containers = sum((found.Containers ?? []).map(({ SizeRw = 0 }) => SizeRw))
  assert.equal(containers, du(writable), 'containers')
  const volumes = sum((found.Volumes ?? []).map(({ UsageData }) => UsageData?.Size ?? 0))
  assert.equal(volumes, du([join(daemon.dataRoot, 'volumes')]), 'volumes')
  return found.LayersSize
}

test('what df says of images, containers and volumes is what du finds', async () => {
  await using registry = await startDockerRegistry()
  await using daemon = await startDaemon()
  assert.equal(await compare(daemon), 0)
  await daemon.loadBusybox()
  await compare(daemon)

  // An image of two platforms that share a layer, and one more with that layer.
  const shared = await tarOf({ shared: randomBytes(70_000) })
  const variants = await Promise.all(
    ['amd64', 'arm64'].map(async (architecture) => ({
      ...buildImage([shared, await tarOf({ own: randomBytes(50_000) })], { architecture, kind: 'oci' }),
      platform: { os: 'linux', architecture },
    })),
  )
  for (const image of variants) await uploadImage(registry.url, 'both', image.digest, image)
  await uploadManifest(registry.url, 'both/manifests/v1', buildIndex(variants))
  const other = buildImage([shared, await tarOf({ other: Buffer.alloc(90_000) })])
  await uploadImage(registry.url, 'other', 'v1', other)
  for (const name of ['both', 'both&platform=linux/arm64', 'both&platform=linux/amd64', 'other']) {
    const { body } = await daemon.api('POST', `/images/create?tag=v1&fromImage=${registry.host}/${name}`)
    assert.match(body, /Status:/)
  }
  const before = await compare(daemon)

  const script =
    'dd if=/dev/zero of=/big bs=1000 count=123; ln /big /same; ln -s /big /link; rm /etc/group; echo x >/data/x; dd if=/dev/zero of=/data/y bs=1000 count=45'
  const { code, stderr } = await daemon.docker(
    ['run', '--name', 'box', '--network=none', '-v', 'kept:/data', 'busybox', 'sh', '-c', script],
    {},
  )
  assert.equal(code, 0, stderr)
  assert.equal(await compare(daemon), before)
  const rows = await daemon.wharf(['system', 'df', '--format', '{{.Type}} {{.TotalCount}} {{.Active}}'])
  assert.deepEqual(rows.stdout.trim().split('\n'), [
    'Images 3 1',
    'Containers 1 0',
    'Local Volumes 1 1',
    'Build Cache 0 0',
  ])

  const committed = await daemon.docker(['commit', 'box', 'made'])
  assert.equal(committed.code, 0, committed.stderr)
  assert.ok((await compare(daemon)) > before + 2 * 123_000, 'a layer and its blob')
  await daemon.docker(['rm', 'box'])
  await daemon.docker(['rmi', 'made', `${registry.host}/both:v1`, `${registry.host}/other:v1`, 'busybox'])
  assert.equal(await compare(daemon), 0, 'nothing is left')
})
