/**
 * Compiles an OCI seccomp profile to the kernel's filter program: the architecture is checked first, then the number
 * is found by binary search over ranges with one outcome, then its argument rules are tried in order. Done here and
 * not by the OCI runtime because libseccomp takes 17 ms for what is compiled once and kept. Where a profile needs
 * more than this compiler knows, the answer is undefined and the runtime gets the profile itself.
 */
import type { OciSeccomp, OciSeccompArgument } from '../spec/oci-runtime-types.ts'
import { syscallTables } from './seccomp-syscalls.ts'

type Architecture = { audit: number; table: keyof typeof syscallTables; base: number; words: 1 | 2 }

/** By OCI name. `audit` is what the kernel reports; `words` the 32-bit words of an argument (x32: as libseccomp). */
const architectures: Readonly<Record<string, Architecture>> = {
  SCMP_ARCH_X86_64: { audit: 0xc000003e, table: 'x86_64', base: 0, words: 2 },
  SCMP_ARCH_X32: { audit: 0xc000003e, table: 'x32', base: 0x4000_0000, words: 1 },
  SCMP_ARCH_X86: { audit: 0x40000003, table: 'x86', base: 0, words: 1 },
  SCMP_ARCH_AARCH64: { audit: 0xc00000b7, table: 'aarch64', base: 0, words: 2 },
  SCMP_ARCH_ARM: { audit: 0x40000028, table: 'arm', base: 0, words: 1 },
}

/** System calls that arm keeps far from the others. */
const armPrivate: readonly (readonly [string, number])[] = [
  ['breakpoint', 0xf0001],
  ['cacheflush', 0xf0002],
  ['set_tls', 0xf0005],
]

/** 32-bit x86 reaches these through one call whose first argument says which. */
const multiplexed: Readonly<Record<string, string>> = {
  socketcall:
    'socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg',
  ipc: 'semop semget semctl semtimedop - - - - - - msgsnd msgrcv msgget msgctl - - - - - - shmat shmdt shmget shmctl',
}

const x32Bit = 0x4000_0000
const killThread = 0
const maxInstructions = 4096

const op = {
  load: 0x20,
  jump: 0x05,
  jumpEqual: 0x15,
  jumpGreater: 0x25,
  jumpGreaterEqual: 0x35,
  and: 0x54,
  return: 0x06,
} as const

/** A condition on an argument, and a rule: all its conditions, then its outcome. */
type Condition = OciSeccompArgument
type Rule = { conditions: Condition[]; outcome: number }
/** Numbers from `first` on, up to the next range, and what they come to. */
type Range = { first: number; rules: Rule[]; words: 1 | 2 }

/**
 * The program as an array of `struct sock_filter`, for little-endian machines. Undefined for architectures, actions
 * or flags that only the runtime can serve.
 */
export function compileSeccomp(profile: OciSeccomp): Buffer | undefined {
  const names = profile.architectures ?? []
  const known = names.map((name) => architectures[name])
  const fallback = outcomeOf(profile.defaultAction, profile.defaultErrnoRet)
  if (names.length === 0 || known.includes(undefined) || fallback === undefined) return undefined
  if ((profile.flags ?? []).length > 0 || profile.listenerPath !== undefined) return undefined
  const rules = collectRules(profile, fallback)
  if (rules === undefined) return undefined
  const program = new Program()
  const audits = new Set(known.map((each) => each?.audit))
  program.emit(op.load, 4)
  for (const audit of audits) {
    const same = known.filter((each) => each !== undefined).filter((each) => each.audit === audit)
    const end = program.jumpUnlessEqual(audit ?? 0)
    program.emit(op.load, 0)
    emitSearch(program, rangesOf(same, rules, fallback), fallback)
    program.bind(end)
  }
  // An architecture that the profile does not name has other numbers: nothing can be said about its calls.
  program.emit(op.return, killThread)
  return program.length > maxInstructions ? undefined : program.encode()
}

/** Rules by system call name. A rule with two conditions on one argument means either of them (as runc and crun do). */
function collectRules(profile: OciSeccomp, fallback: number): Map<string, Rule[]> | undefined {
  const byName = new Map<string, Rule[]>()
  for (const { names, action, errnoRet, args } of profile.syscalls) {
    const outcome = outcomeOf(action, errnoRet)
    if (outcome === undefined || (args ?? []).some((arg) => !isKnown(arg))) return undefined
    if (outcome === fallback) continue
    const conditions = args ?? []
    const twice = new Set(conditions.map((each) => each.index)).size < conditions.length
    const alternatives = twice ? conditions.map((each) => [each]) : [conditions]
    for (const name of names) {
      const rules = byName.get(name) ?? []
      byName.set(name, rules)
      rules.push(...alternatives.map((each) => ({ conditions: each, outcome })))
    }
  }
  return byName
}

