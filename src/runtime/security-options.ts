/** `--security-opt`: what of it concerns the kernel. */
import { EngineError } from '../spec/errors.ts'

/** Decoded options. `seccomp` is empty for the daemon's default, `unconfined`, `builtin`, or a profile's JSON. */
export type SecurityOptions = {
  noNewPrivileges: boolean
  seccomp: string
  apparmor: string
  labels: string[]
}

/** Decodes the list. Throws Docker's errors. */
export function parseSecurityOptions(options: readonly string[], noNewPrivileges: boolean): SecurityOptions {
  const result: SecurityOptions = { noNewPrivileges, seccomp: '', apparmor: '', labels: [] }
  for (const option of options) {
    if (option === 'no-new-privileges') {
      result.noNewPrivileges = true
      continue
    }
    if (option === 'disable') {
      result.labels.push(option)
      continue
    }
    apply(result, option)
  }
  return result
}

function apply(result: SecurityOptions, option: string): void {
  // `key:value` is the old spelling.
  const at = option.includes('=') ? option.indexOf('=') : option.indexOf(':')
  if (at < 0) throw new EngineError('invalid', `invalid --security-opt 1: ${JSON.stringify(option)}`)
  const value = option.slice(at + 1)
  switch (option.slice(0, at)) {
    case 'label':
      result.labels.push(value)
      break
    case 'apparmor':
      result.apparmor = value
      break
    case 'seccomp':
      result.seccomp = value
      break
    case 'no-new-privileges':
      result.noNewPrivileges = parseBoolean(value, option)
      break
    case 'writable-cgroups':
      parseBoolean(value, option)
      break
    default:
      throw new EngineError('invalid', `invalid --security-opt 2: ${JSON.stringify(option)}`)
  }
}

/** Go's strconv.ParseBool. */
function parseBoolean(text: string, option: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  throw new EngineError('invalid', `invalid --security-opt 2: ${JSON.stringify(option)}`)
}
