/**
 * Seccomp profiles in Docker's format: lists of system calls with conditions on capabilities, kernel and
 * architecture, resolved for one container into the OCI runtime's format.
 */
import { z } from 'zod'
import { parseExactJson } from '../lib/json-bigint.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { OciSeccomp } from '../spec/oci-runtime-types.ts'

const filter = z.object({
  caps: z.array(z.string()).nullish(),
  arches: z.array(z.string()).nullish(),
  minKernel: z.string().nullish(),
})
// A Go uint64. What a double cannot hold exactly comes as a bigint.
const unsigned64 = z.union([z.number().int().min(0), z.bigint().max(2n ** 64n - 1n)])
const argument = z.object({
  index: z.number().int().min(0),
  value: unsigned64.default(0),
  valueTwo: unsigned64.nullish(),
  op: z.string(),
})
const rule = z.object({
  name: z.string().nullish(),
  names: z.array(z.string()).nullish(),
  action: z.string(),
  errnoRet: z.number().int().min(0).nullish(),
  args: z.array(argument).nullish(),
  includes: filter.nullish(),
  excludes: filter.nullish(),
  comment: z.string().nullish(),
})
const profile = z.object({
  defaultAction: z.string().default(''),
  defaultErrnoRet: z.number().int().min(0).nullish(),
  architectures: z.array(z.string()).nullish(),
  archMap: z
    .array(z.object({ architecture: z.string(), subArchitectures: z.array(z.string()).nullish() }))
    .nullish(),
  flags: z.array(z.string()).nullish(),
  listenerPath: z.string().nullish(),
  listenerMetadata: z.string().nullish(),
  syscalls: z.array(rule).nullish(),
})

/** A rule of a profile. */
export type SeccompRule = z.infer<typeof rule>
/** A profile as Docker's files have it. */
export type SeccompProfile = z.infer<typeof profile>

/** What the conditions of a profile are about. */
export type SeccompSubject = {
  /** As `uname -m`. */
  architecture: string
  kernelVersion: string
  capabilities: readonly string[]
}

const architectures: Readonly<Record<string, { go: string; seccomp: string }>> = {
  x86_64: { go: 'amd64', seccomp: 'SCMP_ARCH_X86_64' },
  i686: { go: 'x86', seccomp: 'SCMP_ARCH_X86' },
  aarch64: { go: 'arm64', seccomp: 'SCMP_ARCH_AARCH64' },
  arm: { go: 'arm', seccomp: 'SCMP_ARCH_ARM' },
  ppc64le: { go: 'ppc64le', seccomp: 'SCMP_ARCH_PPC64LE' },
  s390x: { go: 's390x', seccomp: 'SCMP_ARCH_S390X' },
  riscv64: { go: 'riscv64', seccomp: 'SCMP_ARCH_RISCV64' },
  loong64: { go: 'loong64', seccomp: 'SCMP_ARCH_LOONGARCH64' },
}

/** Reads a profile's JSON. Throws Docker's error. */
export function parseSeccompProfile(text: string): SeccompProfile {
  try {
    return profile.parse(parseExactJson(text))
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : errorMessage(error)
    throw new EngineError('invalid', `Decoding seccomp profile failed: ${reason}`, { cause: error })
  }
}

/** What of a profile holds for a container. Throws invalid for a profile that contradicts itself. */
export function resolveSeccomp(given: SeccompProfile, subject: SeccompSubject): OciSeccomp {
  const { defaultAction, defaultErrnoRet, flags, listenerPath, listenerMetadata } = given
  const syscalls: OciSeccomp['syscalls'] = []
  for (const each of given.syscalls ?? []) {
    const names = ruleNames(each)
    if (names.length === 0 || !applies(each, subject)) continue
    const args = (each.args ?? []).map(({ index, op, value, valueTwo }) => ({
      index,
      op,
      value,
      ...(valueTwo !== null && valueTwo !== undefined && { valueTwo }),
    }))
    const { action, errnoRet } = each
    syscalls.push({
      names,
      action,
      ...(errnoRet !== null && errnoRet !== undefined && { errnoRet }),
      ...(args.length > 0 && { args }),
    })
  }
  return {
    defaultAction,
    ...(defaultErrnoRet !== null && defaultErrnoRet !== undefined && { defaultErrnoRet }),
    architectures: profileArchitectures(given, subject),
    ...((flags ?? []).length > 0 && { flags: flags ?? [] }),
    ...(listenerPath && { listenerPath }),
    ...(listenerMetadata && { listenerMetadata }),
    syscalls,
  }
}

function ruleNames({ name, names }: SeccompRule): string[] {
  if (name && names && names.length > 0) {
    throw new EngineError(
      'invalid',
      "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'",
    )
  }
  return name ? [name] : (names ?? [])
}

function profileArchitectures(given: SeccompProfile, { architecture }: SeccompSubject): string[] {
  const listed = given.architectures ?? []
  if (listed.length > 0) {
    if ((given.archMap ?? []).length === 0) return listed
    throw new EngineError(
      'invalid',
      "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
    )
  }
  const native = architectures[architecture]?.seccomp
  const found = given.archMap?.find((each) => each.architecture === native)
  return found === undefined ? [] : [found.architecture, ...(found.subArchitectures ?? [])]
}

function applies({ includes, excludes }: SeccompRule, subject: SeccompSubject): boolean {
  const { go } = architectures[subject.architecture] ?? { go: subject.architecture }
  const has = (capability: string) => subject.capabilities.includes(capability)
  if (excludes?.arches?.includes(go)) return false
  if (excludes?.caps?.some(has)) return false
  if (excludes?.minKernel && isKernelAtLeast(subject.kernelVersion, excludes.minKernel)) return false
  if (includes?.arches && includes.arches.length > 0 && !includes.arches.includes(go)) return false
  if (includes?.caps && !includes.caps.every(has)) return false
  return !includes?.minKernel || isKernelAtLeast(subject.kernelVersion, includes.minKernel)
}

/** Compares `major.minor`; what follows does not count. */
export function isKernelAtLeast(version: string, wanted: string): boolean {
  const parts = (text: string) => text.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0)
  const [major = 0, minor = 0] = parts(version)
  const [wantedMajor = 0, wantedMinor = 0] = parts(wanted)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}