/** The whole range of numbers of an audit architecture, in ascending pieces. */
function rangesOf(same: Architecture[], rules: Map<string, Rule[]>, fallback: number): Range[] {
  const byNumber = new Map<number, Rule[]>()
  for (const { table, base } of same) {
    const names = syscallTables[table].trim().split(/\s+/)
    for (const [index, name] of names.entries()) addRules(byNumber, base + index, rules.get(name))
    if (table === 'arm') for (const [name, number] of armPrivate) addRules(byNumber, number, rules.get(name))
    if (table === 'x86') addMultiplexed(byNumber, names, rules)
  }
  const otherwise: Rule[] = [{ conditions: [], outcome: fallback }]
  const stranger: Rule[] = [{ conditions: [], outcome: killThread }]
  const ranges: Range[] = [{ first: 0, rules: otherwise, words: 2 }]
  for (const number of [...byNumber.keys()].sort((left, right) => left - right)) {
    const words = same.find((each) => number >= each.base && (each.base > 0 || number < x32Bit))?.words ?? 2
    ranges.push({ first: number, rules: decisive(byNumber.get(number) ?? []), words })
    ranges.push({ first: number + 1, rules: otherwise, words })
  }
  // Numbers with the x32 bit belong to an architecture of their own; -1 is what a tracer writes to skip a call.
  if (same.some((each) => each.table === 'x86_64') && !same.some((each) => each.table === 'x32')) {
    ranges.push({ first: x32Bit, rules: stranger, words: 2 })
    ranges.push({ first: 0xffff_ffff, rules: otherwise, words: 2 })
  }
  return merge(ranges)
}

function addRules(byNumber: Map<number, Rule[]>, number: number, rules: Rule[] | undefined): void {
  if (rules !== undefined) byNumber.set(number, [...(byNumber.get(number) ?? []), ...rules])
}

/** The calls behind socketcall and ipc, where a rule for them needs no arguments (those are behind a pointer). */
function addMultiplexed(byNumber: Map<number, Rule[]>, names: string[], rules: Map<string, Rule[]>): void {
  for (const [call, list] of Object.entries(multiplexed)) {
    for (const [index, name] of list.split(' ').entries()) {
      const plain = (rules.get(name) ?? []).filter((rule) => rule.conditions.length === 0)
      const which = { index: 0, op: 'SCMP_CMP_EQ', value: index + 1 }
      const narrowed = plain.map(({ outcome }) => ({ conditions: [which], outcome }))
      if (narrowed.length > 0) addRules(byNumber, names.indexOf(call), narrowed)
    }
  }
}

/** A rule without conditions makes those with conditions needless. */
function decisive(rules: Rule[]): Rule[] {
  const plain = rules.find((rule) => rule.conditions.length === 0)
  return plain === undefined ? rules : [plain]
}

/** Later ranges replace earlier ones that start at the same number; neighbours with one outcome become one. */
function merge(ranges: Range[]): Range[] {
  const merged: Range[] = []
  for (const range of ranges) {
    if (merged.at(-1)?.first === range.first) merged.pop()
    const before = merged.at(-1)
    if (before !== undefined && sameOutcome(before.rules, range.rules)) continue
    merged.push(range)
  }
  return merged
}

function sameOutcome(left: Rule[], right: Rule[]): boolean {
  const plain = (rules: Rule[]) =>
    rules.length === 1 && rules[0]?.conditions.length === 0 ? rules[0].outcome : undefined
  return plain(left) !== undefined && plain(left) === plain(right)
}

/** Number in the accumulator: halves the ranges until one is left. */
function emitSearch(program: Program, ranges: Range[], fallback: number): void {
  const only = ranges[0]
  if (only === undefined) return
  if (ranges.length === 1) {
    emitRules(program, only, fallback)
    return
  }
  const middle = ranges.length >> 1
  const upper = program.jumpIf(op.jumpGreaterEqual, ranges[middle]?.first ?? 0)
  emitSearch(program, ranges.slice(0, middle), fallback)
  program.bind(upper)
  emitSearch(program, ranges.slice(middle), fallback)
}

function emitRules(program: Program, { rules, words }: Range, fallback: number): void {
  for (const { conditions, outcome } of rules) {
    const next = conditions.flatMap((condition) => emitCondition(program, condition, words))
    program.emit(op.return, outcome)
    for (const label of next) program.bind(label)
    if (conditions.length === 0) return
  }
  program.emit(op.return, fallback)
}

