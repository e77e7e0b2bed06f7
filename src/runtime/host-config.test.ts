import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capabilityNames } from '../spec/capabilities.ts'
import { HostConfig, Resources } from '../spec/container-config.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { validateHostConfig, validateUpdate, type HostConfigSettings } from './host-config-validate.ts'

const all = [...capabilityNames]

const features = {
  memoryLimit: true,
  swapLimit: true,
  memoryReservation: true,
  memorySwappiness: true,
  oomKillDisable: true,
  kernelMemory: false,
  pidsLimit: true,
  cpuCfs: true,
  cpuShares: true,
  cpuRealtime: false,
  cpuset: true,
  blkioWeight: true,
  blkioWeightDevice: true,
  blkioThrottle: true,
}
const facts: KernelFacts = {
  kernelVersion: '6.1.0',
  architecture: 'x86_64',
  operatingSystem: 'Test',
  osVersion: '1',
  cpuCount: 2,
  memoryBytes: 1 << 30,
  cgroup: { mode: 'v1', controllers: new Map(), unifiedControllers: new Set(), mounts: [] },
  features,
  cpusetCpus: '0-1',
  cpusetMems: '0',
  cgroupNamespaces: true,
  capabilities: all,
  apparmor: false,
  selinux: false,
  seccomp: true,
  ipv4Forwarding: true,
  bridgeNfIptables: false,
  bridgeNfIp6tables: false,
  thermalPaths: [],
}
const settings: HostConfigSettings = {
  defaultShmSizeBytes: 64 << 20,
  defaultIpcMode: 'private',
  defaultCgroupnsMode: '',
  defaultRuntime: 'crun',
  runtimes: ['crun', 'runc'],
  remapped: false,
}
const validate = (given: object, changed: Partial<KernelFacts> = {}) => {
  const hostConfig = HostConfig.parse(given)
  const warnings = validateHostConfig(hostConfig, { ...facts, ...changed }, settings)
  return { hostConfig, warnings }
}

test('what is not given gets Docker defaults', () => {
  const { hostConfig, warnings } = validate({
    Memory: 100 << 20,
    CapAdd: ['net_admin', 'CAP_CHOWN'],
  })
  assert.deepEqual(warnings, [])
  const { MemorySwap, ShmSize, IpcMode, CgroupnsMode, Runtime, CapAdd, OomKillDisable } = hostConfig
  assert.deepEqual(
    { MemorySwap, ShmSize, IpcMode, CgroupnsMode, Runtime, CapAdd, OomKillDisable },
    {
      MemorySwap: 200 << 20,
      ShmSize: 64 << 20,
      IpcMode: 'private',
      CgroupnsMode: 'host',
      Runtime: 'crun',
      CapAdd: ['CAP_CHOWN', 'CAP_NET_ADMIN'],
      OomKillDisable: false,
    },
  )
  assert.ok(hostConfig.MaskedPaths?.includes('/proc/kcore'))
  assert.deepEqual(validate({ Privileged: true }).hostConfig.MaskedPaths, [])
  const v2 = { cgroup: { ...facts.cgroup, mode: 'v2' as const } }
  assert.equal(validate({ Privileged: true }, v2).hostConfig.CgroupnsMode, 'private')
})

