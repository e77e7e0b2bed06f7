/**
 * `__complete WORDS...`: what the shells' completion scripts ask. The last word is being typed; each line of the
 * answer is a candidate, a tab and its description. A line `:files` asks for file names instead.
 */
import type { ContainerSummary } from '../../spec/container-types.ts'
import type { ImageSummary } from '../../spec/image-types.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import type { Command, CompletionKind } from '../command.ts'
import { findCommand, globalFlags } from '../dispatch.ts'
import type { Flags } from '../../lib/flags.ts'
import { entries, groups } from '../registry.ts'

type Candidate = readonly [string, string]

const containerStates: Partial<Record<CompletionKind, string[]>> = {
  running: ['running', 'paused', 'restarting'],
  stopped: ['created', 'exited'],
}

async function containers(cli: Cli, kind: CompletionKind): Promise<Candidate[]> {
  const all = await cli.client.json<ContainerSummary[]>('GET', '/containers/json', { query: { all: true } })
  const states = containerStates[kind]
  return all
    .filter(({ State }) => states === undefined || states.includes(State))
    .map(({ Names, Image }) => [Names[0]?.replace(/^\//, '') ?? '', Image] as const)
}

async function objects(cli: Cli, kind: CompletionKind): Promise<Candidate[]> {
  switch (kind) {
    case 'image': {
      const images = await cli.client.json<ImageSummary[]>('GET', '/images/json')
      return images.flatMap(({ RepoTags }) => (RepoTags ?? []).map((tag) => [tag, ''] as const))
    }
    case 'network': {
      const networks = await cli.client.json<{ Name: string; Driver: string }[]>('GET', '/networks')
      return networks.map(({ Name, Driver }) => [Name, Driver] as const)
    }
    case 'volume': {
      const { Volumes } = await cli.client.json<{ Volumes: { Name: string; Driver: string }[] | null }>(
        'GET',
        '/volumes',
      )
      return (Volumes ?? []).map(({ Name, Driver }) => [Name, Driver] as const)
    }
    case 'container':
    case 'running':
    case 'stopped':
      return await containers(cli, kind)
    default:
      return []
  }
}

/** Names that the value of a flag may have. */
const flagKinds: Readonly<Record<string, CompletionKind>> = {
  network: 'network',
  net: 'network',
  'volumes-from': 'container',
  link: 'running',
  volume: 'file',
  'env-file': 'file',
  'label-file': 'file',
  cidfile: 'file',
  output: 'file',
  input: 'file',
  config: 'file',
}

function flagOf(flags: Flags, word: string): [string, boolean] | undefined {
  const found = Object.entries(flags).find(
    ([name, spec]) => word === `--${name}` || (spec.short !== undefined && word === `-${spec.short}`),
  )
  return found === undefined ? undefined : [found[0], found[1].alone === undefined]
}

function flagNames(flags: Flags): Candidate[] {
  return Object.entries(flags)
    .filter(([, spec]) => spec.hidden !== true && spec.deprecated === undefined)
    .map(([name, spec]) => [`--${name}`, spec.help.split('\n')[0] ?? ''] as const)
}

function subcommands(prefix: string): Candidate[] {
  const start = prefix === '' ? '' : `${prefix} `
  const below = (name: string) => name.startsWith(start) && !name.slice(start.length).includes(' ')
  return [
    ...entries
      .filter((entry) => entry.hidden !== true)
      .flatMap((entry) =>
        entry.names.filter(below).map((name) => [name.slice(start.length), entry.summary] as const),
      ),
    ...groups
      .filter(({ name }) => below(name))
      .map(({ name, summary }) => [name.slice(start.length), summary] as const),
  ]
}

/** Position of the word among the arguments, flags and their values left out. */
function argumentIndex(command: Command, words: readonly string[]): number {
  let index = 0
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (!word.startsWith('-') || word === '-') index++
    else if (flagOf(command.flags, word)?.[1] === true) at++
  }
  return index
}

async function forCommand(
  cli: Cli,
  command: Command,
  words: readonly string[],
): Promise<Candidate[] | 'files'> {
  const current = words.at(-1) ?? ''
  const before = words.at(-2)
  const flag = before === undefined ? undefined : flagOf(command.flags, before)
  if (flag?.[1] === true) {
    const kind = flagKinds[flag[0]]
    if (kind === 'file' || kind === undefined) return 'files'
    return await objects(cli, kind)
  }
  const index = argumentIndex(command, words.slice(0, -1))
  if (current.startsWith('-') && (command.interspersed || index === 0)) return flagNames(command.flags)
  if (!command.interspersed && index > 0) return 'files'
  const kind = command.completes[Math.min(index, command.completes.length - 1)]
  if (kind === undefined || kind === 'file') return 'files'
  return await objects(cli, kind)
}

/** Leaves the global flags before the command out. */
function afterGlobals(words: readonly string[], flags: Flags): readonly string[] {
  let at = 0
  while (at < words.length - 1 && (words[at] ?? '').startsWith('-')) {
    at += flagOf(flags, words[at] ?? '')?.[1] === true ? 2 : 1
  }
  return words.slice(at)
}

async function candidates(cli: Cli, given: readonly string[]): Promise<Candidate[] | 'files'> {
  const globals: Flags = globalFlags(cli.configDirectory)
  const words = afterGlobals(given, globals)
  const current = words.at(-1) ?? ''
  const found = findCommand(words.slice(0, -1))
  if (found === undefined) return current.startsWith('-') ? flagNames(globals) : subcommands('')
  if (found.kind === 'group') return subcommands(found.group.name)
  return await forCommand(cli, await found.entry.load(), [...found.rest, current])
}

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 0 },
  interspersed: false,
  run: async (cli, { args }) => {
    let found: Candidate[] | 'files'
    try {
      found = await candidates(cli, args)
    } catch {
      // No engine answers: there are no names to offer.
      return
    }
    if (found === 'files') return cli.print(':files')
    const current = args.at(-1) ?? ''
    for (const [name, description] of found) {
      if (name.startsWith(current)) cli.print(description === '' ? name : `${name}\t${description}`)
    }
  },
})
