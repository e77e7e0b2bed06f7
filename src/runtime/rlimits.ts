/** Resource limits of a container's processes: the daemon's defaults overridden by `--ulimit`. */
import { ulimitNames } from '../spec/ulimits.ts'
import type { Resources } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import type { OciRlimit } from '../spec/oci-runtime-types.ts'

/** One limit as the API carries it; -1 is unlimited. */
export type Ulimit = NonNullable<Resources['Ulimits']>[number]

/** Hard limits of the daemon itself by OCI name; those missing are unlimited. */
export type HardLimits = Readonly<Record<string, number>>

/**
 * What JSON can carry for RLIM_INFINITY (2^64 - 1) is not exact in a double; OCI runtimes are written such that this
 * rounds: the caller serialises with `unlimited` replaced. Runtimes take any value of 2^63 and more as unlimited.
 */
const unlimited = 2 ** 64
const unlimitedText = '18446744073709551615'

/** Limits for an OCI process. `hardLimits` is given where the daemon may not raise them: hard values are clamped. */
export function ociRlimits(
  defaults: readonly Ulimit[],
  asked: readonly Ulimit[],
  hardLimits: HardLimits | undefined,
): OciRlimit[] {
  const merged = new Map<string, Ulimit>()
  for (const limit of [...asked, ...defaults]) if (!merged.has(limit.Name)) merged.set(limit.Name, limit)
  return [...merged.values()].map((limit) => {
    const type = `RLIMIT_${limit.Name.toUpperCase()}`
    const ceiling = hardLimits?.[type] ?? unlimited
    const hard = Math.min(limit.Hard < 0 ? unlimited : limit.Hard, ceiling)
    return { type, hard, soft: Math.min(limit.Soft < 0 ? unlimited : limit.Soft, hard) }
  })
}

/** Annotation of a container in a user namespace: its `--oom-score-adj`, which its execs get too. */
export const oomScoreAnnotation = 'io.wharf.oom-score'

/** Numbers of setrlimit(2), the same on every architecture that we run on. */
const numbers: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
}

/** What a keeper does before it runs the runtime, because the runtime may not do it inside a user namespace. */
export type HostPreparation = {
  oomScoreAdj: number
  /** Hard limits to be raised to, by their numbers, as decimals of 64 bits. */
  hardLimits: readonly { number: number; value: string }[]
}

/** The preparation for a process in a user namespace. */
export function hostPreparation(oomScoreAdj: number, limits: readonly OciRlimit[] = []): HostPreparation {
  const hardLimits = limits.flatMap(({ type, hard }) => {
    const number = numbers[type]
    return number === undefined ? [] : [{ number, value: hard < unlimited ? String(hard) : unlimitedText }]
  })
  return { oomScoreAdj, hardLimits }
}

/** Names and order of a request's limits. Throws invalid; answers warnings for what had to be lowered. */
export function checkUlimits(asked: readonly Ulimit[], hardLimits: HardLimits | undefined): string[] {
  const warnings: string[] = []
  for (const { Name: name, Soft: soft, Hard: hard } of asked) {
    if (!ulimitNames.has(name)) throw new EngineError('invalid', `invalid ulimit type: ${name}`)
    if (hard >= 0 && (soft < 0 || soft > hard)) {
      throw new EngineError(
        'invalid',
        `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
      )
    }
    const ceiling = hardLimits?.[`RLIMIT_${name.toUpperCase()}`]
    if (ceiling !== undefined && (hard < 0 || hard > ceiling)) {
      warnings.push(
        `The daemon may not raise the hard limit of ${name}: CAP_SYS_RESOURCE is missing. Limited to ${ceiling}.`,
      )
    }
  }
  return warnings
}