const refusals: [object, string][] = [
  [{ Memory: 1024 }, 'Minimum memory limit allowed is 6MB'],
  [{ Memory: -1 }, 'Minimum memory limit allowed is 6MB'],
  [
    { Memory: 100 << 20, MemorySwap: 50 << 20 },
    'Minimum memoryswap limit should be larger than memory limit, see usage',
  ],
  [{ MemorySwap: 50 << 20 }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
  [{ MemorySwappiness: 101 }, 'Invalid value: 101, valid memory swappiness range is 0-100'],
  [{ MemoryReservation: 100 }, 'Minimum memory reservation allowed is 6MB'],
  [
    { Memory: 8 << 20, MemoryReservation: 9 << 20 },
    'Minimum memory limit can not be less than memory reservation limit, see usage',
  ],
  [{ NanoCpus: 3e9 }, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
  [{ NanoCpus: 1e9, CpuPeriod: 100_000 }, 'Conflicting options: Nano CPUs and CPU Period cannot both be set'],
  [{ NanoCpus: 1e9, CpuQuota: 100_000 }, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set'],
  [{ CpuShares: -5 }, 'invalid CPU shares (-5): value must be a positive integer'],
  [{ CpuShares: 1 }, 'the minimum allowed cpu-shares is 2'],
  [{ CpuShares: 262_145 }, 'the maximum allowed cpu-shares is 262144'],
  [{ CpuPeriod: 10 }, 'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)'],
  [{ CpuQuota: 10 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
  [{ CpuRealtimeRuntime: 10 }, 'Your kernel does not support CPU real-time scheduler'],
  [{ CpusetCpus: '5' }, 'Requested CPUs are not available - requested 5, available: 0-1'],
  [{ CpusetMems: '1' }, 'Requested memory nodes are not available - requested 1, available: 0'],
  [{ BlkioWeight: 5 }, 'Range of blkio weight is from 10 to 1000'],
  [
    { IOMaximumIOps: 1 },
    'Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps',
  ],
  [{ IpcMode: 'x' }, 'invalid IPC mode: x'],
  [{ PidMode: 'container:' }, 'invalid PID mode: container:'],
  [{ UTSMode: 'x' }, 'invalid UTS mode: x'],
  [{ UsernsMode: 'x' }, 'invalid USER mode: x'],
  [{ CgroupnsMode: 'x' }, 'invalid cgroup namespace mode: x'],
  [{ ShmSize: -1 }, 'SHM size can not be less than 0'],
  [{ OomScoreAdj: 1001 }, 'Invalid value 1001, range for oom score adj is [-1000, 1000]'],
  [{ Runtime: 'x' }, 'unknown or invalid runtime name: x'],
  [{ CapAdd: ['FOO'] }, 'invalid CapAdd: unknown capability: "CAP_FOO"'],
  [{ CapDrop: ['FOO'] }, 'invalid CapDrop: unknown capability: "CAP_FOO"'],
  [{ Isolation: 'hyperv' }, "invalid isolation 'hyperv' on linux"],
  [
    { Annotations: { '': 'x' } },
    'invalid Annotations: the empty string is not permitted as an annotation key',
  ],
  [{ Tmpfs: { x: '' } }, "invalid mount path: 'x' mount path must be absolute"],
  [{ Tmpfs: { '/': '' } }, "invalid specification: destination can't be '/'"],
  [
    { AutoRemove: true, RestartPolicy: { Name: 'always' } },
    "can't create 'AutoRemove' container with restart policy",
  ],
  [
    { RestartPolicy: { Name: 'sometimes' } },
    "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
  ],
  [
    { RestartPolicy: { Name: 'always', MaximumRetryCount: 3 } },
    "invalid restart policy: maximum retry count can only be used with 'on-failure'",
  ],
  [
    { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: -1 } },
    'invalid restart policy: maximum retry count cannot be negative',
  ],
]

test('nonsense is refused with Docker texts', () => {
  for (const [given, message] of refusals)
    assert.throws(() => validate(given), { kind: 'invalid', message }, message)
  assert.throws(
    () => validate({ CpusetCpus: '0-' }),
    /^EngineError: Invalid value 0- for cpuset cpus: invalid format: 0-$/,
  )
})

const discards: [object, Partial<KernelFacts>, string, object][] = [
  [
    { Memory: 64 << 20 },
    { features: { ...features, swapLimit: false } },
    'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    { MemorySwap: -1 },
  ],
  [
    { Memory: 64 << 20 },
    { features: { ...features, memoryLimit: false } },
    'Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    { Memory: 0 },
  ],
  [
    { OomKillDisable: true },
    { features: { ...features, oomKillDisable: false } },
    'Your kernel does not support OomKillDisable. OomKillDisable discarded.',
    { OomKillDisable: null },
  ],
  [
    { OomKillDisable: true },
    {},
    'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    { OomKillDisable: true },
  ],
  [
    { PidsLimit: 5 },
    { features: { ...features, pidsLimit: false } },
    'Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.',
    { PidsLimit: null },
  ],
  [
    { BlkioWeight: 100 },
    { features: { ...features, blkioWeight: false } },
    'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
    { BlkioWeight: 0 },
  ],
  [
    { KernelMemory: 64 << 20 },
    {},
    'Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    { KernelMemory: 0 },
  ],
  [
    { NetworkMode: 'host', PortBindings: { '80/tcp': [] } },
    {},
    'Published ports are discarded when using host network mode',
    {},
  ],
  [{}, { ipv4Forwarding: false }, 'IPv4 forwarding is disabled. Networking will not work.', {}],
  [
    { SecurityOpt: ['apparmor=mine'] },
    {},
    'Your kernel does not support AppArmor or it is not enabled. AppArmor profile discarded.',
    {},
  ],
  [
    { BlkioDeviceReadBps: [{ Path: '/dev/x', Rate: 1 }] },
    { features: { ...features, blkioThrottle: false } },
    'Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.',
    { BlkioDeviceReadBps: [] },
  ],
]

test('what the kernel lacks is taken out with Docker warning', () => {
  for (const [given, changed, warning, after] of discards) {
    const { hostConfig, warnings } = validate(given, changed)
    assert.deepEqual(warnings, [warning])
    assert.deepEqual({ ...hostConfig, ...after }, hostConfig)
  }
})

test('an update may set swap alone, and is checked like a create', () => {
  assert.deepEqual(validateUpdate(Resources.parse({ MemorySwap: 64 << 20 }), facts), [])
  assert.throws(() => validateUpdate(Resources.parse({ Memory: 1 }), facts), {
    message: 'Minimum memory limit allowed is 6MB',
  })
})

test('ulimits that the daemon may not give are lowered with a warning, unknown ones refused', () => {
  const { warnings } = validate(
    { Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 100 }] },
    { hardLimits: { RLIMIT_NOFILE: 50 } },
  )
  assert.match(warnings.join(), /hard limit of nofile.*Limited to 50/)
  assert.throws(() => validate({ Ulimits: [{ Name: 'x', Soft: 1, Hard: 1 }] }), {
    message: 'invalid ulimit type: x',
  })
  assert.throws(
    () => validate({ Ulimits: [{ Name: 'core', Soft: 2, Hard: 1 }] }),
    /soft limit must be less than or equal to hard limit/,
  )
})
