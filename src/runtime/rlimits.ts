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
