/** `events`: what happens in the engine, as it happens. */
import { encodeFilters, readJson } from '../../client/engine-client.ts'
import { textLines } from '../../client/ndjson.ts'
import { flag } from '../../lib/flags.ts'
import { parseTemplate } from '../../lib/go-template.ts'
import type { EventMessage } from '../../spec/container-types.ts'
import { GoStruct } from '../../lib/go-value.ts'
import { apiTime } from '../api-time.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'
import { filterFlag } from '../filters.ts'

/** An event but for `timeNano`: a number parsed from JSON has lost its last digits, so that is read from the text. */
type ReadEvent = Omit<EventMessage, 'timeNano'>

/** Local time with nanoseconds and zone: `2026-01-02T03:04:05.000000006Z`. */
export function eventTime(event: ReadEvent, text: string): string {
  const seconds = event.time ?? 0
  const fraction = nanoseconds(text) % 1_000_000_000n
  const date = new Date(seconds * 1000)
  const offset = -date.getTimezoneOffset()
  const two = (value: number) => String(Math.trunc(value)).padStart(2, '0')
  const zone =
    offset === 0
      ? 'Z'
      : `${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 19)
  return `${local}.${String(fraction).padStart(9, '0')}${zone}`
}

/** From the event's text. */
function nanoseconds(text: string): bigint {
  return BigInt(/"timeNano":\s*(\d+)/.exec(text)?.[1] ?? '0')
}

function plainLine(event: ReadEvent, text: string): string {
  const attributes = Object.entries(event.Actor?.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const shown = attributes.map(([key, value]) => `${key}=${value}`).join(', ')
  return `${eventTime(event, text)} ${event.Type} ${event.Action} ${event.Actor?.ID ?? ''}${shown === '' ? '' : ` (${shown})`}`
}

function formatter(format: string): (event: ReadEvent, text: string) => string {
  if (format === '') return plainLine
  if (format === 'json') return (_, text) => text
  try {
    const template = parseTemplate(format)
    // A field that no event has is told of before there is any.
    template.execute(templateFields(noEvent, '{}'))
    return (event, text) => template.execute(templateFields(event, text))
  } catch (error) {
    throw new CliError(`Error parsing format: ${failureOf(error).message}`, { code: 64, cause: error })
  }
}

const noEvent: ReadEvent = {
  Type: '',
  Action: '',
  Actor: { ID: '', Attributes: {} },
  scope: '',
  time: 0,
}

function templateFields(event: ReadEvent, text: string): GoStruct {
  // Newer engines leave the first three out; they said the same of containers and images.
  const isOld = event.Type === 'container' || event.Type === 'image'
  const fields = {
    Status: event.status ?? (isOld ? event.Action : ''),
    ID: event.id ?? (isOld ? event.Actor.ID : ''),
    From: event.from ?? (event.Type === 'container' ? (event.Actor.Attributes['image'] ?? '') : ''),
    Type: event.Type,
    Action: event.Action,
    Actor: new GoStruct('events.Actor', { ID: event.Actor.ID, Attributes: event.Actor.Attributes }),
    Scope: event.scope,
    Time: event.time,
    TimeNano: nanoseconds(text),
  }
  return new GoStruct('*events.Message', fields, () => text)
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    filter: filterFlag('Show only events that meet these conditions'),
    format: flag.string("Shape each event: 'json' or a Go template"),
    since: flag.string('Begin with events of this time'),
    until: flag.string('End with events of this time'),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const show = formatter(flags.format)
    const response = await cli.client.request('GET', '/events', {
      query: {
        since: apiTime(flags.since),
        until: apiTime(flags.until),
        filters: encodeFilters(flags.filter),
      },
    })
    for await (const line of textLines(response)) cli.print(show(readJson<ReadEvent>(line), line))
  },
})
