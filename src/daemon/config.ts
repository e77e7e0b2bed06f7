/**
 * The daemon's configuration: flags over daemon.json over defaults. A key may come from one of the two only, as
 * dockerd has it, so that nobody wonders which one counts.
 */
import { readFileSync } from 'node:fs'
import { describeSyntaxError } from '../lib/http-json-syntax.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import { checkSettings } from './config-check.ts'
import { commandFlags, flagName, options, type Option } from './config-options.ts'
import { addFlagValue, jsonValue, Settings, type SettingMap } from './config-values.ts'

/** Where the configuration file is when no flag says. */
export const defaultConfigFile = '/etc/wharf/daemon.json'

/** What the command line said. */
export type CommandLine = {
  settings: SettingMap
  configFile: string | undefined
  help: boolean
  version: boolean
  validate: boolean
}

/** Reads flags as pflag does: `--a b`, `--a=b`, `-a b`, `-ab`, `--flag[=false]`. Throws `invalid`. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const settings: SettingMap = new Map()
  const rest = [...args]
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg.startsWith('--') && arg.length > 2) longFlag(settings, arg, rest)
    else if (arg.startsWith('-') && arg.length > 1 && arg !== '--') shortFlags(settings, arg, rest)
    else throw new EngineError('invalid', `"wharfd" accepts no arguments.\nSee 'wharfd --help'.`)
  }
  const command = new Settings(settings)
  const result = {
    configFile: command.has('config-file') ? command.text('config-file') : undefined,
    help: command.flag('help'),
    version: command.flag('version'),
    validate: command.flag('validate'),
  }
  for (const option of commandFlags) settings.delete(option.key)
  return { settings, ...result }
}

const allFlags = [...options, ...commandFlags]
const hint = `\nSee 'wharfd --help'.`

function longFlag(settings: SettingMap, arg: string, rest: string[]): void {
  const at = arg.indexOf('=')
  const name = at < 0 ? arg.slice(2) : arg.slice(2, at)
  // `--graph` was the name of `--data-root` once.
  const wanted = name === 'graph' ? 'data-root' : name
  const option = allFlags.find((candidate) => flagName(candidate) === wanted)
  if (option === undefined || name === '') throw new EngineError('invalid', `unknown flag: --${name}${hint}`)
  if (at >= 0) addFlagValue(settings, option, arg.slice(at + 1))
  else if (option.kind === 'flag') addFlagValue(settings, option, 'true')
  else addFlagValue(settings, option, following(rest, `--${name}`))
}

function shortFlags(settings: SettingMap, arg: string, rest: string[]): void {
  for (let at = 1; at < arg.length; at++) {
    const letter = arg[at]
    const option = allFlags.find((candidate) => candidate.short === letter)
    if (option === undefined) {
      throw new EngineError('invalid', `unknown shorthand flag: '${letter}' in ${arg}${hint}`)
    }
    if (option.kind === 'flag') {
      addFlagValue(settings, option, 'true')
      continue
    }
    const attached = arg.slice(at + 1).replace(/^=/, '')
    addFlagValue(settings, option, attached === '' ? following(rest, `-${letter}`) : attached)
    return
  }
}

function following(rest: string[], flag: string): string {
  const value = rest.shift()
  if (value === undefined) throw new EngineError('invalid', `flag needs an argument: ${flag}${hint}`)
  return value
}

/** Reads a configuration file; one that is not there is empty unless it was asked for. Throws `invalid`. */
export function readConfigFile(path: string, options: { mustExist: boolean }): SettingMap {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && !options.mustExist) return new Map()
    const reason =
      errorCode(error) === 'ENOENT' ? `open ${path}: no such file or directory` : errorMessage(error)
    throw new EngineError('invalid', `unable to configure the daemon with file ${path}: ${reason}`)
  }
  try {
    return parseConfig(text)
  } catch (error) {
    throw new EngineError(
      'invalid',
      `unable to configure the daemon with file ${path}: ${errorMessage(error)}`,
    )
  }
}

/** The settings of a configuration file's text. */
export function parseConfig(text: string): SettingMap {
  const settings: SettingMap = new Map()
  if (text.trim() === '') return settings
  const parsed = parseObject(text)
  const unknown: string[] = []
  for (const [key, value] of Object.entries(parsed)) {
    const option = findKey(key)
    if (option === undefined) unknown.push(key)
    else settings.set(option.key, jsonValue(option, value))
  }
  if (unknown.length > 0) {
    throw new EngineError(
      'invalid',
      `the following directives don't match any configuration option: ${unknown.join(', ')}`,
    )
  }
  return settings
}

/** Older names of the same things, and a flag's name that Docker's page has as a key. */
const otherNames: Readonly<Record<string, string>> = {
  graph: 'data-root',
  'host-gateway-ip': 'host-gateway-ips',
  'containerd-plugins-namespace': 'containerd-plugin-namespace',
}

function findKey(key: string): Option | undefined {
  const name = otherNames[key] ?? key
  return options.find((option) => option.key === name)
}

function parseObject(text: string): object {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    throw new EngineError('invalid', describeSyntaxError(text).message, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new EngineError(
    'invalid',
    'json: cannot unmarshal the file into Go value of type map[string]interface {}',
  )
}

/** Flags and file together. Throws `invalid` for a key that both have. */
export function mergeSettings(flags: SettingMap, file: SettingMap, path: string): Settings {
  const conflicts = [...flags.keys()].filter((key) => file.has(key))
  if (conflicts.length > 0) {
    const list = conflicts.map((key) => {
      const option = options.find((candidate) => candidate.key === key)
      const name = option === undefined ? key : flagName(option)
      return `${name}: (from flag: ${show(flags.get(key))}, from file: ${show(file.get(key))})`
    })
    throw new EngineError(
      'invalid',
      `unable to configure the daemon with file ${path}: the following directives are specified both as a flag and in the configuration file: ${list.join(', ')}`,
    )
  }
  const settings = new Settings(new Map([...file, ...flags]))
  checkSettings(settings)
  return settings
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((entry) => show(entry)).join(' ')}]`
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

/** Keys that differ between two configurations, and may not change while running. */
export function fixedChanges(before: Settings, after: Settings): string[] {
  return options
    .filter((option) => option.reload !== true && changed(before, after, option.key))
    .map((option) => option.key)
}

function changed(before: Settings, after: Settings, key: string): boolean {
  return JSON.stringify(before.entries().get(key)) !== JSON.stringify(after.entries().get(key))
}

/** `wharfd --help`. */
export function usage(): string {
  const lines = [...options, ...commandFlags]
    .filter((option) => flagName(option) !== '')
    .toSorted((a, b) => flagName(a).localeCompare(flagName(b)))
    .map((option) => {
      const short = option.short === undefined ? '    ' : `-${option.short}, `
      const value = option.kind === 'flag' ? '' : ` ${valueWord(option)}`
      return `  ${short}${`--${flagName(option)}${value}`.padEnd(38)} ${option.help}`
    })
  return `Usage:  wharfd [OPTIONS]\n\nThe engine's daemon: serves the Docker Engine API and keeps containers.\n\nOptions:\n${lines.join('\n')}\n`
}

function valueWord({ kind }: Option): string {
  const words: Partial<Record<Option['kind'], string>> = {
    text: 'string',
    number: 'int',
    ulimits: 'ulimit',
    runtimes: 'runtime',
    pools: 'pool-options',
    nested: 'mapmap',
    flags: 'map',
  }
  return words[kind] ?? kind
}
