import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ContainerConfig,
  HostConfig,
  NetworkingConfig,
  type ContainerCreateRequest,
} from '../spec/container-config.ts'
import type { ContainerSummary } from '../spec/container-types.ts'
import { errorMessage } from '../spec/errors.ts'
import type { ImageSummary } from '../spec/image-types.ts'
import type { SystemInfo } from '../spec/system-types.ts'
import { adaptCreateRequest, adaptDiskUsage, adaptInfo } from './versions.ts'
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

test('an image without a creation time has the zero time before 1.44', () => {
  const seen = (version: number) =>
    field(adaptImageInspect({ Id: 'i', Size: 1, Config: null } as never, version), 'Created')
  assert.deepEqual([seen(43), seen(44)], ['0001-01-01T00:00:00Z', undefined])
})

const mac = '02:42:ac:11:00:77'
const mismatch = 'HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks'
const ports = { PortBindings: { '80/tcp': [] } }
const anyPort = { '80/tcp': [{ HostIp: '', HostPort: '' }] }
const portWarning =
  'Following container port(s) have an empty list of port-bindings: 80/tcp. Such bindings will be discarded in a future version.'
const sysctl = { 'net.ipv4.conf.eth0.forwarding': '1' }
const sysctls = {
  HostConfig: { Sysctls: sysctl, NetworkMode: 'lan' },
  NetworkingConfig: { EndpointsConfig: { other: {} } },
}
const healthcheck = { Healthcheck: { Test: ['CMD', 'true'], StartInterval: 5_000_000_000 } }

type Read = (request: ContainerCreateRequest, warnings: string[]) => unknown

/** A part of a create request, what is looked at, and what that is from each version on: an error as its text. */
const createRows: [string, Record<string, unknown>, Read, Record<number, unknown>][] = [
  [
    'kernel memory',
    { HostConfig: { KernelMemory: 64 << 20 } },
    ({ hostConfig }) => hostConfig.KernelMemory,
    { 41: 64 << 20, 42: 0 },
  ],
  [
    'console size',
    { HostConfig: { ConsoleSize: [30, 90] } },
    ({ hostConfig }) => hostConfig.ConsoleSize,
    { 41: null, 42: [30, 90] },
  ],
  [
    'options of another type',
    { HostConfig: { Mounts: [{ Type: 'volume', Source: 'v', Target: '/v', TmpfsOptions: {} }] } },
    ({ hostConfig }) => hostConfig.Mounts?.[0]?.TmpfsOptions,
    { 41: null, 42: 'TmpfsOptions must not be specified on mount type "volume"' },
  ],
  [
    'annotations',
    { HostConfig: { Annotations: { a: 'b' } } },
    ({ hostConfig }) => hostConfig.Annotations,
    { 42: null, 43: { a: 'b' } },
  ],
  ['start interval', healthcheck, ({ config }) => config.Healthcheck?.StartInterval, { 43: 0, 44: 5e9 }],
  [
    'read-only depth',
    {},
    ({ readOnlyNonRecursive = false }) => readOnlyNonRecursive,
    { 43: true, 44: false },
  ],
  [
    'several networks',
    { NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } } },
    ({ networkingConfig }) => Object.keys(networkingConfig.EndpointsConfig ?? {}),
    { 43: 'Container cannot be created with multiple network endpoints: a, b', 44: ['a', 'b'] },
  ],
  [
    'MAC address beside another network',
    {
      MacAddress: mac,
      HostConfig: { NetworkMode: 'lan' },
      NetworkingConfig: { EndpointsConfig: { other: {} } },
    },
    ({ networkingConfig }) => networkingConfig.EndpointsConfig?.['other']?.MacAddress,
    {
      43: mac,
      44: `unable to migrate container-wide MAC address to a specific network: ${mismatch}`,
      52: '',
    },
  ],
  [
    'sysctl of an interface',
    sysctls,
    ({ hostConfig }) => hostConfig.Sysctls,
    {
      43: {},
      44: `unable to find a network for sysctl net.ipv4.conf.eth0.forwarding: ${mismatch}`,
      48: `interface specific sysctl setting "net.ipv4.conf.eth0.forwarding" must be supplied using driver option 'com.docker.network.endpoint.sysctls'`,
    },
  ],
  [
    'subpath',
    {
      HostConfig: {
        Mounts: [{ Type: 'volume', Source: 'v', Target: '/v', VolumeOptions: { Subpath: 's' } }],
      },
    },
    ({ hostConfig }) => hostConfig.Mounts?.[0]?.VolumeOptions?.Subpath,
    { 44: 'VolumeOptions.Subpath needs API v1.45 or newer', 45: 's' },
  ],
  [
    'image mount',
    { HostConfig: { Mounts: [{ Type: 'image', Source: 'i', Target: '/i' }] } },
    ({ hostConfig }) => hostConfig.Mounts?.[0]?.Type,
    { 47: 'Mount type "Image" needs API v1.48 or newer', 48: 'image' },
  ],
  [
    'empty port bindings',
    { HostConfig: ports },
    ({ hostConfig }) => hostConfig.PortBindings,
    { 51: anyPort, 55: anyPort },
  ],
  [
    'warning of them',
    { HostConfig: ports },
    (_request, warnings) => warnings,
    { 51: [], 52: [portWarning], 55: [portWarning] },
  ],
]

for (const [name, body, read, expected] of createRows) {
  test(`a create request's ${name} means what it does in the client's version`, () => {
    const seen = (version: number): unknown => {
      const request: ContainerCreateRequest = {
        config: ContainerConfig.parse(body),
        hostConfig: HostConfig.parse(body['HostConfig'] ?? {}),
        networkingConfig: NetworkingConfig.parse(body['NetworkingConfig'] ?? {}),
      }
      try {
        return read(request, adaptCreateRequest(request, version, { cgroupUnified: true }))
      } catch (error) {
        return errorMessage(error)
      }
    }
    for (const [version, value] of Object.entries(expected))
      assert.deepEqual(seen(Number(version)), value, version)
  })
}
