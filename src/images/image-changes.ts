/**
 * Dockerfile instructions applied to a configuration, as `commit --change` and `import --change` take them. All lines are
 * read before the first is applied, so what is wrong with any of them is told first.
 */
import { posix } from 'node:path'
import { parseDuration } from '../lib/duration.ts'
import { quoteGo } from '../lib/go-quote.ts'
import { addPortSpec } from '../lib/port-spec.ts'
import { parseSignal } from '../lib/signals.ts'
import type { ContainerConfig, HealthConfig } from '../spec/container-config.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { parseChangeLines, type Instruction } from './change-lines.ts'
import { expandChange, type Expanding } from './change-words.ts'

/** The configuration so far, what its variables are, and whether a command was set by a change. */
type State = { config: ContainerConfig; expanding: Expanding; hasCommand: boolean }
/** What an instruction, once read, does to a configuration. */
type Change = (state: State) => Partial<ContainerConfig>

const invalid = (message: string) => new EngineError('invalid', message)

/** The configuration with the changes applied in order. Throws invalid. */
export function applyChanges(config: ContainerConfig, changes: readonly string[]): ContainerConfig {
  if (changes.length === 0) return config
  const { instructions, escape } = parseChangeLines(changes.join('\n'))
  const known = instructions.map((instruction) => {
    const read = readers.get(instruction.name.toLowerCase())
    if (read === undefined) throw invalid(`${instruction.name} is not a valid change command`)
    return { instruction, read }
  })
  const changed = known.map(({ instruction, read }) => ({
    apply: inWords(() => read(instruction)),
    setsCommand: instruction.name.toLowerCase() === 'cmd' && instruction.args.length > 0,
  }))
  let result = config
  let hasCommand = false
  for (const { apply, setsCommand } of changed) {
    const state = { config: result, expanding: { variables: variablesOf(result), escape }, hasCommand }
    result = { ...result, ...inWords(() => apply(state)) }
    hasCommand ||= setsCommand
  }
  return result
}

/** What a parser throws is what the client did wrong. */
function inWords<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof EngineError) throw error
    throw invalid(errorMessage(error))
  }
}

function variablesOf(config: ContainerConfig): ReadonlyMap<string, string> {
  return new Map(
    (config.Env ?? []).map((entry) => {
      const equals = entry.indexOf('=')
      return equals === -1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)]
    }),
  )
}

function needArguments({ name, args }: Instruction, count: 'at least' | 'exactly'): void {
  if (args.length === 0) throw invalid(`${name.toUpperCase()} requires ${count} one argument`)
}

/** Values of the flags there may be; each is `--NAME=VALUE`. */
function flagValues({ flags }: Instruction, known: readonly string[] = []): Map<string, string> {
  const values = new Map<string, string>()
  for (const flag of flags) {
    const [, name = '', value] = /^--([^=]*)(?:=([^]*))?$/.exec(flag) ?? []
    if (!known.includes(name)) throw invalid(`Unknown flag: ${name}`)
    if (values.has(name)) throw invalid(`Duplicate flag specified: ${name}`)
    if (value === undefined) throw invalid(`Missing a value on flag: ${name}`)
    values.set(name, value)
  }
  return values
}

function commandLine({ args, isJson }: Instruction, config: ContainerConfig): string[] {
  if (isJson) return [...args]
  const shell = config.Shell ?? []
  return [...(shell.length === 0 ? ['/bin/sh', '-c'] : shell), ...args]
}

function readCommand(instruction: Instruction): Change {
  flagValues(instruction)
  return ({ config }) => ({ Cmd: commandLine(instruction, config) })
}

function readEntrypoint(instruction: Instruction): Change {
  flagValues(instruction)
  return ({ config, hasCommand }) => ({
    Entrypoint: instruction.args.length === 0 ? null : commandLine(instruction, config),
    // Without a command of its own it resets the inherited one.
    ...(hasCommand ? {} : { Cmd: null }),
  })
}

