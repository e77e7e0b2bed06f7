import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import koffi from 'koffi'
import { encodeJson } from '../lib/http-json.ts'
import { capabilityNames } from '../spec/capabilities.ts'
import type { OciSeccomp } from '../spec/oci-runtime-types.ts'
import { readKernelFacts } from '../kernel/host-info.ts'
import { defaultCapabilities } from './capabilities.ts'
import { compileSeccomp } from './seccomp-bpf.ts'
import { defaultSeccompProfile } from './seccomp-default.ts'
import { isKernelAtLeast, parseSeccompProfile, resolveSeccomp } from './seccomp-profile.ts'
import { syscallTables } from './seccomp-syscalls.ts'
import { SeccompFilters } from './seccomp.ts'

type Call = { arch: number; number: number; args: bigint[] }

/** What the kernel would answer: the classic BPF that seccomp allows. */
function interpret(program: Buffer, { arch, number, args }: Call): number {
  const data = Buffer.alloc(64)
  data.writeInt32LE(number | 0, 0)
  data.writeUInt32LE(arch, 4)
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(value, 16 + 8 * index)
  let accumulator = 0
  for (let at = 0; ; at++) {
    const code = program.readUInt16LE(at * 8)
    const k = program.readUInt32LE(at * 8 + 4)
    const branch = (holds: boolean) => program.readUInt8(at * 8 + (holds ? 2 : 3))
    if (code === 0x06) return k
    if (code === 0x20) accumulator = data.readUInt32LE(k)
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0
    else if (code === 0x05) at += k
    else if (code === 0x15) at += branch(accumulator === k)
    else if (code === 0x25) at += branch(accumulator > k)
    else if (code === 0x35) at += branch(accumulator >= k)
    else assert.fail(`instruction ${code.toString(16)}`)
  }
}

const library = koffi.load('libseccomp.so.2')
const native = {
  init: library.func('void *seccomp_init(uint32_t action)'),
  release: library.func('void seccomp_release(void *context)'),
  archAdd: library.func('int seccomp_arch_add(void *context, uint32_t arch)'),
  archRemove: library.func('int seccomp_arch_remove(void *context, uint32_t arch)'),
  resolve: library.func('int seccomp_syscall_resolve_name(const char *name)'),
  add: library.func(
    'int seccomp_rule_add_array(void *context, uint32_t action, int number, unsigned int count, const uint8_t *args)',
  ),
  export: library.func('int seccomp_export_bpf(void *context, int fd)'),
}
const unknownName = -1
const tokens: Record<string, number> = {
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_X32: 0x4000003e,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_ARM: 0x40000028,
}
const operators = ['', 'NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ']
const actions: Record<string, number> = {
  ALLOW: 0x7fff0000,
  KILL: 0,
  KILL_PROCESS: 0x80000000,
  TRAP: 0x30000,
  LOG: 0x7ffc0000,
}

function action(name: string, errno = 1): number {
  const short = name.replace('SCMP_ACT_', '')
  return short === 'ERRNO' ? 0x50000 | errno : short === 'TRACE' ? 0x7ff00000 | errno : actions[short]!
}

/** The same profile by libseccomp, the way OCI runtimes drive it. */
function byLibseccomp(profile: OciSeccomp): Buffer {
  const fallback = action(profile.defaultAction, profile.defaultErrnoRet)
  const context = native.init(fallback)
  for (const name of profile.architectures ?? []) native.archAdd(context, tokens[name])
  // The machine's own architecture (0 for libseccomp) is there from the start.
  const own = process.arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'
  if (!(profile.architectures ?? []).includes(own)) native.archRemove(context, 0)
  for (const rule of profile.syscalls) {
    const outcome = action(rule.action, rule.errnoRet)
    if (outcome === fallback) continue
    const args = rule.args ?? []
    const bytes = Buffer.alloc(24 * 6)
    for (const [index, arg] of args.entries()) {
      bytes.writeUInt32LE(arg.index, index * 24)
      bytes.writeUInt32LE(operators.indexOf(arg.op.replace('SCMP_CMP_', '')), index * 24 + 4)
      bytes.writeBigUInt64LE(BigInt(arg.value), index * 24 + 8)
      bytes.writeBigUInt64LE(BigInt(arg.valueTwo ?? 0), index * 24 + 16)
    }
    for (const name of rule.names) {
      assert.equal(native.add(context, outcome, native.resolve(name), args.length, bytes), 0, name)
    }
  }
  const directory = mkdtempSync(join(tmpdir(), 'wharf-seccomp-'))
  try {
    const fd = openSync(join(directory, 'bpf'), 'w')
    assert.equal(native.export(context, fd), 0)
    closeSync(fd)
    return readFileSync(join(directory, 'bpf'))
  } finally {
    native.release(context)
    rmSync(directory, { recursive: true })
  }
}

