/** `inspect`: whatever has the name, containers first. */
import { ApiError } from '../../client/errors.ts'
import { flag } from '../../lib/flags.ts'
import { quoteGo } from '../../lib/go-quote.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { containerShape } from '../container/inspect-shape.ts'
import { CliError } from '../errors.ts'
import { inspectFormatHelp, inspectObjects } from '../inspect.ts'
import type { InspectShape } from '../inspect.ts'
import { imageShape } from './image-inspect.ts'
import { networkShape } from './network-inspect.ts'
import { volumeShape } from './volume-inspect.ts'

type Kind = { name: string; path: (name: string) => string; shape?: InspectShape; swarm?: boolean }
type Found = { text: string; kind: Kind }

const kinds: readonly Kind[] = [
  { name: 'container', path: (name) => `/containers/${name}/json`, shape: containerShape },
  { name: 'image', path: (name) => `/images/${name}/json`, shape: imageShape },
  { name: 'network', path: (name) => `/networks/${name}`, shape: networkShape },
  { name: 'volume', path: (name) => `/volumes/${name}`, shape: volumeShape },
  { name: 'service', path: (name) => `/services/${name}`, swarm: true },
  { name: 'task', path: (name) => `/tasks/${name}`, swarm: true },
  { name: 'node', path: (name) => `/nodes/${name}`, swarm: true },
  { name: 'plugin', path: (name) => `/plugins/${name}/json` },
  { name: 'secret', path: (name) => `/secrets/${name}`, swarm: true },
  { name: 'config', path: (name) => `/configs/${name}`, swarm: true },
]

/** Whether the engine only says that it knows no such object, or no such kind. */
function isAbsence(error: unknown, kind: Kind): boolean {
  if (!(error instanceof ApiError)) return false
  if (error.status === 404 || error.status === 501) return true
  return (
    kind.swarm === true &&
    (error.status === 503 || error.message.includes('This node is not a swarm manager'))
  )
}

async function find(cli: Cli, name: string, options: { type: string; size: boolean }): Promise<Found> {
  for (const kind of kinds) {
    if (options.type !== '' && options.type !== kind.name) continue
    const path = kind.path(encodeURIComponent(name).replaceAll('%2F', '/').replaceAll('%3A', ':'))
    const query = kind.name === 'container' ? { size: options.size } : {}
    try {
      const bytes = await (await cli.client.request('GET', path, { query })).bytes()
      return { text: bytes.toString('utf8'), kind }
    } catch (error) {
      if (options.type !== '' || !isAbsence(error, kind)) throw error
    }
  }
  throw new CliError(`Error: No such object: ${name}`)
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    format: flag.string(inspectFormatHelp, { short: 'f' }),
    size: flag.bool("Add a container's sizes", { short: 's' }),
    type: flag.string('Look only among objects of this kind'),
  },
  count: { min: 1 },
  completes: ['container'],
  run: async (cli, { flags, given, args }) => {
    const names = kinds.map((kind) => kind.name)
    if (given.has('type') && !names.includes(flags.type)) {
      if (flags.type === '')
        throw new CliError(
          'type is empty: must be one of "config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"',
        )
      const known = names.sort().map(quoteGo).join(', ')
      throw new CliError(`unknown type: ${quoteGo(flags.type)}: must be one of ${known}`)
    }
    const shapes = new Map<string, InspectShape | undefined>()
    await inspectObjects(cli, args, flags.format, {
      get: async (name) => {
        const { text, kind } = await find(cli, name, flags)
        shapes.set(name, kind.shape)
        return text
      },
      shape: (name) => shapes.get(name),
    })
  },
})