/** The pairs of ENV and LABEL, with variables replaced once it is applied. */
function readPairs(instruction: Instruction): (expanding: Expanding) => [string, string][] {
  flagValues(instruction)
  needArguments(instruction, 'at least')
  const { args, name } = instruction
  const pairs = args.flatMap((word, at): [string, string][] =>
    at % 2 === 0 ? [[word, args[at + 1] ?? '']] : [],
  )
  if (pairs.some(([key]) => key === '')) throw invalid(`${name.toUpperCase()} names can not be blank`)
  return (expanding) =>
    pairs.map(([key, value]) => [expandChange(key, expanding).text, expandChange(value, expanding).text])
}

function readEnv(instruction: Instruction): Change {
  const pairs = readPairs(instruction)
  return ({ config, expanding }) => {
    const entries = [...(config.Env ?? [])]
    for (const [name, value] of pairs(expanding)) {
      const at = entries.findIndex((entry) => entry.split('=', 1)[0] === name)
      if (at === -1) entries.push(`${name}=${value}`)
      else entries[at] = `${name}=${value}`
    }
    return { Env: entries }
  }
}

function readLabel(instruction: Instruction): Change {
  const pairs = readPairs(instruction)
  return ({ config, expanding }) => ({
    Labels: { ...config.Labels, ...Object.fromEntries(pairs(expanding)) },
  })
}

function readExpose(instruction: Instruction): Change {
  needArguments(instruction, 'at least')
  flagValues(instruction)
  return ({ config, expanding }) => {
    const ports = { exposed: {}, bindings: {} }
    for (const word of instruction.args.toSorted()) {
      for (const spec of expandChange(word, expanding).words) addPortSpec(spec, ports)
    }
    return { ExposedPorts: { ...config.ExposedPorts, ...ports.exposed } }
  }
}

function readVolume(instruction: Instruction): Change {
  needArguments(instruction, 'at least')
  flagValues(instruction)
  const checked = (path: string) => {
    if (path === '') throw invalid('VOLUME specified can not be an empty string')
    return path
  }
  const paths = instruction.args.map((path) => checked(path.trim()))
  return ({ config, expanding }) => ({
    Volumes: {
      ...config.Volumes,
      ...Object.fromEntries(paths.map((path) => [checked(expandChange(path, expanding).text), {}])),
    },
  })
}

/** An instruction with one argument. */
function readOne(instruction: Instruction): (expanding: Expanding) => string {
  needArguments(instruction, 'exactly')
  flagValues(instruction)
  return (expanding) => expandChange(instruction.args[0] ?? '', expanding).text
}

function readUser(instruction: Instruction): Change {
  const user = readOne(instruction)
  return ({ expanding }) => ({ User: user(expanding) })
}

function readStopSignal(instruction: Instruction): Change {
  const signal = readOne(instruction)
  return ({ expanding }) => {
    const StopSignal = signal(expanding)
    parseSignal(StopSignal)
    return { StopSignal }
  }
}

function readWorkdir(instruction: Instruction): Change {
  const directory = readOne(instruction)
  return ({ config, expanding }) => {
    const path = directory(expanding)
    if (path === '') throw invalid('cannot normalize nothing')
    if (path.startsWith('/')) return { WorkingDir: path }
    return { WorkingDir: posix.join('/', config.WorkingDir, path).replace(/(.)\/$/, '$1') }
  }
}

