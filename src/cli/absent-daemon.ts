/**
 * What happens when no daemon answers at our own address: root is told how to start one, or it is started, if the
 * configuration agrees (`"wharf": {"autostart": true}`).
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ConnectionError } from '../client/errors.ts'
import type { Cli } from './cli.ts'
import { defaultSocket } from './endpoint.ts'
import { CliError } from './errors.ts'

const logFile = '/var/log/wharfd.log'
const startTimeoutMs = 15_000
const pollMs = 50

/** Whether the error says that nobody listens at the address where our daemon would. */
function isAbsent(cli: Cli, error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!(cause instanceof ConnectionError)) continue
    const { host } = cli.client
    return cause.absent && host.kind === 'unix' && host.path === defaultSocket
  }
  return false
}

/** `bin/wharfd` beside the compiled client, or beside its sources. */
function daemonProgram(): string | undefined {
  const places = [dirname(process.execPath), join(import.meta.dirname, '..')]
  return places.map((place) => join(place, '../bin/wharfd')).find((path) => existsSync(path))
}

async function start(cli: Cli, program: string): Promise<void> {
  const log = openSync(logFile, 'a', 0o640)
  const child = spawn(program, [], { detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  let failure: string | undefined
  child.once('error', (error) => (failure = error.message))
  child.once('exit', (code) => (failure = `it ended with exit code ${code ?? 'unknown'}`))
  child.unref()
  const deadline = Date.now() + startTimeoutMs
  while (Date.now() < deadline) {
    await delay(pollMs)
    if (failure !== undefined) throw new CliError(`cannot start the daemon: ${failure} (see ${logFile})`)
    try {
      const stream = await cli.client.dial()
      stream.destroy()
      return
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error
    }
  }
  throw new CliError(`the daemon did not answer within ${startTimeoutMs / 1000} seconds (see ${logFile})`)
}

/**
 * Deals with a command's failure: true when a daemon was started and the command should be tried again. A command
 * that could not connect has done nothing yet. Otherwise a hint goes to stderr where one helps.
 */
export async function recoverAbsentDaemon(cli: Cli, error: unknown): Promise<boolean> {
  if (process.getuid?.() !== 0 || !isAbsent(cli, error)) return false
  const program = daemonProgram()
  if (cli.config.wharf?.autostart !== true || program === undefined) return false
  await start(cli, program)
  return true
}

/** How to start a daemon, for root; undefined when the failure is another one. */
export function absenceHint(cli: Cli, error: unknown): string | undefined {
  if (process.getuid?.() !== 0 || !isAbsent(cli, error)) return undefined
  const program = daemonProgram() ?? 'wharfd'
  return `Start it with: ${program} & (or set "wharf": {"autostart": true} in ${join(cli.configDirectory, 'config.json')})`
}
