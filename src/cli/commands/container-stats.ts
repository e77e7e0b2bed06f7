/** `stats`: what containers use, drawn over every half second on a terminal. */
import { jsonLines } from '../../client/ndjson.ts'
import { flag } from '../../lib/flags.ts'
import type { ContainerSummary, EventMessage } from '../../spec/container-types.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { readStats, statsList } from '../container/stats-format.ts'
import type { StatsSample, StatsRow } from '../container/stats-format.ts'
import { failureOf } from '../errors.ts'
import { formatList } from '../format.ts'
import { listFormatHelp } from '../inspect.ts'

const redrawMs = 500

/** Follows one container's statistics into its row. */
async function collect(cli: Cli, row: StatsRow, stream: boolean, signal: AbortSignal): Promise<void> {
  try {
    const path = `/containers/${encodeURIComponent(row.container)}/stats`
    const response = await cli.client.request('GET', path, { query: { stream: stream ? '1' : '0' }, signal })
    let before: StatsSample | undefined
    for await (const sample of jsonLines<StatsSample>(response)) {
      Object.assign(row, readStats(sample, before))
      row.isFilled = true
      before = sample
    }
    // The engine ends the stream of a container that was removed.
    if (stream) row.isGone = true
  } catch (error) {
    if (signal.aborted) return
    row.error = failureOf(error).message
  }
}

class StatsTable {
  readonly rows = new Map<string, StatsRow>()
  readonly tasks: Promise<void>[] = []
  readonly #cli: Cli
  readonly #stream: boolean
  readonly #signal: AbortSignal

  constructor(cli: Cli, stream: boolean, signal: AbortSignal) {
    this.#cli = cli
    this.#stream = stream
    this.#signal = signal
  }

  add(container: string): void {
    if (this.rows.has(container)) return
    const row: StatsRow = { container, isFilled: false, isGone: false, error: '', sample: undefined }
    this.rows.set(container, row)
    this.tasks.push(collect(this.#cli, row, this.#stream, this.#signal))
  }

  /** Keeps the set of rows up with containers that start and end. */
  async follow(all: boolean): Promise<void> {
    const filters = JSON.stringify({ type: { container: true } })
    const response = await this.#cli.client.request('GET', '/events', {
      query: { filters },
      signal: this.#signal,
    })
    for await (const event of jsonLines<EventMessage>(response)) {
      const id = event.Actor.ID.slice(0, 12)
      if (event.Action === 'start' || (all && event.Action === 'create')) this.add(id)
      else if (event.Action === 'destroy' || (!all && event.Action === 'die')) this.rows.delete(id)
    }
  }
}

async function wanted(cli: Cli, args: readonly string[], all: boolean): Promise<string[]> {
  if (args.length > 0) return [...args]
  const found = await cli.client.json<ContainerSummary[]>('GET', '/containers/json', { query: { all } })
  return found.map(({ Id }) => Id.slice(0, 12))
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Show stopped containers too', { short: 'a' }),
    format: flag.string(listFormatHelp),
    'no-stream': flag.bool('Show one sample and end'),
    'no-trunc': flag.bool('Show ids in full'),
  },
  count: { min: 0 },
  completes: ['running'],
  run: async (cli, { flags, args }) => {
    const stream = !flags['no-stream']
    const stop = new AbortController()
    const table = new StatsTable(cli, stream, stop.signal)
    const format = flags.format || cli.config.statsFormat || ''
    const list = statsList({ truncate: !flags['no-trunc'] })
    const draw = (clear: boolean) => {
      const text = formatList(list, format, table.rows.values())
      cli.stdout.write(clear ? `\u001B[H${text.replaceAll('\n', '\u001B[K\n')}\u001B[J` : text)
    }
    for (const name of await wanted(cli, args, flags.all)) table.add(name)
    if (!stream) {
      await Promise.all(table.tasks)
      const errors = [...table.rows.values()].map((row) => row.error).filter((error) => error !== '')
      if (errors.length > 0) throw new Error(errors.join('\n'))
      draw(false)
      return
    }
    const following: Promise<unknown> = args.length === 0 ? table.follow(flags.all) : Promise.all(table.tasks)
    const clear = cli.stdout.isTerminal
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        clearInterval(timer)
        stop.abort()
        resolve()
      }
      const timer = setInterval(() => {
        try {
          const rows = [...table.rows.values()]
          const failed = rows.find((row) => row.error !== '')
          if (args.length > 0 && failed !== undefined) throw new Error(failed.error)
          for (const row of rows) if (row.isGone || row.error !== '') table.rows.delete(row.container)
          draw(clear)
          if (args.length > 0 && table.rows.size === 0) end()
        } catch (error) {
          end()
          reject(error)
        }
      }, redrawMs)
      following.catch((error: unknown) => {
        if (stop.signal.aborted) return
        end()
        reject(error)
      })
    })
  },
})