/** Without the names that this libseccomp is too old for. */
function knownOnly(profile: OciSeccomp): OciSeccomp {
  const syscalls = profile.syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => native.resolve(name) !== unknownName) }))
    .filter((rule) => rule.names.length > 0)
  return { ...profile, syscalls }
}

/** A small generator with a seed: the same calls at every run. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state
  }
}

const interesting = [
  0n,
  1n,
  2n,
  8n,
  11n,
  12n,
  13n,
  16n,
  38n,
  39n,
  40n,
  45n,
  46n,
  0x20000n,
  0x20008n,
  0x7e020000n,
  0x10000000n,
  0x11n,
  0xffffffffn,
  0x100000000n,
  0x100000001n,
  0x7fffffffffffffffn,
  0xffffffffffffffffn,
]

/** All numbers of all architectures, with arguments around the edges and random ones. */
function* calls(seed: number, rounds: number): Generator<Call> {
  const next = random(seed)
  const word = () => {
    const pick = next()
    if (pick % 4 !== 0) return interesting[(pick >>> 3) % interesting.length]!
    return (BigInt(next()) << 32n) | BigInt(next())
  }
  for (const arch of [0xc000003e, 0x40000003, 0xc00000b7, 0x40000028]) {
    const wide = arch >= 0xc0000000
    const numbers = Array.from({ length: 620 }, (_, index) => index)
    if (wide) numbers.push(...numbers.map((number) => number + 0x40000000))
    numbers.push(
      0xf0001,
      0xf0002,
      0xf0003,
      0xf0005,
      0x3fffffff,
      0x7fffffff,
      0x80000000,
      0xfffffffe,
      0xffffffff,
    )
    for (const number of numbers) {
      for (let round = 0; round < rounds; round++) {
        const args = Array.from({ length: 6 }, () => (wide ? word() : word() & 0xffffffffn))
        yield { arch, number, args }
      }
    }
  }
}

function compare(profile: OciSeccomp, seed: number, rounds: number): void {
  const ours = compileSeccomp(profile)
  assert.ok(ours !== undefined)
  const theirs = byLibseccomp(profile)
  for (const call of calls(seed, rounds)) {
    const left: number = interpret(ours, call)
    const right: number = interpret(theirs, call)
    if (left !== right) {
      const shown = JSON.stringify({ ...call, args: call.args.map(String) })
      assert.fail(`${shown}: ours ${left.toString(16)}, libseccomp ${right.toString(16)}`)
    }
  }
}

const subject = { architecture: 'x86_64', kernelVersion: '6.18.0', capabilities: defaultCapabilities }

test('the default profile decides every call as libseccomp does', () => {
  for (const capabilities of [defaultCapabilities, [], [...capabilityNames]]) {
    compare(knownOnly(resolveSeccomp(defaultSeccompProfile, { ...subject, capabilities })), 7, 3)
  }
})

test('the default profile for arm64 decides as libseccomp does', () => {
  const arm = { ...subject, architecture: 'aarch64' }
  compare(knownOnly(resolveSeccomp(defaultSeccompProfile, arm)), 11, 4)
})

