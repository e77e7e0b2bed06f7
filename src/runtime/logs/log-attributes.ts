/** What log options say about the container: `tag`, `labels`, `env` and their patterns. */
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

/** Renders the `tag` option, or `fallback` where there is none. Throws invalid as Docker words it. */
export function renderTag(subject: LogSubject, daemonName: string, fallback: string): string {
  const template = subject.options['tag'] ?? fallback
  const fields: Readonly<Record<string, string>> = {
    ID: subject.id.slice(0, 12),
    FullID: subject.id,
    Name: subject.name.replace(/^\//, ''),
    ImageID: subject.imageId.slice(0, 12),
    ImageFullID: subject.imageId,
    ImageName: subject.imageName,
    DaemonName: daemonName,
    Command: subject.command,
    ContainerID: subject.id,
    ContainerName: subject.name.startsWith('/') ? subject.name : `/${subject.name}`,
    ContainerImageID: subject.imageId,
    ContainerImageName: subject.imageName,
    ContainerCreated: subject.createdAt,
  }
  return template.replace(/\{\{-?\s*(.*?)\s*-?\}\}/g, (_whole, expression: string) => {
    const field = /^\.([A-Za-z]+)$/.exec(expression)?.[1]
    const value = field === undefined ? undefined : fields[field]
    if (value === undefined) {
      const message = `template: log-tag:1: can't evaluate field ${expression.replace(/^\./, '')} in type *logger.Info`
      throw new EngineError('invalid', message)
    }
    return value
  })
}
