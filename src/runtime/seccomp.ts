/** Which seccomp filter a container gets, as a profile and compiled; both are kept, since most containers share one. */
import { createHash } from 'node:crypto'
import { EngineError } from '../spec/errors.ts'
import type { OciSeccomp } from '../spec/oci-runtime-types.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { compileSeccomp } from './seccomp-bpf.ts'
import { defaultSeccompProfile } from './seccomp-default.ts'
import { parseSeccompProfile, resolveSeccomp, type SeccompProfile } from './seccomp-profile.ts'

/** A container's filter. `bpf` is base64 of the compiled program; absent where only the runtime can compile it. */
export type SeccompFilter = { profile: OciSeccomp; bpf?: string }

/** What decides about a container's filter. `option` is the value of `--security-opt seccomp=`, empty without. */
export type SeccompRequest = { option: string; privileged: boolean; capabilities: readonly string[] }

/** Annotation by which crun takes a compiled filter. */
export const bpfAnnotation = 'run.oci.seccomp_bpf_data'

const maxKept = 64

/** See the file's head. */
export class SeccompFilters {
  readonly #facts: KernelFacts
  readonly #default: string
  readonly #kept = new Map<string, SeccompFilter>()

  /** `daemonProfile` is daemon.json's `seccomp-profile`: JSON, `unconfined`, `builtin` or empty. */
  constructor(facts: KernelFacts, daemonProfile = '') {
    this.#facts = facts
    this.#default = daemonProfile
  }

  /** The filter, undefined for an unconfined container. Throws invalid for a bad profile. */
  filterFor({ option, privileged, capabilities }: SeccompRequest): SeccompFilter | undefined {
    if (option === 'unconfined' || (privileged && option === '')) return undefined
    if (!this.#facts.seccomp) {
      if (option === '' || option === 'builtin') return undefined
      throw new EngineError(
        'internal',
        'seccomp is not enabled in your kernel, cannot run a custom seccomp profile',
      )
    }
    const chosen = option === '' ? this.#default : option
    if (chosen === 'unconfined') return undefined
    const key = createHash('sha256')
      .update(JSON.stringify([chosen, [...capabilities].sort()]))
      .digest('hex')
    const kept = this.#kept.get(key)
    if (kept !== undefined) return kept
    const given = profileOf(chosen)
    // moby profiles/seccomp, setupSeccomp: a profile that says nothing filters nothing.
    if (given.defaultAction === '' && (given.syscalls ?? []).length === 0) return undefined
    const made = this.#make(given, capabilities)
    const oldest = this.#kept.keys().next()
    if (this.#kept.size >= maxKept && !oldest.done) this.#kept.delete(oldest.value)
    this.#kept.set(key, made)
    return made
  }

  #make(given: SeccompProfile, capabilities: readonly string[]): SeccompFilter {
    const { architecture, kernelVersion } = this.#facts
    const profile = resolveSeccomp(given, { architecture, kernelVersion, capabilities })
    const program = compileSeccomp(profile)
    return program === undefined ? { profile } : { profile, bpf: program.toString('base64') }
  }
}

function profileOf(chosen: string): SeccompProfile {
  return chosen === '' || chosen === 'builtin' ? defaultSeccompProfile : parseSeccompProfile(chosen)
}
