/**
 * From a command line to a command: global flags, the command's name, its flags, the count of its arguments, and
 * what an error of each kind prints and ends with.
 */
import { FlagError, flag, parseFlags } from '../lib/flags.ts'
import type { Flags } from '../lib/flags.ts'
import { errorMessage } from '../spec/errors.ts'
import { Cli, wharfVersion } from './cli.ts'
import type { CliOptions } from './cli.ts'
import type { Command, CommandEntry, CommandGroup, CommandInput } from './command.ts'
import { CliError, RunError, UsageError, failsToConnect, failureOf } from './errors.ts'
import { canonicalName, commandHelp, groupHelp, rootHelp, usageLine } from './help.ts'
import { OutputClosed } from './output.ts'
import { entries, groups } from './registry.ts'

/** The flags before a command's name. */
export function globalFlags(directory: string) {
  const file = (name: string) => JSON.stringify(`${directory}/${name}`)
  return {
    config: flag.string('Directory of the client configuration', { shownDefault: JSON.stringify(directory) }),
    context: flag.string('Context to connect with (instead of DOCKER_HOST and the current context)', {
      short: 'c',
    }),
    debug: flag.bool('Show debugging messages', { short: 'D' }),
    host: flag.list('Address of the daemon', { short: 'H' }),
    'log-level': flag.string('Least severe messages to show ("debug", "info", "warn", "error", "fatal")', {
      short: 'l',
      initial: 'info',
    }),
    tls: flag.bool('Use TLS; --tlsverify implies it'),
    tlscacert: flag.string('Certificate of the authority to trust', { shownDefault: file('ca.pem') }),
    tlscert: flag.string("Client's TLS certificate", { shownDefault: file('cert.pem') }),
    tlskey: flag.string("Client's TLS key", { shownDefault: file('key.pem') }),
    tlsverify: flag.bool('Use TLS and verify the daemon'),
    version: flag.bool('Show the version and end', { short: 'v' }),
  }
}

type Found =
  | { kind: 'command'; name: string; entry: CommandEntry; rest: string[] }
  | { kind: 'group'; group: CommandGroup; rest: string[] }

/** Finds the command or group that the words begin with. */
export function findCommand(words: readonly string[]): Found | undefined {
  for (let length = Math.min(3, words.length); length > 0; length--) {
    const name = words.slice(0, length).join(' ')
    const rest = words.slice(length)
    const entry = entries.find((candidate) => candidate.names.includes(name))
    if (entry !== undefined) return { kind: 'command', name, entry, rest }
    const group = groups.find((candidate) => candidate.name === name)
    if (group !== undefined) return { kind: 'group', group, rest }
  }
  return undefined
}

const plural = (count: number) => (count === 1 ? 'argument' : 'arguments')

/** Why the number of arguments is wrong, in Docker's words; undefined when it is right. */
function countProblem(count: Command['count'], given: number): { need: string; see: string } | undefined {
  const { min, max } = count
  if (given >= min && (max === undefined || given <= max)) return undefined
  if (max === 0) return { need: 'accepts no arguments', see: 'Run' }
  if (max === undefined) return { need: `requires at least ${min} ${plural(min)}`, see: 'See' }
  if (min === max) return { need: `requires ${min} ${plural(min)}`, see: 'Run' }
  if (min === 0) return { need: `requires at most ${max} ${plural(max)}`, see: 'Run' }
  return { need: `requires at least ${min} and at most ${max} ${plural(max)}`, see: 'Run' }
}

async function runCommand(cli: Cli, found: Extract<Found, { kind: 'command' }>): Promise<number> {
  const { entry, name, rest } = found
  const command = await entry.load()
  const path = `${cli.program} ${canonicalName(entry, name)}`
  const usage = usageLine(cli.program, canonicalName(entry, name), entry)
  let parsed
  try {
    parsed = parseFlags(command.flags, rest, command.interspersed)
  } catch (error) {
    if (!(error instanceof FlagError)) throw error
    throw new UsageError(`${error.message}\n\n${usage}\n\nRun '${path} --help' for more information`)
  }
  for (const warning of parsed.warnings) cli.warn(warning)
  if (parsed.help) {
    cli.stdout.write(commandHelp(cli, name, entry, command))
    return 0
  }
  const problem = countProblem(command.count, parsed.args.length)
  if (problem !== undefined) {
    throw new CliError(
      `${cli.program}: '${path}' ${problem.need}\n\n${usage}\n\n${problem.see} '${path} --help' for more information`,
    )
  }
  try {
    const input: CommandInput<Flags> = { flags: parsed.values, args: parsed.args, given: parsed.given }
    return (await command.run(cli, input)) ?? 0
  } catch (error) {
    if (!(error instanceof RunError)) throw error
    const message =
      error.message === ''
        ? ''
        : `${cli.program}: ${error.message}\n\nRun '${path} --help' for more information`
    throw new CliError(message, { code: error.code, cause: error })
  }
}

/** Runs a command; where no daemon answers, starts one if that was agreed, or adds a hint. */
async function runOrRecover(cli: Cli, found: Extract<Found, { kind: 'command' }>): Promise<number> {
  try {
    return await runCommand(cli, found)
  } catch (error) {
    if (!failsToConnect(error)) throw error
    const { absenceHint, recoverAbsentDaemon } = await import('./absent-daemon.ts')
    if (await recoverAbsentDaemon(cli, error)) return await runCommand(cli, found)
    const hint = absenceHint(cli, error)
    if (hint === undefined) throw error
    const { message, code } = failureOf(error)
    throw new CliError(`${message}\n${hint}`, { code, cause: error })
  }
}

