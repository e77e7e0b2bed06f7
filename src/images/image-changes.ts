/**
 * Dockerfile instructions applied to a configuration, as `commit --change` and `import --change` take them: CMD,
 * ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
 */
import { posix } from 'node:path'
import { parseDuration } from '../lib/duration.ts'
import type { ContainerConfig, HealthConfig } from '../spec/container-config.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { changeWords, expandChange, type Variables } from './change-words.ts'

type Change = (config: ContainerConfig, text: string, variables: Variables) => ContainerConfig

const invalid = (message: string) => new EngineError('invalid', message)

/** The configuration with the changes applied in order. Throws invalid. */
export function applyChanges(config: ContainerConfig, changes: readonly string[]): ContainerConfig {
  let changed = config
  let hasCommand = false
  const found = instructions(changes)
  if (found.length === 0 && changes.some((text) => text.trim() !== '')) {
    throw invalid('file with no instructions')
  }
  for (const { name, text } of found) {
    const change = changesByName.get(name.toLowerCase())
    if (change === undefined) throw invalid(`${name} is not a valid change command`)
    if (text === '') throw needsArgument(name)
    try {
      changed = change(changed, text, variablesOf(changed))
    } catch (error) {
      if (error instanceof EngineError) throw error
      throw invalid(errorMessage(error))
    }
    // An entry point without a command of its own resets the inherited command.
    if (name.toLowerCase() === 'cmd') hasCommand = true
    if (name.toLowerCase() === 'entrypoint' && !hasCommand) changed = { ...changed, Cmd: null }
  }
  return changed
}

function needsArgument(name: string): EngineError {
  const count = /^(user|workdir|stopsignal)$/i.test(name) ? 'exactly' : 'at least'
  return invalid(`${name.toUpperCase()} requires ${count} one argument`)
}

/** The instructions of some lines: comments and blank lines go, a backslash at the end goes on with the next. */
function instructions(changes: readonly string[]): { name: string; text: string }[] {
  const lines = changes
    .join('\n')
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
  return lines
    .replace(/\\[ \t]*\n/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const name = /^\S+/.exec(line)?.[0] ?? ''
      return { name, text: line.slice(name.length).trim() }
    })
}

function variablesOf(config: ContainerConfig): Variables {
  return new Map(
    (config.Env ?? []).map((entry) => {
      const equals = entry.indexOf('=')
      return equals === -1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)]
    }),
  )
}

/** A JSON list of strings, or undefined: then the text is for a shell. */
function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

function command(config: ContainerConfig, text: string): string[] {
  return jsonList(text) ?? [...(config.Shell ?? ['/bin/sh', '-c']), text]
}

