import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capabilityNames } from '../spec/capabilities.ts'
import { HostConfig, Resources } from '../spec/container-config.ts'
import { deviceMajor, deviceMinor } from '../kernel/device-node.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { mountDataAndFlags, tmpfsOptions } from '../kernel/mount-options.ts'
import { containerCapabilities, defaultCapabilities } from './capabilities.ts'
import { parseDeviceRule } from './devices.ts'
import { validateHostConfig, validateUpdate, type HostConfigSettings } from './host-config-validate.ts'
import { findInitProgram } from './init-program.ts'
import { containerEnvironment, overrideEnvironment } from './oci-spec-process.ts'
import { ociNamespaces } from './namespaces.ts'
import { hostPreparation, ociRlimits } from './rlimits.ts'
import { parseSecurityOptions } from './security-options.ts'
import { checkSysctls } from './sysctls.ts'
import { lookUpUser } from './users.ts'

const all = [...capabilityNames]

test('capabilities: add, drop, ALL and privileged', () => {
  const sets = (add: string[], drop: string[], privileged = false) =>
    containerCapabilities({ add, drop, privileged }, all)
  assert.deepEqual(sets([], []), [...defaultCapabilities])
  assert.deepEqual(sets([], [], true), all)
  assert.deepEqual(sets(['net_admin'], ['ALL']), ['CAP_NET_ADMIN'])
  assert.equal(sets(['ALL'], ['CAP_CHOWN']).length, all.length - 1)
  assert.ok(!sets([], ['chown', 'MKNOD']).includes('CAP_CHOWN'))
  assert.equal(sets(['CHOWN'], []).filter((name) => name === 'CAP_CHOWN').length, 1)
  assert.throws(() => sets(['nope'], []), { kind: 'invalid', message: 'unknown capability: "CAP_NOPE"' })
  assert.throws(
    () => containerCapabilities({ add: ['SYS_TIME'], drop: [], privileged: false }, ['CAP_CHOWN']),
    {
      message:
        'capability not supported by your kernel or not available in the current environment: "CAP_SYS_TIME"',
    },
  )
})

const passwd =
  '# comment\nroot:x:0:0:root:/root:/bin/sh\n\nalice:x:1000:100::/home/alice:\n1001:x:5:6::/odd:\nbroken\nbob:x:7:8\n'
const group = 'root:x:0:\nusers:x:100:bob,alice\nwheel:x:10:alice\n77:x:9:\n'

test('users and groups are found as Docker finds them', () => {
  const look = (user: string, groupAdd: string[] = []) => {
    const { uid, gid, additionalGids, home } = lookUpUser({ passwd, group, user, groupAdd })
    return [uid, gid, additionalGids, home]
  }
  assert.deepEqual(look(''), [0, 0, [0], '/root'])
  assert.deepEqual(look('alice'), [1000, 100, [100, 10], '/home/alice'])
  assert.deepEqual(look('1000'), [1000, 100, [100, 10], '/home/alice'])
  assert.deepEqual(look('alice:wheel'), [1000, 10, [10], '/home/alice'])
  assert.deepEqual(look('alice:4'), [1000, 4, [4], '/home/alice'])
  assert.deepEqual(look('1001'), [5, 6, [6], '/odd'], 'a name of digits wins over a number')
  assert.deepEqual(look('4711:77'), [4711, 9, [9], '/'])
  assert.deepEqual(look('bob'), [7, 8, [8, 100], '/'])
  assert.deepEqual(look('root', ['wheel', '5', '77']), [0, 0, [0, 10, 5, 9], '/root'])
  assert.throws(() => look('eve'), { message: 'unable to find user eve: no matching entries in passwd file' })
  assert.throws(() => look('alice:eve'), {
    message: 'unable to find group eve: no matching entries in group file',
  })
  assert.throws(() => look('0', ['eve']), {
    message: 'unable to find group eve: no matching entries in group file',
  })
  assert.throws(() => look('-1'), { message: 'uids and gids must be in range 0-2147483647' })
  assert.throws(() => look('4294967296'), { message: 'uids and gids must be in range 0-2147483647' })
  assert.deepEqual(lookUpUser({ passwd: '', group: '', user: '', groupAdd: [] }).home, '/')
})

test('environment: order, replacement in place, removal, TERM with a terminal', () => {
  const make = (Env: string[], Tty = false) => containerEnvironment({ Env, Tty }, 'box', '/root')
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  assert.deepEqual(make(['X=1']), {
    env: [path, 'HOSTNAME=box', 'X=1', 'HOME=/root'],
    defaults: ['PATH', 'HOSTNAME', 'HOME'],
  })
  assert.deepEqual(make(['HOME=/x', 'PATH=/b', 'TERM=vt'], true).env, [
    'PATH=/b',
    'HOSTNAME=box',
    'TERM=vt',
    'HOME=/x',
  ])
  assert.deepEqual(make([], true).env, [path, 'HOSTNAME=box', 'TERM=xterm', 'HOME=/root'])
  assert.deepEqual(overrideEnvironment(['A=1', 'B=2'], ['B', 'A=', 'C=x=y', 'NONE']), ['A=', 'C=x=y'])
})

test('rlimits: the request wins over defaults, hard limits are clamped, unlimited stays', () => {
  const defaults = [
    { Name: 'nofile', Soft: 10, Hard: 20 },
    { Name: 'core', Soft: 0, Hard: -1 },
  ]
  assert.deepEqual(ociRlimits(defaults, [{ Name: 'nofile', Soft: 5, Hard: 50 }], { RLIMIT_NOFILE: 30 }), [
    { type: 'RLIMIT_NOFILE', hard: 30, soft: 5 },
    { type: 'RLIMIT_CORE', hard: 2 ** 64, soft: 0 },
  ])
})

