/** What a container takes over from its image's configuration. */
import { isAbsolute, normalize } from 'node:path'
import { EngineError } from '../spec/errors.ts'
import type { ContainerConfig, HealthConfig } from '../spec/container-config.ts'

/** The request's configuration completed from the image's. Throws invalid when there is nothing to run. */
export function mergeImageConfig(
  asked: ContainerConfig,
  image: ContainerConfig | undefined,
): ContainerConfig {
  const merged = image === undefined ? { ...asked, Labels: asked.Labels ?? {} } : merge(asked, image)
  // `--entrypoint ""` is sent as one empty string: it takes the image's entrypoint away.
  if (merged.Entrypoint?.length === 1 && merged.Entrypoint[0] === '') merged.Entrypoint = null
  if (isEmpty(merged.Entrypoint) && isEmpty(merged.Cmd)) {
    throw new EngineError('invalid', 'no command specified')
  }
  if (merged.WorkingDir !== '') merged.WorkingDir = normalizeWorkingDirectory(merged.WorkingDir)
  return merged
}

function merge(asked: ContainerConfig, image: ContainerConfig): ContainerConfig {
  const merged: ContainerConfig = {
    ...asked,
    User: asked.User === '' ? image.User : asked.User,
    ExposedPorts: { ...image.ExposedPorts, ...asked.ExposedPorts },
    Env: mergeEnv(asked.Env, image.Env),
    Labels: { ...image.Labels, ...asked.Labels },
    Healthcheck: mergeHealth(asked.Healthcheck, image.Healthcheck),
    WorkingDir: asked.WorkingDir === '' ? image.WorkingDir : asked.WorkingDir,
    // An empty map asks for nothing, and is not kept as one.
    Volumes:
      Object.keys(asked.Volumes ?? {}).length === 0 ? image.Volumes : { ...image.Volumes, ...asked.Volumes },
    StopSignal: asked.StopSignal === '' ? image.StopSignal : asked.StopSignal,
    Shell: isEmpty(asked.Shell) ? image.Shell : asked.Shell,
  }
  if (asked.ExposedPorts === null && image.ExposedPorts === null) merged.ExposedPorts = null
  if (isEmpty(asked.Entrypoint)) {
    if (isEmpty(asked.Cmd)) {
      merged.Cmd = image.Cmd
      merged.ArgsEscaped = image.ArgsEscaped
    }
    // An empty list asks for no entrypoint, an absent one for the image's.
    if (asked.Entrypoint === null) merged.Entrypoint = image.Entrypoint
  }
  return merged
}

function mergeEnv(asked: string[] | null, image: string[] | null): string[] | null {
  if (isEmpty(asked)) return image
  const names = new Set(asked?.map(envName))
  return [...(asked ?? []), ...(image ?? []).filter((entry) => !names.has(envName(entry)))]
}

/** Name of an environment entry. */
export function envName(entry: string): string {
  const equals = entry.indexOf('=')
  return equals === -1 ? entry : entry.slice(0, equals)
}

function mergeHealth(asked: HealthConfig | null, image: HealthConfig | null): HealthConfig | null {
  if (asked === null || image === null) return asked ?? image
  return {
    Test: isEmpty(asked.Test) ? image.Test : asked.Test,
    Interval: asked.Interval === 0 ? image.Interval : asked.Interval,
    Timeout: asked.Timeout === 0 ? image.Timeout : asked.Timeout,
    StartPeriod: asked.StartPeriod === 0 ? image.StartPeriod : asked.StartPeriod,
    StartInterval: asked.StartInterval === 0 ? image.StartInterval : asked.StartInterval,
    Retries: asked.Retries === 0 ? image.Retries : asked.Retries,
  }
}

/** Path and arguments of what is run. */
export function commandOf(config: ContainerConfig): { path: string; args: string[] } {
  const [path = '', ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]
  return { path, args }
}

function normalizeWorkingDirectory(path: string): string {
  if (!isAbsolute(path)) {
    throw new EngineError(
      'invalid',
      `the working directory '${path}' is invalid, it needs to be an absolute path`,
    )
  }
  const clean = normalize(path)
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean
}

function isEmpty(list: readonly string[] | null): boolean {
  return list === null || list.length === 0
}