/** `NAME=VALUE ...`, or the old form `NAME VALUE`. */
function pairs(instruction: string, text: string, variables: Variables): [string, string][] {
  const first = /^\S+/.exec(text)?.[0] ?? ''
  if (!first.includes('=')) {
    const value = text.slice(first.length).trim()
    if (value === '') throw invalid(`${instruction} must have two arguments`)
    return [[expandChange(first, variables), expandChange(value, variables)]]
  }
  return changeWords(text, variables).map((word) => {
    const equals = word.indexOf('=')
    if (equals === -1) {
      throw invalid(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`)
    }
    if (equals === 0) throw invalid(`${instruction} names can not be blank`)
    return [word.slice(0, equals), word.slice(equals + 1)]
  })
}

const env: Change = (config, text, variables) => {
  const entries = [...(config.Env ?? [])]
  for (const [name, value] of pairs('ENV', text, variables)) {
    const at = entries.findIndex((entry) => entry.split('=', 1)[0] === name)
    if (at === -1) entries.push(`${name}=${value}`)
    else entries[at] = `${name}=${value}`
  }
  return { ...config, Env: entries }
}

const label: Change = (config, text, variables) => ({
  ...config,
  Labels: { ...config.Labels, ...Object.fromEntries(pairs('LABEL', text, variables)) },
})

const expose: Change = (config, text, variables) => {
  const ports = changeWords(text, variables).flatMap(exposedPorts)
  return {
    ...config,
    ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) },
  }
}

function exposedPorts(word: string): string[] {
  const match = /^(?:.*:)?(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(word)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  const protocol = (match?.[3] ?? 'tcp').toLowerCase()
  if (match === null || first > 65535 || last > 65535 || last < first) {
    throw invalid(`invalid containerPort: ${word}`)
  }
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) throw invalid(`invalid proto: ${protocol}`)
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`)
}

const volume: Change = (config, text, variables) => {
  const paths = jsonList(text) ?? changeWords(text, variables)
  if (paths.some((path) => path.trim() === '')) throw invalid('VOLUME specified can not be an empty string')
  return { ...config, Volumes: { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) } }
}

const workdir: Change = (config, text, variables) => {
  const path = expandChange(text, variables)
  return { ...config, WorkingDir: posix.join('/', path.startsWith('/') ? '' : config.WorkingDir, path) }
}

const onbuild: Change = (config, text) => {
  const trigger = /^\S+/.exec(text)?.[0]?.toUpperCase() ?? ''
  if (trigger === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (trigger === 'MAINTAINER' || trigger === 'FROM') {
    throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`)
  }
  return { ...config, OnBuild: [...(config.OnBuild ?? []), text] }
}

const healthcheck: Change = (config, text) => {
  const health: HealthConfig = {
    Test: null,
    Interval: 0,
    Timeout: 0,
    StartPeriod: 0,
    StartInterval: 0,
    Retries: 0,
  }
  let rest = text
  for (let match = healthOption(rest); match !== null; match = healthOption(rest)) {
    const [all, name = '', value = ''] = match
    setHealthOption(health, name, value)
    rest = rest.slice(all.length).trim()
  }
  const type = /^\S+/.exec(rest)?.[0] ?? ''
  const argument = rest.slice(type.length).trim()
  if (type.toUpperCase() === 'NONE') {
    if (argument !== '') throw invalid('HEALTHCHECK NONE takes no arguments')
    return { ...config, Healthcheck: { ...health, Test: ['NONE'] } }
  }
  if (type.toUpperCase() !== 'CMD') {
    throw invalid(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`)
  }
  if (argument === '') throw invalid('Missing command after HEALTHCHECK CMD')
  const list = jsonList(argument)
  return {
    ...config,
    Healthcheck: { ...health, Test: list === undefined ? ['CMD-SHELL', argument] : ['CMD', ...list] },
  }
}

function healthOption(text: string): RegExpExecArray | null {
  return /^--([a-z-]+)=(\S*)/.exec(text)
}

function setHealthOption(health: HealthConfig, name: string, value: string): void {
  const duration = () => {
    const ns = parseDuration(value)
    if (ns !== 0 && ns < 1_000_000) throw invalid(`Interval ${JSON.stringify(name)} cannot be less than 1ms`)
    return ns
  }
  if (name === 'interval') health.Interval = duration()
  else if (name === 'timeout') health.Timeout = duration()
  else if (name === 'start-period') health.StartPeriod = duration()
  else if (name === 'start-interval') health.StartInterval = duration()
  else if (name === 'retries') {
    if (!/^[-+]?\d+$/.test(value)) {
      throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`)
    }
    if (Number(value) < 0) throw invalid(`--retries cannot be negative (not ${Number(value)})`)
    health.Retries = Number(value)
  } else throw invalid(`unknown flag: --${name}`)
}

const changesByName = new Map<string, Change>([
  ['cmd', (config, text) => ({ ...config, Cmd: command(config, text) })],
  ['entrypoint', (config, text) => ({ ...config, Entrypoint: command(config, text) })],
  ['env', env],
  ['expose', expose],
  ['healthcheck', healthcheck],
  ['label', label],
  ['onbuild', onbuild],
  ['stopsignal', (config, text, variables) => ({ ...config, StopSignal: expandChange(text, variables) })],
  ['user', (config, text, variables) => ({ ...config, User: expandChange(text, variables) })],
  ['volume', volume],
  ['workdir', workdir],
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
