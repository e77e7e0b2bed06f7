/** `GET /containers/x/top`: the host's `ps`, reduced to the container's processes. */
import type { ContainerTop } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { notRunning, requireNotRestarting } from './stop.ts'

/** Throws when the container does not run, or what `ps` says when it fails. */
export async function topOf(core: Core, container: Container, psArgs: string): Promise<ContainerTop> {
  const options = psArgs === '' ? '-ef' : psArgs
  refuseRenamedPid(options)
  if (!container.state.running || container.task === undefined) {
    requireNotRestarting(container)
    throw notRunning(container)
  }
  const pids = await container.task.pids()
  const output = await runPs(core, options.split(' '), pids)
  const top = parsePs(output, new Set(pids))
  core.emit(container, 'top')
  return top
}

/** The PID column is found by its title, so no other column may carry it. */
function refuseRenamedPid(psArgs: string): void {
  for (const [, key = '', value = ''] of psArgs.matchAll(/\s+(\S*)=\s*(PID\S*)/g)) {
    if (key !== 'pid') throw new EngineError('internal', `specifying "${key}=${value}" is not allowed`)
  }
}

async function runPs(core: Core, args: string[], pids: number[]): Promise<string> {
  const narrowed = await core.host.runPs([...args, `-q${pids.join(',')}`])
  if (narrowed.exitCode === 0) return narrowed.stdout
  // Some options do not go together with -q, or no process is left: all of them, then.
  const all = await core.host.runPs(args)
  if (all.exitCode === 0) return all.stdout
  const [line = ''] = all.stderr.split('\n')
  throw new EngineError('internal', `ps: ${line === '' ? `exit status ${all.exitCode}` : line}`)
}

/** Title line and the rows of these processes; a row's last field takes what is left of it. */
export function parsePs(output: string, pids: ReadonlySet<number>): ContainerTop {
  const [titleLine = '', ...lines] = output.split('\n')
  const Titles = fields(titleLine)
  const column = Titles.indexOf('PID')
  if (column === -1) throw new EngineError('internal', "Couldn't find PID field in ps output")
  const Processes: string[][] = []
  let ours = false
  for (const line of lines) {
    const parts = fields(line)
    const pid = parts[column]
    if (pid === undefined) continue
    if (pid === '-') {
      // A thread's row (`ps m`) belongs to the process above.
      if (ours) Processes.push(merge(parts, Titles.length))
      continue
    }
    if (!/^\d+$/.test(pid)) throw new EngineError('internal', `Unexpected pid '${pid}'`)
    ours = pids.has(Number(pid))
    if (ours) Processes.push(merge(parts, Titles.length))
  }
  return { Titles, Processes }
}

function fields(line: string): string[] {
  return line.split(/[\t\n\v\f\r ]+/).filter((field) => field !== '')
}

function merge(parts: string[], columns: number): string[] {
  return [...parts.slice(0, columns - 1), parts.slice(columns - 1).join(' ')]
}
