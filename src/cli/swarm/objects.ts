/** `node`, `config`, `secret` and `stack`. */
import { readFileSync } from 'node:fs'
import { errorMessage } from '../../spec/errors.ts'
import { fileErrorMessage } from '../../lib/file-error.ts'
import { flag } from '../../lib/flags.ts'
import type { Flags } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import type { ArgumentCount, Command } from '../command.ts'
import { CliError } from '../errors.ts'
import { filterFlag } from '../filters.ts'
import { inspectFormatHelp, listFormatHelp } from '../inspect.ts'
import { plainFlags } from '../plain-flags.ts'
import { inspectFromManager, needManager, needManagerForEach } from './manager.ts'

const quiet = flag.bool('Show ids only', { short: 'q' })
/** Flags of the lists. */
export const listFlags = { filter: filterFlag(), format: flag.string(listFormatHelp), quiet }
/** Flags of the lists of tasks. */
export const taskFlags = {
  ...listFlags,
  'no-resolve': flag.bool('Show ids of nodes and services instead of names'),
  'no-trunc': flag.bool('Shorten nothing'),
}
const inspectFlags = {
  format: flag.string(inspectFormatHelp, { short: 'f' }),
  pretty: flag.bool('Print for people'),
}

/** A command that asks a manager for one thing. */
export function asking(
  flags: Flags,
  count: ArgumentCount,
  path: (args: readonly string[]) => string,
): Command {
  return defineCommand({ flags, count, run: async (cli, { args }) => needManager(cli, path(args)) })
}

/** `inspect` of objects below an API path. */
export function inspecting(area: string): Command {
  return defineCommand({
    flags: inspectFlags,
    count: { min: 1 },
    run: async (cli, { flags, args }) =>
      inspectFromManager(cli, `/${area}/${encodeURIComponent(args[0] ?? '')}`, flags.pretty),
  })
}

/** A command on several objects below an API path, each of which is refused by itself. */
export function onEach(area: string, flags: Flags = {}): Command {
  return defineCommand({
    flags,
    count: { min: 1 },
    run: async (cli, { args }) => needManagerForEach(cli, args, `/${area}`),
  })
}

const one = { min: 1, max: 1 }
const none = { min: 0, max: 0 }
const first = (args: readonly string[]) => encodeURIComponent(args[0] ?? '')

function readContent(path: string): void {
  try {
    readFileSync(path === '-' ? 0 : path)
  } catch (error) {
    throw new CliError(`error reading from ${path}: ${fileErrorMessage(error, path)}`, { cause: error })
  }
}

/** Commands of `config`. */
export const configCommands = {
  create: defineCommand({
    flags: plainFlags({
      label: ['list', 'Label of the config', 'l'],
      'template-driver': ['string', 'Driver of templates in the content'],
    }),
    count: { min: 2, max: 2 },
    run: async (cli, { args: [, path = ''] }) => {
      try {
        readContent(path)
      } catch (error) {
        throw new CliError(`Error reading content from ${JSON.stringify(path)}: ${errorMessage(error)}`)
      }
      return needManager(cli, '/configs')
    },
  }),
  inspect: inspecting('configs'),
  ls: asking(listFlags, none, () => '/configs'),
  rm: onEach('configs'),
}

/** Commands of `secret`. */
export const secretCommands = {
  create: defineCommand({
    flags: plainFlags({
      driver: ['string', 'Driver that keeps the secret', 'd'],
      label: ['list', 'Label of the secret', 'l'],
      'template-driver': ['string', 'Driver of templates in the content'],
    }),
    count: { min: 1, max: 2 },
    run: async (cli, { flags, args: [, path] }) => {
      if (path !== undefined) readContent(path)
      else if (flags['driver'] === '') throw new CliError('secret file is required')
      return needManager(cli, '/secrets')
    },
  }),
  inspect: inspecting('secrets'),
  ls: asking(listFlags, none, () => '/secrets'),
  rm: onEach('secrets'),
}

/** Commands of `node`. */
export const nodeCommands = {
  demote: asking({}, { min: 1 }, (args) => `/nodes/${first(args)}`),
  inspect: inspecting('nodes'),
  ls: asking(listFlags, none, () => '/nodes'),
  promote: asking({}, { min: 1 }, (args) => `/nodes/${first(args)}`),
  ps: asking(taskFlags, { min: 0 }, () => '/tasks'),
  rm: onEach('nodes', { force: flag.bool('Remove a node that is still reachable', { short: 'f' }) }),
  update: asking(
    plainFlags({
      availability: ['string', 'Whether the node takes tasks ("active", "pause", "drain")'],
      'label-add': ['list', 'Label to set, as KEY=VALUE'],
      'label-rm': ['list', 'Label to take away'],
      role: ['string', 'Role of the node ("worker", "manager")'],
    }),
    one,
    (args) => `/nodes/${first(args)}`,
  ),
}

const composeFile = flag.list('Compose file, or "-" for stdin', { short: 'c', type: 'strings' })
const detach = flag.bool('Do not wait until the stack is settled', { short: 'd', initial: true })

function readComposeFiles(paths: readonly string[]): void {
  if (paths.length === 0) throw new CliError('Specify a Compose file (with --compose-file)')
  for (const path of paths) {
    try {
      readFileSync(path === '-' ? 0 : path)
    } catch (error) {
      const reason = errorMessage(error).replace(/^[A-Z]+: (.*?), open .*$/, '$1')
      throw new CliError(`open ${path}: ${reason}`, { cause: error })
    }
  }
}

/** Commands of `stack`. */
export const stackCommands = {
  config: defineCommand({
    flags: {
      'compose-file': composeFile,
      'skip-interpolation': flag.bool('Leave variables as they are'),
    },
    count: none,
    run: async (cli, { flags }) => {
      readComposeFiles(flags['compose-file'])
      throw new CliError(`${cli.program} cannot read Compose files for stacks yet`)
    },
  }),
  deploy: defineCommand({
    flags: {
      'compose-file': composeFile,
      detach,
      prune: flag.bool('Remove services that the file no longer names'),
      quiet: flag.bool('Show no progress', { short: 'q' }),
      'resolve-image': flag.string('Ask the registry for digests ("always", "changed", "never")', {
        initial: 'always',
      }),
      'with-registry-auth': flag.bool('Let the nodes have the login at the registry'),
    },
    count: one,
    run: async (cli, { flags }) => {
      readComposeFiles(flags['compose-file'])
      return needManager(cli, '/services')
    },
  }),
  ls: asking({ format: flag.string(listFormatHelp) }, none, () => '/services'),
  ps: asking(taskFlags, one, () => '/tasks'),
  rm: asking({ detach }, { min: 1 }, () => '/services'),
  services: asking(listFlags, one, () => '/services'),
}