function readOnbuild(instruction: Instruction): Change {
  needArguments(instruction, 'at least')
  flagValues(instruction)
  const trigger = (instruction.args[0] ?? '').toUpperCase()
  if (trigger === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (trigger === 'MAINTAINER' || trigger === 'FROM') {
    throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`)
  }
  return ({ config }) => ({ OnBuild: [...(config.OnBuild ?? []), instruction.written] })
}

const healthFlags = ['interval', 'timeout', 'start-period', 'start-interval', 'retries']

function readHealthcheck(instruction: Instruction): Change {
  needArguments(instruction, 'at least')
  const [type = '', ...command] = instruction.args
  const upper = type.toUpperCase()
  if (upper === 'NONE') {
    if (command.length > 0) throw invalid('HEALTHCHECK NONE takes no arguments')
    return () => ({ Healthcheck: { ...noHealth, Test: ['NONE'] } })
  }
  const flags = flagValues(instruction, healthFlags)
  if (upper !== 'CMD') throw invalid(`Unknown type ${quoteGo(upper)} in HEALTHCHECK (try CMD)`)
  if (command.length === 0) throw invalid('Missing command after HEALTHCHECK CMD')
  const interval = (name: string) => healthInterval(name, flags.get(name) ?? '')
  const Healthcheck: HealthConfig = {
    Test: [instruction.isJson ? 'CMD' : 'CMD-SHELL', ...command],
    Interval: interval('interval'),
    Timeout: interval('timeout'),
    StartPeriod: interval('start-period'),
    StartInterval: interval('start-interval'),
    Retries: healthRetries(flags.get('retries') ?? ''),
  }
  return () => ({ Healthcheck })
}

const noHealth = { Test: null, Interval: 0, Timeout: 0, StartPeriod: 0, StartInterval: 0, Retries: 0 }

function healthInterval(name: string, text: string): number {
  const ns = text === '' ? 0 : parseDuration(text)
  if (ns !== 0 && ns < 1_000_000) throw invalid(`Interval ${quoteGo(name)} cannot be less than 1ms`)
  return ns
}

function healthRetries(text: string): number {
  const refused = (why: string) => invalid(`strconv.ParseInt: parsing ${quoteGo(text)}: ${why}`)
  if (text === '') return 0
  if (!/^[-+]?\d+$/.test(text)) throw refused('invalid syntax')
  const count = Number(text)
  if (count !== (count | 0)) throw refused('value out of range')
  if (count < 0) throw invalid(`--retries cannot be negative (${count})`)
  return count
}

const readers = new Map<string, (instruction: Instruction) => Change>([
  ['cmd', readCommand],
  ['entrypoint', readEntrypoint],
  ['env', readEnv],
  ['expose', readExpose],
  ['healthcheck', readHealthcheck],
  ['label', readLabel],
  ['onbuild', readOnbuild],
  ['stopsignal', readStopSignal],
  ['user', readUser],
  ['volume', readVolume],
  ['workdir', readWorkdir],
])

/** What `changed` leaves unset, filled in from what it was made of (moby daemon/commit.go, merge). */
export function mergeConfig(changed: ContainerConfig, base: ContainerConfig): ContainerConfig {
  const names = new Set((changed.Env ?? []).map((entry) => entry.split('=', 1)[0]))
  const inherited = (base.Env ?? []).filter((entry) => !names.has(entry.split('=', 1)[0]))
  const hasEntrypoint = (changed.Entrypoint ?? []).length > 0
  const hasCommand = (changed.Cmd ?? []).length > 0
  return {
    ...changed,
    User: changed.User || base.User,
    ExposedPorts: isEmpty(changed.ExposedPorts)
      ? base.ExposedPorts
      : { ...base.ExposedPorts, ...changed.ExposedPorts },
    Env: (changed.Env ?? []).length === 0 ? base.Env : [...(changed.Env ?? []), ...inherited],
    Labels: { ...base.Labels, ...changed.Labels },
    Cmd: hasEntrypoint || hasCommand ? changed.Cmd : base.Cmd,
    Entrypoint: hasEntrypoint || changed.Entrypoint !== null ? changed.Entrypoint : base.Entrypoint,
    Healthcheck: mergeHealth(changed.Healthcheck, base.Healthcheck),
    WorkingDir: changed.WorkingDir || base.WorkingDir,
    Volumes: isEmpty(changed.Volumes) ? base.Volumes : { ...changed.Volumes, ...base.Volumes },
    StopSignal: changed.StopSignal || base.StopSignal,
  }
}

function isEmpty(map: Record<string, unknown> | null): boolean {
  return map === null || Object.keys(map).length === 0
}

function mergeHealth(changed: HealthConfig | null, base: HealthConfig | null): HealthConfig | null {
  if (changed === null || base === null) return changed ?? base
  return {
    Test: (changed.Test ?? []).length === 0 ? base.Test : changed.Test,
    Interval: changed.Interval || base.Interval,
    Timeout: changed.Timeout || base.Timeout,
    StartPeriod: changed.StartPeriod || base.StartPeriod,
    StartInterval: changed.StartInterval || base.StartInterval,
    Retries: changed.Retries || base.Retries,
  }
}
