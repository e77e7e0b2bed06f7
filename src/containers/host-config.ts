/**
 * HostConfig with what the daemon and the other containers fill in. Defaults that depend on the kernel (limits,
 * namespaces, hidden paths) are the runtime's, see `ContainerRuntime.validate`.
 */
import type { ContainerConfig, HostConfig } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import type { ContainerSettings } from './core.ts'
import { joinedContainer } from './modes.ts'
import type { ContainerRegistry } from './registry.ts'

/** The request's host configuration with the daemon's defaults. Names of joined containers become ids. */
export function completeHostConfig(
  asked: HostConfig,
  settings: ContainerSettings,
  registry: ContainerRegistry,
): HostConfig {
  const completed: HostConfig = {
    ...asked,
    NetworkMode: joinedById(asked.NetworkMode, registry),
    PidMode: existingById(asked.PidMode, registry),
    IpcMode: existingById(asked.IpcMode, registry),
    LogConfig: completeLogConfig(asked.LogConfig, settings),
    Dns: asked.Dns ?? [],
    DnsOptions: asked.DnsOptions ?? [],
    DnsSearch: asked.DnsSearch ?? [],
    PortBindings: backfillBindings(asked.PortBindings),
    SecurityOpt: completeSecurityOptions(asked),
    RestartPolicy: {
      ...asked.RestartPolicy,
      Name: asked.RestartPolicy.Name === '' ? 'no' : asked.RestartPolicy.Name,
    },
  }
  if (completed.NetworkMode === '' || completed.NetworkMode === 'default') completed.NetworkMode = 'bridge'
  return completed
}

/** Driver and options of the log: the daemon's where none are given, its options also for its own driver. */
function completeLogConfig(
  asked: HostConfig['LogConfig'],
  settings: ContainerSettings,
): HostConfig['LogConfig'] {
  const driver = asked.Type === '' ? settings.logDriver : asked.Type
  const defaults = driver === settings.logDriver ? settings.logOptions : {}
  return { Type: driver, Config: { ...defaults, ...asked.Config } }
}

/** Name and id of a joined container may both be given; the id outlives a rename. A missing one fails at start. */
function joinedById(mode: string, registry: ContainerRegistry): string {
  const reference = joinedContainer(mode)
  if (reference === undefined || reference === '') return mode
  const joined = registry.find(reference)
  return joined === undefined ? mode : `container:${joined.id}`
}

/** As `joinedById`, but the container must be there (moby daemon/create.go, generateSecurityOpt). */
function existingById(mode: string, registry: ContainerRegistry): string {
  const reference = joinedContainer(mode)
  if (reference !== undefined && reference !== '' && registry.find(reference) === undefined) {
    throw new EngineError('invalid', `No such container: ${reference}`)
  }
  return joinedById(mode, registry)
}

/** A port without bindings is published on a port that is picked at start. */
function backfillBindings(ports: HostConfig['PortBindings']): HostConfig['PortBindings'] {
  return Object.fromEntries(
    Object.entries(ports ?? {}).map(([port, bindings]) => [
      port,
      bindings === null || bindings.length === 0 ? [{ HostIp: '', HostPort: '' }] : bindings,
    ]),
  )
}

/** Those that see other processes anyway are not confined by labels, unless they ask for one. */
function completeSecurityOptions(asked: HostConfig): string[] | null {
  const options = asked.SecurityOpt ?? []
  const open = asked.Privileged || asked.IpcMode === 'host' || asked.PidMode === 'host'
  const labelled = options.some((option) => option.startsWith('label'))
  return open && !labelled ? [...options, 'label=disable'] : asked.SecurityOpt
}

/** The container's hostname: its own, the host's where it shares the host's network or UTS, else its short id. */
export function hostnameFor(
  config: ContainerConfig,
  hostConfig: HostConfig,
  names: { id: string; host: string },
): string {
  if (config.Hostname !== '') return config.Hostname
  if (hostConfig.NetworkMode === 'host' || hostConfig.UTSMode === 'host') return names.host
  return names.id.slice(0, 12)
}
