/** Help and usage texts in Docker's layout (cobra's templates, pflag's wrapping). */
import type { Flag, Flags } from '../lib/flags.ts'
import type { Command, CommandEntry, CommandGroup } from './command.ts'

/** Splits `text` at a space or newline within `width`, leaving `slop` for a last short word. */
function cut(text: string, width: number, slop: number): [string, string] {
  const newline = text.indexOf('\n')
  if (width + slop > text.length) {
    return newline < 0 ? [text, ''] : [text.slice(0, newline), text.slice(newline + 1)]
  }
  const head = text.slice(0, width)
  const at = Math.max(...[' ', '\t', '\n'].map((blank) => head.lastIndexOf(blank)))
  if (at <= 0) return [text, '']
  if (newline > 0 && newline < at) return [text.slice(0, newline), text.slice(newline + 1)]
  return [text.slice(0, at), text.slice(at + 1)]
}

/** Wraps `text` to `width` columns, continuation lines indented, as pflag's wrap() does. */
function wrapText(text: string, indent: number, width: number): string {
  if (width === 0) return text.replaceAll('\n', `\n${' '.repeat(indent)}`)
  let left = indent
  let room = width - left
  let result = ''
  if (room < 24) {
    left = 16
    room = width - left
    result += `\n${' '.repeat(left)}`
  }
  if (room < 24) return text.replaceAll('\n', result)
  const slop = 5
  room -= slop
  let [line, rest] = cut(text, room, slop)
  result += line.replaceAll('\n', `\n${' '.repeat(left)}`)
  while (rest !== '') {
    ;[line, rest] = cut(rest, room, slop)
    result += `\n${' '.repeat(left)}${line.replaceAll('\n', `\n${' '.repeat(left)}`)}`
  }
  return result
}

/** The lines of an options section, sorted by name. */
function flagUsages(flags: Flags, columns: number): string {
  const specs: [string, Pick<Flag<unknown>, 'short' | 'type' | 'help' | 'shownDefault'>][] = []
  for (const [name, spec] of Object.entries(flags)) {
    if (spec.hidden !== true && spec.deprecated === undefined) specs.push([name, spec])
  }
  specs.sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = specs.map(([name, spec]) => {
    const start = spec.short === undefined ? `      --${name}` : `  -${spec.short}, --${name}`
    const usage = spec.help + (spec.shownDefault === undefined ? '' : ` (default ${spec.shownDefault})`)
    return [spec.type === '' ? start : `${start} ${spec.type}`, usage] as const
  })
  const widest = Math.max(0, ...lines.map(([start]) => start.length)) + 1
  return lines
    .map(
      ([start, usage]) =>
        `${start}${' '.repeat(widest - start.length)}  ${wrapText(usage, widest + 2, columns)}\n`,
    )
    .join('')
}

function columnsOf(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(11, ...rows.map(([name]) => name.length))
  return rows.map(([name, summary]) => `  ${name.padEnd(width)} ${summary}\n`).join('')
}

/** `Usage:  docker ps [OPTIONS]`, without a line end. */
export function usageLine(program: string, name: string, entry: CommandEntry): string {
  const forms = typeof entry.usage === 'string' ? [entry.usage] : entry.usage
  // Docker writes a second form with the command's short name.
  const names = forms.map((_, index) => (index === 0 ? name : (topName(entry) ?? name)))
  return `Usage:  ${forms.map((form, index) => `${program} ${names[index]} ${form}`.trimEnd()).join('\n\t')}`
}

/** The name an invocation stands for: its parent's canonical one. */
export function canonicalName(entry: CommandEntry, invoked: string): string {
  const parent = invoked.split(' ').slice(0, -1).join(' ')
  const sibling = entry.names.find((name) => name.split(' ').slice(0, -1).join(' ') === parent)
  return sibling ?? invoked
}

/** What help needs to know of its surroundings. */
export type HelpContext = { program: string; columns: number }

/** Help of a command. */
export function commandHelp(
  context: HelpContext,
  invoked: string,
  entry: CommandEntry,
  command: Command,
): string {
  const { program, columns } = context
  const name = canonicalName(entry, invoked)
  let text = `${usageLine(program, name, entry)}\n\n${entry.description ?? entry.summary}\n`
  if (entry.names.length > 1) {
    text += `\nAliases:\n  ${entry.names.map((alias) => `${program} ${alias}`).join(', ')}\n`
  }
  const options = flagUsages(command.flags, columns - 1)
  if (options !== '') text += `\nOptions:\n${options}`
  return text
}

/** Rows of the commands directly below a group. */
function childRows(prefix: string, entries: readonly CommandEntry[], groups: readonly CommandGroup[]) {
  const rows = new Map<string, string>()
  for (const entry of entries) {
    if (entry.hidden === true) continue
    const name = entry.names.find((candidate) => candidate.split(' ').slice(0, -1).join(' ') === prefix)
    if (name !== undefined) rows.set(name.slice(prefix.length).trim(), entry.summary)
  }
  for (const group of groups) {
    const below = group.name.split(' ').slice(0, -1).join(' ') === prefix && prefix !== ''
    if (below) rows.set(group.name.slice(prefix.length).trim(), group.summary)
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Help of a group of commands. */
export function groupHelp(
  context: HelpContext,
  group: CommandGroup,
  entries: readonly CommandEntry[],
  groups: readonly CommandGroup[],
): string {
  const path = `${context.program} ${group.name}`
  return (
    `Usage:  ${path} COMMAND\n\n${group.summary}\n\nCommands:\n` +
    columnsOf(childRows(group.name, entries, groups)) +
    `\nRun '${path} COMMAND --help' for more information on a command.\n`
  )
}

/** Help of the program itself. */
export function rootHelp(
  context: HelpContext,
  flags: Flags,
  entries: readonly CommandEntry[],
  groups: readonly CommandGroup[],
): string {
  const common = entries
    .filter((entry) => entry.common !== undefined)
    .sort((a, b) => (a.common ?? 0) - (b.common ?? 0))
    .map((entry) => [topName(entry) ?? '', entry.summary] as const)
  const rows = (section: string | undefined) =>
    groups
      .filter((group) => group.section === section && !group.name.includes(' '))
      .map((group) => [group.name, group.summary] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
  const isCommon = new Set(common.map(([name]) => name))
  const others = childRows('', entries, groups).filter(([name]) => !isCommon.has(name))
  const swarm = rows('swarm')
  return (
    `Usage:  ${context.program} [OPTIONS] COMMAND\n\nRuns and manages containers\n` +
    `\nCommon Commands:\n${columnsOf(common)}\nManagement Commands:\n${columnsOf(rows(undefined))}` +
    (swarm.length === 0 ? '' : `\nSwarm Commands:\n${columnsOf(swarm)}`) +
    `\nCommands:\n${columnsOf(others)}\nGlobal Options:\n${flagUsages(flags, context.columns - 1)}` +
    `\nRun '${context.program} COMMAND --help' for more information on a command.\n`
  )
}

/** The name of a command at the top level, if it has one. */
function topName(entry: CommandEntry): string | undefined {
  return entry.names.find((name) => !name.includes(' '))
}