test('generated profiles decide every call as libseccomp does', () => {
  const next = random(99)
  const names = syscallTables.x86_64
    .trim()
    .split(/\s+/)
    .filter((name) => name !== '-' && native.resolve(name) >= 0)
  // Those behind socketcall and ipc differ on 32 bits by design of libseccomp; they have a test of their own.
  const plain = names.filter(
    (name) =>
      !/^(sem|shm|msg|socket|accept|bind|connect|listen|get(sock|peer)|send(to|msg|mmsg)?$|recv|set?sockopt|shutdown)/.test(
        name,
      ),
  )
  for (let round = 0; round < 12; round++) {
    const unused = new Set(plain)
    const take = () => {
      const list = [...unused]
      const name = list[next() % list.length]!
      unused.delete(name)
      return name
    }
    const outcomes = [
      'SCMP_ACT_ALLOW',
      'SCMP_ACT_ERRNO',
      'SCMP_ACT_KILL_PROCESS',
      'SCMP_ACT_TRAP',
      'SCMP_ACT_LOG',
    ]
    const syscalls = Array.from({ length: 60 }, (_, index) => {
      const comparison = `SCMP_CMP_${operators[1 + (next() % 7)]}`
      const value = Number(interesting[next() % 20])
      const valueTwo = Number(interesting[next() % 20]! & BigInt(value))
      const rule = { names: [take()], action: outcomes[next() % outcomes.length]!, errnoRet: 22 }
      return index % 3 === 0
        ? { ...rule, args: [{ index: next() % 6, op: comparison, value, valueTwo }] }
        : rule
    })
    const architectures = [['SCMP_ARCH_X86_64'], ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']][
      round % 2
    ]!
    compare(
      { defaultAction: outcomes[round % outcomes.length]!, defaultErrnoRet: 5, architectures, syscalls },
      round,
      3,
    )
  }
})

test('values of 64 bits are exact, in the filter and in what the runtime is given', () => {
  const most = 2n ** 64n - 1n
  const text = (value: string, valueTwo = '0') => `{
    "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
      {"names": ["read"], "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": ${value}, "valueTwo": ${valueTwo}, "op": "SCMP_CMP_EQ"}]}]}`
  for (const value of [most, most - 1n, 2n ** 53n + 1n, 5n]) {
    const resolved = resolveSeccomp(parseSeccompProfile(text(String(value), String(value))), subject)
    const program = compileSeccomp(resolved)!
    const decide = (first: bigint) =>
      interpret(program, { arch: 0xc000003e, number: 0, args: [first, 0n, 0n, 0n, 0n, 0n] })
    assert.deepEqual([decide(value), decide(value - 1n)], [0x7fff0000, 0x50001], String(value))
    assert.match(encodeJson(resolved), new RegExp(`"value":${value},"valueTwo":${value}}`))
  }
  for (const value of ['18446744073709551616', '1.5', '-1', '"1"']) {
    assert.throws(() => parseSeccompProfile(text(value)), /Decoding seccomp profile failed/, value)
  }
})

test('two conditions on different arguments must both hold, on one argument either', () => {
  const eq = (index: number, value: number) => ({ index, op: 'SCMP_CMP_EQ', value })
  const make = (args: ReturnType<typeof eq>[]) =>
    compileSeccomp({
      defaultAction: 'SCMP_ACT_ERRNO',
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', args }],
    })!
  const read = (first: bigint, second: bigint): Call => ({
    arch: 0xc000003e,
    number: 0,
    args: [first, second, 0n, 0n, 0n, 0n],
  })
  const both = make([eq(0, 1), eq(1, 2)])
  assert.deepEqual(
    [read(1n, 2n), read(1n, 3n), read(0n, 2n)].map((call) => interpret(both, call)),
    [0x7fff0000, 0x50001, 0x50001],
  )
  const either = make([eq(0, 1), eq(0, 2)])
  assert.deepEqual(
    [read(1n, 0n), read(2n, 0n), read(3n, 0n)].map((call) => interpret(either, call)),
    [0x7fff0000, 0x7fff0000, 0x50001],
  )
})