test('a keeper raises hard limits by their numbers, unlimited ones as far as they go', () => {
  const limits = [
    { type: 'RLIMIT_NOFILE', soft: 5, hard: 2 ** 20 },
    { type: 'RLIMIT_MEMLOCK', soft: 5, hard: 2 ** 64 },
    { type: 'RLIMIT_UNHEARD_OF', soft: 1, hard: 1 },
  ]
  assert.deepEqual(hostPreparation(-500, limits), {
    oomScoreAdj: -500,
    hardLimits: [
      { number: 7, value: '1048576' },
      { number: 8, value: '18446744073709551615' },
    ],
  })
  assert.deepEqual(hostPreparation(0).hardLimits, [])
})

test('a user namespace is made, joined, or not there at all', () => {
  const own = { kind: 'new' } as const
  const namespaces = { network: own, uts: own, pid: own, ipc: own, cgroup: own }
  const users = (source: Parameters<typeof ociNamespaces>[1]) =>
    ociNamespaces(namespaces, source, true).filter(({ type }) => type === 'user')
  assert.deepEqual(users({ kind: 'host' }), [])
  assert.deepEqual(users(own), [{ type: 'user' }])
  assert.deepEqual(users({ kind: 'path', path: '/x' }), [{ type: 'user', path: '/x' }])
})

test('sysctls are allowed by namespace', () => {
  const own = { ipc: true, network: true, uts: true }
  checkSysctls(
    {
      'net.core.somaxconn': '1',
      'kernel.shmmax': '1',
      'fs.mqueue.msg_max': '1',
      'kernel/domainname': 'x',
      'net/ipv4/conf/eth0.1/rp_filter': '0',
    },
    own,
  )
  const refuse = (name: string, namespaces: object, message: string) =>
    assert.throws(() => checkSysctls({ [name]: '1' }, { ...own, ...namespaces }), {
      kind: 'invalid',
      message,
    })
  refuse(
    'net.core.somaxconn',
    { network: false },
    'sysctl "net.core.somaxconn" not allowed in host network namespace',
  )
  refuse('kernel.shmmax', { ipc: false }, 'sysctl "kernel.shmmax" is not in a separate kernel namespace')
  refuse('kernel.panic', {}, 'sysctl "kernel.panic" is not in a separate kernel namespace')
  refuse('vm/swappiness', {}, 'sysctl "vm/swappiness" is not in a separate kernel namespace')
  refuse(
    'kernel.hostname',
    {},
    'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
  )
})

test('device rules', () => {
  assert.deepEqual(parseDeviceRule('c 1:3 mr'), { allow: true, type: 'c', major: 1, minor: 3, access: 'mr' })
  assert.deepEqual(parseDeviceRule('b 8:* rwm'), { allow: true, type: 'b', major: 8, access: 'rwm' })
  assert.deepEqual(parseDeviceRule('a'), { allow: true, access: 'rwm' })
  for (const bad of ['', 'x 1:1 r', 'c 1:1', 'c 1 r', 'c 1:1 rwmx', 'c a:1 r', 'c 1:1 r ']) {
    assert.throws(() => parseDeviceRule(bad), {
      kind: 'invalid',
      message: `invalid device cgroup rule format: '${bad}'`,
    })
  }
  assert.deepEqual([deviceMajor(0x0801), deviceMinor(0x0801)], [8, 1])
  assert.deepEqual([deviceMajor(0x1030_0102), deviceMinor(0x1030_0102)], [1, 0x10302])
})

test('tmpfs options: safe defaults, the last of two opposites, unknown ones refused', () => {
  assert.deepEqual(tmpfsOptions(''), ['noexec', 'nosuid', 'nodev', 'rprivate'])
  assert.deepEqual(tmpfsOptions('exec,size=1m,ro,rw'), [
    'nosuid',
    'nodev',
    'rprivate',
    'exec',
    'size=1m',
    'rw',
  ])
  assert.throws(() => tmpfsOptions('size=1m,bogus'), {
    kind: 'invalid',
    message: 'invalid tmpfs option ["bogus"]',
  })
  assert.deepEqual(mountDataAndFlags('ro,nosuid,size=1m,suid,uid=7'), {
    flags: 1,
    data: 'size=1m,uid=7',
    loop: false,
    propagation: [],
  })
})

test('security options', () => {
  const parsed = parseSecurityOptions(
    ['no-new-privileges', 'seccomp={"a":"b=c"}', 'label:disable', 'apparmor=x'],
    false,
  )
  assert.deepEqual(parsed, {
    noNewPrivileges: true,
    seccomp: '{"a":"b=c"}',
    apparmor: 'x',
    labels: ['disable'],
  })
  assert.equal(parseSecurityOptions(['no-new-privileges=false'], true).noNewPrivileges, false)
  assert.throws(() => parseSecurityOptions(['nonsense'], false), {
    message: 'invalid --security-opt 1: "nonsense"',
  })
  assert.throws(() => parseSecurityOptions(['x=y'], false), { message: 'invalid --security-opt 2: "x=y"' })
  assert.throws(() => parseSecurityOptions(['no-new-privileges=maybe'], false), {
    message: 'invalid --security-opt 2: "no-new-privileges=maybe"',
  })
})

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

test('an init must be a static program', () => {
  assert.equal(
    findInitProgram(['', '/none', '/etc/passwd', '/bin', process.execPath, '/bin/busybox']),
    '/bin/busybox',
  )
  assert.equal(findInitProgram([process.execPath]), undefined)
})
