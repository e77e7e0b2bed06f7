/** `GET /events`: what happened since a time, and then what happens. */
import type { Clock } from '../../lib/clock.ts'
import { EngineError } from '../../spec/errors.ts'
import type { EventMessage } from '../../spec/container-types.ts'
import { eventPasses } from '../event-filter.ts'
import type { EventJournal, EventQueue } from '../events.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'
import { parseTimestamp } from '../timestamps.ts'
import { adaptEvent } from '../versions.ts'

/** The event stream's route. */
export function eventRoutes(journal: EventJournal, clock: Clock): Route[] {
  return [{ method: 'GET', path: '/events', handle: (x) => events(journal, clock, x) }]
}

// RFC 7464 puts a record separator before each text; everything else is one value a line.
const framings: Record<string, string> = {
  'application/json-seq': '\u001e',
  'application/x-ndjson': '',
  'application/jsonl': '',
}

async function events(journal: EventJournal, clock: Clock, x: Exchange): Promise<void> {
  const sinceNs = time(x, 'since')
  const untilNs = time(x, 'until')
  if (sinceNs !== undefined && untilNs !== undefined && untilNs < sinceNs) {
    throw new EngineError(
      'invalid',
      `\`since\` time (${x.text('since')}) cannot be after \`until\` time (${x.text('until')})`,
    )
  }
  const filters = x.filters()
  const contentType = negotiate(x)
  const before = framings[contentType] ?? ''
  const send = async (event: EventMessage) => {
    if (!eventPasses(event, filters)) return
    const adapted = adaptEvent(event, x.version)
    if (adapted !== undefined) await x.writeJson(adapted, '\n', before)
  }
  // Listening begins before the journal is read: nothing falls between.
  using queue = journal.listen()
  const past = sinceNs === undefined && untilNs === undefined ? [] : journal.past(sinceNs ?? 0n, untilNs)
  x.startStream(contentType)
  for (const event of past) await send(event)
  const nowNs = clock.nowNs()
  if (untilNs === undefined) await follow(queue, send, x.signal)
  else if (untilNs > nowNs) {
    const rest = AbortSignal.timeout(Math.min(Number((untilNs - nowNs) / 1_000_000n) + 1, 0x7fffffff))
    await follow(queue, send, AbortSignal.any([x.signal, rest]))
  }
  x.response.end()
}

async function follow(
  queue: EventQueue,
  send: (event: EventMessage) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const event = await queue.next(signal)
    if (event === undefined) return
    await send(event)
  }
}

function time(x: Exchange, name: string): bigint | undefined {
  const text = x.text(name)
  if (text === '') return undefined
  const parsed = parseTimestamp(text)
  if (parsed === undefined) {
    throw new EngineError('invalid', `failed to parse value as time or duration: ${JSON.stringify(text)}`)
  }
  return parsed
}

function negotiate(x: Exchange): string {
  const accepted = (x.request.headers.accept ?? '')
    .split(',')
    .map((part) => part.split(';', 1)[0]?.trim() ?? '')
  const known = accepted.find((type) => framings[type] !== undefined)
  if (x.version < 52 || known === undefined) return 'application/json'
  return known === 'application/jsonl' && x.version < 53 ? 'application/json' : known
}