test('the default profile: new namespaces, vsock, keys and mounts are refused, clone3 is unknown', () => {
  const program = compileSeccomp(resolveSeccomp(defaultSeccompProfile, subject))!
  const decide = (name: string, ...args: bigint[]) =>
    interpret(program, {
      arch: 0xc000003e,
      number: syscallTables.x86_64.trim().split(/\s+/).indexOf(name),
      args,
    })
  assert.equal(decide('clone', 0x11n), 0x7fff0000)
  assert.equal(decide('clone', 0x10000011n), 0x50001)
  assert.equal(decide('clone3'), 0x50000 | 38)
  assert.equal(decide('socket', 2n), 0x7fff0000)
  assert.equal(decide('socket', 40n), 0x50001)
  assert.equal(decide('socket', 38n), 0x50001)
  for (const name of [
    'mount',
    'keyctl',
    'add_key',
    'bpf',
    'io_uring_setup',
    'unshare',
    'setns',
    'reboot',
    'kexec_load',
  ]) {
    assert.equal(decide(name), 0x50001, name)
  }
  for (const name of ['read', 'futex_wait', 'mseal', 'ptrace', 'chroot'])
    assert.equal(decide(name), 0x7fff0000, name)
})

test('profiles that need a listener or an unknown architecture are left to the runtime', () => {
  const base = { defaultAction: 'SCMP_ACT_ERRNO', architectures: ['SCMP_ARCH_X86_64'], syscalls: [] }
  assert.equal(compileSeccomp({ ...base, defaultAction: 'SCMP_ACT_NOTIFY' }), undefined)
  assert.equal(compileSeccomp({ ...base, flags: ['SECCOMP_FILTER_FLAG_LOG'] }), undefined)
  assert.equal(compileSeccomp({ ...base, architectures: ['SCMP_ARCH_S390X'] }), undefined)
  assert.ok(compileSeccomp(base) !== undefined)
})

test('conditions of a profile are about capabilities, kernel and architecture', () => {
  const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW' }
  const applies = (conditions: object) =>
    resolveSeccomp(
      parseSeccompProfile(
        JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...rule, ...conditions }] }),
      ),
      subject,
    ).syscalls.length === 1
  assert.ok(applies({ includes: { caps: ['CAP_CHOWN'] } }))
  assert.ok(!applies({ includes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }))
  assert.ok(!applies({ excludes: { caps: ['CAP_SYS_ADMIN', 'CAP_CHOWN'] } }))
  assert.ok(applies({ includes: { arches: ['amd64', 'arm64'] } }))
  assert.ok(!applies({ excludes: { arches: ['amd64'] } }))
  assert.ok(!applies({ includes: { minKernel: '6.19' } }))
  assert.ok(applies({ includes: { minKernel: '4.8' } }))
  assert.ok(isKernelAtLeast('6.18.44-fc', '6.18') && !isKernelAtLeast('5.19', '6.0'))
})

test('a profile that is no profile is refused', () => {
  assert.throws(() => parseSeccompProfile('{'), {
    kind: 'invalid',
    message: /^Decoding seccomp profile failed: /,
  })
  assert.throws(() => parseSeccompProfile('{"syscalls": 3}'), {
    kind: 'invalid',
    message: /^Decoding seccomp profile failed: /,
  })
  const both = parseSeccompProfile('{"syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}')
  assert.throws(() => resolveSeccomp(both, subject), /use either 'name' or 'names'/)
})

test('filters are compiled once, and unconfined containers have none', () => {
  const filters = new SeccompFilters({ ...readKernelFacts(), seccomp: true })
  const request = { option: '', privileged: false, capabilities: defaultCapabilities }
  assert.equal(filters.filterFor(request), filters.filterFor({ ...request, option: '' }))
  assert.notEqual(filters.filterFor(request), filters.filterFor({ ...request, capabilities: [] }))
  assert.equal(filters.filterFor({ ...request, privileged: true }), undefined)
  assert.equal(filters.filterFor({ ...request, option: 'unconfined' }), undefined)
  assert.equal(filters.filterFor({ ...request, option: '{}' }), undefined)
  assert.ok(filters.filterFor({ ...request, option: 'builtin', privileged: true })?.bpf)
})