/** Falls through when the condition holds; answers the jumps taken when it does not. */
function emitCondition(program: Program, condition: Condition, words: 1 | 2): Label[] {
  const offset = 16 + 8 * condition.index
  const masked = condition.op === 'SCMP_CMP_MASKED_EQ'
  const value = BigInt(masked ? (condition.valueTwo ?? 0) : condition.value)
  const mask = BigInt(masked ? condition.value : 0)
  const low = Number(value & 0xffff_ffffn)
  const high = Number((value >> 32n) & 0xffff_ffffn)
  const load = (word: 0 | 1) => {
    program.emit(op.load, offset + 4 * word)
    if (masked) program.emit(op.and, Number((mask >> BigInt(32 * word)) & 0xffff_ffffn))
  }
  if (condition.op === 'SCMP_CMP_EQ' || masked) return emitEqual(program, load, { low, high, words })
  if (condition.op === 'SCMP_CMP_NE') {
    const failed = emitEqual(program, load, { low, high, words })
    const equal = program.jump()
    for (const label of failed) program.bind(label)
    return [equal]
  }
  return emitOrder(program, load, { low, high, words, order: condition.op })
}

type Words = { low: number; high: number; words: 1 | 2 }

function emitEqual(program: Program, load: (word: 0 | 1) => void, { low, high, words }: Words): Label[] {
  const failed: Label[] = []
  if (words === 2) {
    load(1)
    failed.push(program.jumpUnlessEqual(high))
  }
  load(0)
  failed.push(program.jumpUnlessEqual(low))
  return failed
}

/** Greater and less, strictly or not: the high word decides unless it is equal. */
function emitOrder(
  program: Program,
  load: (word: 0 | 1) => void,
  { low, high, words, order }: Words & { order: string },
): Label[] {
  const wantsGreater = order === 'SCMP_CMP_GT' || order === 'SCMP_CMP_GE'
  const held: Label[] = []
  const failed: Label[] = []
  if (words === 2) {
    load(1)
    ;(wantsGreater ? held : failed).push(program.jumpIf(op.jumpGreater, high))
    // Not greater: equal goes on to the low word, less decides.
    ;(wantsGreater ? failed : held).push(program.jumpUnlessEqual(high))
  }
  load(0)
  const strictlyGreater = order === 'SCMP_CMP_GT' || order === 'SCMP_CMP_LE'
  const above = program.jumpIf(strictlyGreater ? op.jumpGreater : op.jumpGreaterEqual, low)
  if (wantsGreater) {
    failed.push(program.jump())
    held.push(above)
  } else failed.push(above)
  for (const label of held) program.bind(label)
  return failed
}

function isKnown({ index, op: comparison }: OciSeccompArgument): boolean {
  return index < 6 && /^SCMP_CMP_(EQ|NE|LT|LE|GT|GE|MASKED_EQ)$/.test(comparison)
}

/** The kernel's return value, undefined for what needs a listener or is unknown. */
function outcomeOf(action: string, errno: number | undefined): number | undefined {
  const data = (errno ?? 1) & 0xffff
  const outcomes: Record<string, number> = {
    SCMP_ACT_KILL: killThread,
    SCMP_ACT_KILL_THREAD: killThread,
    SCMP_ACT_KILL_PROCESS: 0x8000_0000,
    SCMP_ACT_TRAP: 0x0003_0000,
    SCMP_ACT_ERRNO: 0x0005_0000 | data,
    SCMP_ACT_TRACE: 0x7ff0_0000 | data,
    SCMP_ACT_LOG: 0x7ffc_0000,
    SCMP_ACT_ALLOW: 0x7fff_0000,
  }
  return outcomes[action]
}

/** Index of a jump whose target is not known yet. */
type Label = number

/** Instructions with forward jumps. Conditional jumps reach 255 instructions only, so far targets go by a plain jump. */
class Program {
  readonly #code: { code: number; jt: number; jf: number; k: number }[] = []

  get length(): number {
    return this.#code.length
  }

  emit(code: number, k: number): void {
    this.#code.push({ code, jt: 0, jf: 0, k })
  }

  /** A jump to be bound. */
  jump(): Label {
    this.emit(op.jump, 0)
    return this.#code.length - 1
  }

  /** Jumps when the comparison holds. */
  jumpIf(code: number, k: number): Label {
    this.#code.push({ code, jt: 0, jf: 1, k })
    return this.jump()
  }

  jumpUnlessEqual(k: number): Label {
    this.#code.push({ code: op.jumpEqual, jt: 1, jf: 0, k })
    return this.jump()
  }

  /** The jump leads to the next instruction emitted. */
  bind(label: Label): void {
    const instruction = this.#code[label]
    if (instruction !== undefined) instruction.k = this.#code.length - label - 1
  }

  encode(): Buffer {
    const bytes = Buffer.alloc(this.#code.length * 8)
    for (const [index, { code, jt, jf, k }] of this.#code.entries()) {
      bytes.writeUInt16LE(code, index * 8)
      bytes.writeUInt8(jt, index * 8 + 2)
      bytes.writeUInt8(jf, index * 8 + 3)
      bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
    }
    return bytes
  }
}
