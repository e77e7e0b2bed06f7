/** What log options say about the container: `tag`, `labels`, `env` and their patterns. */
import { parseTemplate } from '../../lib/go-template.ts'
import { GoStruct } from '../../lib/go-value.ts'
import { EngineError } from '../../spec/errors.ts'
import { regularExpression } from './log-options.ts'
import type { LogOptions } from './log-options.ts'

/** The container as a log knows it. */
export type LogSubject = {
  id: string
  name: string
  imageId: string
  imageName: string
  createdAt: string
  command: string
  labels: Record<string, string>
  env: string[]
  options: LogOptions
}

/** Labels and variables that the options choose, each under its key as `rename` makes it. */
export function chosenAttributes(
  subject: LogSubject,
  rename: (key: string) => string = (key) => key,
): Record<string, string> {
  const { options } = subject
  const env: Record<string, string> = {}
  for (const entry of subject.env) {
    const [key = '', ...value] = entry.split('=')
    if (entry.includes('=')) env[key] = value.join('=')
  }
  return Object.fromEntries(
    [...chosen(subject.labels, options, 'labels'), ...chosen(env, options, 'env')].map(([key, value]) => [
      rename(key),
      value,
    ]),
  )
}

function chosen(values: Record<string, string>, options: LogOptions, option: string): [string, string][] {
  const names = new Set((options[option] ?? '').split(','))
  const pattern = regularExpression(options[`${option}-regex`])
  return Object.entries(values).filter(([key]) => names.has(key) || pattern?.test(key) === true)
}

/** Renders the `tag` option, a Go template, or `fallback` where there is none. Throws invalid with Go's text. */
export function renderTag(subject: LogSubject, daemonName: string, fallback: string): string {
  const { id, name, imageId, imageName } = subject
  const bareImageId = imageId.replace(/^sha\d+:/, '')
  const info = new GoStruct('*logger.Info', {
    Config: subject.options,
    ContainerID: id,
    ContainerName: name.startsWith('/') ? name : `/${name}`,
    ContainerImageID: imageId,
    ContainerImageName: imageName,
    ContainerCreated: subject.createdAt,
    ContainerEnv: subject.env,
    ContainerLabels: subject.labels,
    DaemonName: daemonName,
    ID: id.slice(0, 12),
    FullID: id,
    Name: name.replace(/^\//, ''),
    ImageID: bareImageId.slice(0, 12),
    ImageFullID: imageId,
    ImageName: imageName,
    Command: subject.command,
  })
  try {
    return parseTemplate(subject.options['tag'] ?? fallback, 'log-tag').execute(info)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new EngineError('invalid', error.message, { cause: error })
  }
}
