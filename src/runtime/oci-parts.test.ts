import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capabilityNames } from '../spec/capabilities.ts'
import { deviceMajor, deviceMinor } from '../kernel/device-node.ts'
import { mountDataAndFlags, tmpfsOptions } from '../kernel/mount-options.ts'
import { containerCapabilities, defaultCapabilities } from './capabilities.ts'
import { parseDeviceRule } from './devices.ts'
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

test('an init must be a static program', () => {
  assert.equal(
    findInitProgram(['', '/none', '/etc/passwd', '/bin', process.execPath, '/bin/busybox']),
    '/bin/busybox',
  )
  assert.equal(findInitProgram([process.execPath]), undefined)
})
