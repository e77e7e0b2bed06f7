/** What OCI runtimes say when they fail, in the words that Docker's clients know. */
import { EngineError } from '../spec/errors.ts'

/** The last error in a runtime's log (`--log-format json`), or the whole text when it is none. */
export function lastRuntimeError(log: string): string {
  let last = ''
  for (const line of log.split('\n')) {
    const entry = parseEntry(line)
    if (entry !== undefined && entry.level === 'error') last = entry.message
  }
  return last === '' ? log.trim() : last
}

function parseEntry(line: string): { level: string; message: string } | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || !('level' in value) || !('msg' in value))
      return undefined
    return typeof value.msg === 'string' ? { level: String(value.level), message: value.msg } : undefined
  } catch {
    return undefined
  }
}

/** What failed: the runtime's message, and the command it was to execute. */
export type RuntimeFailure = { message: string; command: string }

/**
 * The error of a container whose runtime refused it. The kind is `invalid` where Docker blames the command or a mount,
 * else `internal` (moby daemon/errors.go, setExitCodeFromError).
 */
export function createFailure(failure: RuntimeFailure): EngineError {
  const reason = dockerReason(failure, duringInit)
  return new EngineError(
    kindOf(reason),
    `failed to create task for container: failed to create shim task: OCI runtime create failed: ${reason}: unknown${hintOf(reason)}`,
  )
}

/** The error of an exec that the runtime refused. */
export function execFailure(failure: RuntimeFailure): EngineError {
  const reason = dockerReason(failure, '', 'exec failed')
  return new EngineError(kindOf(reason), `OCI runtime exec failed: ${reason}: unknown${hintOf(reason)}`)
}

/** The error of an exec whose directory is not absolute, which runc refuses before it starts anything. */
export function relativeDirectory(): EngineError {
  return new EngineError(
    'internal',
    'OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown',
  )
}

/** What runc adds to errors of a container's first process, which sets its directory in its init. */
const duringInit = 'error during container init: '

function hintOf(reason: string): string {
  return /not a directory/i.test(reason)
    ? ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type'
    : ''
}

function kindOf(reason: string): 'invalid' | 'internal' {
  return /executable file not found|no such file or directory|permission denied|not a directory|is a directory/i.test(
    reason,
  )
    ? 'invalid'
    : 'internal'
}

/** The message in runc's words, which clients look for; what is no matter of the command stays as it is. */
function dockerReason(
  { message, command }: RuntimeFailure,
  init: string,
  operation = 'runc create failed',
): string {
  const said = runcReason(message) ?? chdirReason(message, init) ?? crunReason(message, command)
  if (said !== undefined) return `${operation}: unable to start container process: ${said}`
  return inGoWords(message).replace(/^runc run failed: /, 'runc create failed: ')
}

/** The C library's words for an error number, which crun ends its messages with, as Go writes them. */
function inGoWords(message: string): string {
  return message.replace(
    /: ([A-Z])([a-z -]+)$/,
    (_, first: string, rest: string) => `: ${first.toLowerCase()}${rest}`,
  )
}

function runcReason(message: string): string | undefined {
  return /^(?:runc run failed|exec failed): unable to start container process: (.*)$/s.exec(message)?.[1]
}

function crunReason(message: string, command: string): string | undefined {
  const missing = /^executable file `(.*)` not found in \$PATH(?:: .*)?$/.exec(message)?.[1]
  if (missing !== undefined) {
    const name = JSON.stringify(missing)
    return missing.includes('/')
      ? `exec: ${name}: stat ${missing}: no such file or directory`
      : `exec: ${name}: executable file not found in $PATH`
  }
  const name = JSON.stringify(command)
  if (command === '' && message.startsWith('open executable: ')) {
    return `exec: ${name}: executable file not found in $PATH`
  }
  // crun opens the file to execute it; a directory answers EPERM there.
  if (/^open executable: Operation not permitted$/.test(message)) return `exec: ${name}: is a directory`
  if (/^open executable: Permission denied$/.test(message)) return `exec: ${name}: permission denied`
  const failed = /^exec container process(?: \(missing dynamic library\?\))? `(.*)`: (.*)$/.exec(message)
  if (failed !== null) return `exec ${failed[1]}: ${(failed[2] ?? '').toLowerCase()}`
  return undefined
}

function chdirReason(message: string, init: string): string | undefined {
  const [, path, reason = ''] = /^chdir `(.*)`: (.*)$/.exec(message) ?? []
  if (path === undefined) return undefined
  return `${init}chdir to cwd (${JSON.stringify(path)}) set in config.json failed: ${reason.toLowerCase()}`
}