async function runGroup(cli: Cli, found: Extract<Found, { kind: 'group' }>): Promise<number> {
  const { group, rest } = found
  const path = `${cli.program} ${group.name}`
  const usage = group.name === 'volume' ? `${path} COMMAND` : path
  const hint = `Usage:  ${usage}\n\nRun '${path} --help' for more information`
  let parsed
  try {
    parsed = parseFlags({}, rest, false)
  } catch (error) {
    throw new UsageError(`${errorMessage(error)}\n\n${hint}`)
  }
  for (const warning of parsed.warnings) cli.warn(warning)
  if (parsed.help || parsed.args.length === 0) {
    cli.stdout.write(groupHelp(cli, group, entries, groups))
    return 0
  }
  const guess = await didYouMean(cli, [group.name, parsed.args[0] ?? ''])
  throw new CliError(`${cli.program}: unknown command: ${path} ${parsed.args[0]}\n\n${guess}${hint}`)
}

/** Names of commands near a mistyped one. Docker's own CLI says nothing, so as `docker` neither do we. */
async function didYouMean(cli: Cli, words: readonly string[]): Promise<string> {
  if (cli.program === 'docker') return ''
  const { suggestions } = await import('./suggest.ts')
  const names = suggestions(words).map((name) => `    ${cli.program} ${name}\n`)
  return names.length === 0 ? '' : `Did you mean this?\n${names.join('')}\n`
}

async function help(cli: Cli, words: readonly string[]): Promise<number> {
  const found = findCommand(words)
  if (found === undefined) throw new CliError(`unknown help topic: ${words.join(' ')}`)
  if (found.kind === 'group') cli.stdout.write(groupHelp(cli, found.group, entries, groups))
  else cli.stdout.write(commandHelp(cli, found.name, found.entry, await found.entry.load()))
  return 0
}

/** `--version`. Scripts look for the word behind "version". */
function versionText(program: string): string {
  return program === 'docker'
    ? `Docker version 28.5.0, build wharf-${wharfVersion}`
    : `Wharf version ${wharfVersion}, build ${wharfVersion}`
}

function parseGlobals(options: CliOptions, words: readonly string[]) {
  const directory = options.env['DOCKER_CONFIG'] || `${options.env['HOME'] ?? '/root'}/.docker`
  const flags = globalFlags(directory)
  try {
    return { flags, parsed: parseFlags(flags, words, false) }
  } catch (error) {
    if (!(error instanceof FlagError)) throw error
    const { program } = options
    throw new UsageError(
      `${error.message}\n\nUsage:  ${program} [OPTIONS] COMMAND [ARG...]\n\nRun '${program} --help' for more information`,
    )
  }
}

function makeCli(options: CliOptions, values: ReturnType<typeof parseGlobals>['parsed']): Cli {
  const { values: flags, given } = values
  return new Cli(options, {
    hosts: flags.host,
    context: flags.context,
    config: flags.config,
    debug: flags.debug,
    tls: {
      use: flags.tls,
      verify: flags.tlsverify,
      verifyGiven: given.has('tlsverify'),
      ca: flags.tlscacert,
      cert: flags.tlscert,
      key: flags.tlskey,
    },
  })
}

async function dispatch(options: CliOptions, words: readonly string[]): Promise<number> {
  const { flags, parsed } = parseGlobals(options, words)
  const cli = makeCli(options, parsed)
  try {
    for (const warning of parsed.warnings) cli.warn(warning)
    if (parsed.values.version) {
      cli.print(versionText(options.program))
      return 0
    }
    if (!/^(debug|info|warn(ing)?|error|fatal|panic|trace)$/i.test(parsed.values['log-level'])) {
      throw new CliError(`Unable to parse logging level: ${parsed.values['log-level']}`)
    }
    const [first, ...others] = parsed.args
    if (parsed.help || first === undefined || (first === 'help' && others.length === 0)) {
      cli.stdout.write(rootHelp(cli, flags, entries, groups))
      return 0
    }
    if (first === 'help') return await help(cli, others)
    const found = findCommand(parsed.args)
    if (found === undefined) return await unknownCommand(cli, parsed.args)
    return found.kind === 'group' ? await runGroup(cli, found) : await runOrRecover(cli, found)
  } finally {
    cli.close()
  }
}

/** A name that is none of ours may be one of Docker's plugins. */
async function unknownCommand(cli: Cli, args: readonly string[]): Promise<number> {
  const { runPlugin } = await import('./plugins.ts')
  const code = await runPlugin(cli, args)
  if (code !== undefined) return code
  const guess = await didYouMean(cli, args.slice(0, 1))
  throw new CliError(
    `${cli.program}: unknown command: ${cli.program} ${args[0]}\n\n${guess}Run '${cli.program} --help' for more information`,
  )
}

/** Runs a command line. Resolves with the exit code; errors have been printed. */
export async function runCli(options: CliOptions, words: readonly string[]): Promise<number> {
  try {
    return await dispatch(options, words)
  } catch (error) {
    const { message, code } = failureOf(error)
    try {
      if (message !== '') options.stderr.write(`${message}\n`)
    } catch (closed) {
      if (!(closed instanceof OutputClosed)) throw closed
    }
    return code
  }
}
