/** Which capabilities a container gets: Docker's default set, changed by `--cap-add`, `--cap-drop`, `--privileged`. */
import { capabilityNames } from '../spec/capabilities.ts'
import { EngineError } from '../spec/errors.ts'

/** What a container has when nothing is said (Docker's documented default, `docker run` reference). */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
]

const known = new Set<string>(capabilityNames)
const everything = 'ALL'

/** What was asked for. */
export type CapabilityRequest = { add: readonly string[]; drop: readonly string[]; privileged: boolean }

/**
 * Upper-case names with their prefix; `ALL` stays. Throws invalid for one that Linux does not know or that this
 * daemon cannot give because it does not have it.
 */
export function normalizeCapabilities(names: readonly string[], available: readonly string[]): string[] {
  return names.map((given) => {
    const upper = given.toUpperCase()
    if (upper === everything) return upper
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
    if (!known.has(name)) throw new EngineError('invalid', `unknown capability: "${name}"`)
    if (!available.includes(name)) {
      throw new EngineError(
        'invalid',
        `capability not supported by your kernel or not available in the current environment: "${name}"`,
      )
    }
    return name
  })
}

/** The set a container gets. `available` is what the daemon has itself. Throws as `normalizeCapabilities`. */
export function containerCapabilities(request: CapabilityRequest, available: readonly string[]): string[] {
  if (request.privileged) return [...available]
  const basics = defaultCapabilities.filter((name) => available.includes(name))
  const drop = normalizeCapabilities(request.drop, available)
  const add = normalizeCapabilities(request.add, available)
  if (add.includes(everything)) return available.filter((name) => !drop.includes(name))
  const kept = drop.includes(everything) ? [] : basics.filter((name) => !drop.includes(name))
  return [...new Set([...kept, ...add])]
}
