import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerSummary } from '../spec/container-types.ts'
import type { ImageSummary } from '../spec/image-types.ts'
import type { SystemInfo } from '../spec/system-types.ts'
import { adaptDiskUsage, adaptInfo } from './versions.ts'
import { adaptImageInspect } from './versions-image.ts'

const field = (value: object, name: string): unknown => Reflect.get(value, name)

test('df shows containers and images as the lists of the same version do', () => {
  const container = {
    Id: 'c',
    Health: { Status: 'none', FailingStreak: 0 },
    HostConfig: { NetworkMode: 'x' },
  }
  const usage = {
    Images: [{ Id: 'i', Size: 5 } as ImageSummary],
    Containers: [container as ContainerSummary],
  }
  const [oldImage] = field(adaptDiskUsage(usage, 41, undefined), 'Images') as object[]
  assert.equal(field(oldImage ?? {}, 'VirtualSize'), 5)
  const [newImage] = field(adaptDiskUsage(usage, 44, undefined), 'Images') as object[]
  assert.ok(!('VirtualSize' in (newImage ?? {})))
  const [oldContainer] = field(adaptDiskUsage(usage, 51, undefined), 'Containers') as object[]
  assert.ok(!('Health' in (oldContainer ?? {})))
})

test('info names security options alone before 1.25', () => {
  const info = {
    SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
    Runtimes: {},
    ContainerdCommit: {},
    RuncCommit: {},
    InitCommit: {},
  } as unknown as SystemInfo
  const seen = (version: number) =>
    ['SecurityOptions', 'ExecutionDriver'].map((name) => field(adaptInfo(info, version), name))
  assert.deepEqual(seen(24), [['seccomp', 'cgroupns'], '<not supported>'])
  assert.deepEqual(seen(25), [info.SecurityOptions, undefined])
})

test('an image has the configuration of its container before 1.45 alone', () => {
  const image = { Id: 'i', Size: 1, Config: { Volumes: { '/data': {} } } }
  const inspect = (version: number) => adaptImageInspect(image as never, version)
  const old = field(inspect(44), 'ContainerConfig') as { Volumes: object; Hostname: string }
  assert.deepEqual([old.Volumes, old.Hostname], [{ '/data': {} }, ''])
  assert.equal(field(inspect(44), 'Container'), '')
  assert.ok(!('ContainerConfig' in inspect(45)))
})
