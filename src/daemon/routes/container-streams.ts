/** Containers' streams: attach (hijacked and over a websocket), logs, stats, wait. */
import { Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { AttachRequest, ContainerEngine, WaitCondition } from '../../containers/contract.ts'
import type { LogRequest } from '../../containers/ports.ts'
import { systemClock } from '../../lib/clock.ts'
import { EngineError, errorMessage } from '../../spec/errors.ts'
import type { ContainerWaited } from '../../spec/container-types.ts'
import type { Exchange } from '../exchange.ts'
import { encodeFrame, frameStreams } from '../frames.ts'
import { GivableConnection } from '../given-connection.ts'
import { splice, type HijackedConnection } from '../hijack.ts'
import type { Route } from '../router.ts'
import { serveWebSocket } from '../websocket.ts'

/** A request for a container's log as the API has it; times and tail are the parameters' texts. */
export type LogQuery = {
  stdout: boolean
  stderr: boolean
  since: string
  until: string
  tail: string
  timestamps: boolean
  details: boolean
  /** The container has a terminal: bare bytes instead of frames. */
  tty: boolean
  /** Set to follow: resolves when the output has ended. */
  ended?: Promise<void>
}

/** Reads what containers wrote. Implemented by runtime/logs/. */
export interface LogReading {
  /** Bytes as the API answers them. Throws at once what is wrong with the query. */
  readLogs(request: LogRequest, query: LogQuery, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** What the stream routes need. */
export type StreamRoutesDeps = {
  engine: ContainerEngine
  logs: LogReading
  /** Whether a browser page of this origin may open a websocket. */
  originAllowed: (origin: string, host: string) => boolean
}

/** Routes of the API's "Container" area that stream. */
export function containerStreamRoutes(deps: StreamRoutesDeps): Route[] {
  const { engine } = deps
  return [
    { method: 'POST', path: '/containers/{id}/attach', hijack: (x, c) => attach(deps, x, c) },
    { method: 'GET', path: '/containers/{id}/attach/ws', hijack: (x, c) => attachWebSocket(deps, x, c) },
    { method: 'GET', path: '/containers/{id}/logs', handle: (x) => logs(deps, x) },
    { method: 'GET', path: '/containers/{id}/stats', handle: (x) => stats(engine, x) },
    { method: 'POST', path: '/containers/{id}/wait', handle: (x) => wait(engine, x) },
  ]
}

/** What the streams' content type is: frames came with 1.42, before everything was called raw. */
export function streamType(tty: boolean, version: number): 'multiplexed' | 'raw' {
  return !tty && version >= 42 ? 'multiplexed' : 'raw'
}

/** The websocket took no choice of streams before 1.42: it had all. */
function attachOptions(x: Exchange, onWebSocket = false) {
  const all = onWebSocket && x.version < 42
  return {
    stdin: all || x.flag('stdin'),
    stdout: all || x.flag('stdout'),
    stderr: all || x.flag('stderr'),
    detachKeys: x.text('detachKeys'),
  }
}

async function attach(deps: StreamRoutesDeps, x: Exchange, connection: HijackedConnection): Promise<void> {
  const { engine } = deps
  // A body has no meaning here; a client that sends one with a length means it to be skipped.
  await connection.body(64 * 1024)
  const type = (tty: boolean) => streamType(tty, x.version)
  const options = attachOptions(x)
  const replays = x.flag('logs')
  if (!x.flag('stream')) {
    const past = replays ? pastOutput({ deps, x, options }) : []
    connection.takeAsStream(type(engine.paths(x.name).tty))
    await pipeline(past, connection.socket)
    return
  }
  // What is replayed goes before what a connection that was given away would bring.
  const client = replays ? {} : { client: new GivableConnection(connection, type) }
  const { stream, tty } = await engine.attach(x.name, { ...options, ...client })
  if (connection.given) return
  const whole = replays ? withPast({ deps, x, options }, stream) : stream
  connection.takeAsStream(type(tty))
  await splice(connection, whole)
}

/** A client that attaches, and to what. */
type Attaching = { deps: StreamRoutesDeps; x: Exchange; options: AttachRequest }

/** What a container has written so far, of the streams that the client wants. Throws where it cannot be read. */
function pastOutput({ deps, x, options }: Attaching): AsyncIterable<Uint8Array> {
  const { log, tty } = deps.engine.paths(x.name)
  const { stdout, stderr } = options
  if (!stdout && !stderr) return Readable.from([])
  const now = systemClock.nowNs()
  const until = `${now / 1_000_000_000n}.${String(now % 1_000_000_000n).padStart(9, '0')}`
  const query = { stdout, stderr, since: '', until, tail: '', timestamps: false, details: false, tty }
  return deps.logs.readLogs(log, query, x.signal)
}

/** The stream of a client that was just attached, with what went before it. Lets go of it where that cannot be read. */
function withPast(attaching: Attaching, stream: Duplex): Duplex {
  try {
    const past = pastOutput(attaching)
    const readable = async function* (): AsyncGenerator<Uint8Array> {
      yield* past
      yield* stream
    }
    return Duplex.from({ readable: Readable.from(readable()), writable: stream })
  } catch (error) {
    stream.destroy()
    throw error
  }
}

async function attachWebSocket(
  deps: StreamRoutesDeps,
  x: Exchange,
  connection: HijackedConnection,
): Promise<void> {
  const { origin, host } = x.request.headers
  if (origin !== undefined && !deps.originAllowed(origin, host ?? '')) {
    throw new EngineError('forbidden', `origin ${origin} may not attach`)
  }
  if (x.request.headers.upgrade?.toLowerCase() !== 'websocket') {
    throw new EngineError('invalid', 'not a websocket request')
  }
  const options = attachOptions(x, true)
  const attached = await deps.engine.attach(x.name, options)
  const stream = x.flag('logs') ? withPast({ deps, x, options }, attached.stream) : attached.stream
  await serveWebSocket(connection, stream, { framed: !attached.tty, binary: x.version >= 28 })
}

async function logs({ engine, logs: reading }: StreamRoutesDeps, x: Exchange): Promise<void> {
  const streams = { stdout: x.flag('stdout'), stderr: x.flag('stderr') }
  if (!streams.stdout && !streams.stderr) {
    throw new EngineError('invalid', 'Bad parameters: you must choose at least one stream')
  }
  const container = engine.paths(x.name)
  const query: LogQuery = {
    ...streams,
    since: x.text('since'),
    until: x.text('until'),
    tail: x.text('tail'),
    timestamps: x.flag('timestamps'),
    details: x.flag('details'),
    tty: container.tty,
  }
  if (x.flag('follow')) query.ended = (await outputEnd(engine, x)).ended
  const pieces = reading.readLogs(container.log, query, x.signal)
  x.startStream(`application/vnd.docker.${streamType(container.tty, x.version)}-stream`)
  try {
    for await (const piece of pieces) {
      await x.write(piece)
      if (x.signal.aborted) break
    }
  } catch (error) {
    // The answer has begun: the reason comes as output.
    if (!x.signal.aborted) {
      const text = Buffer.from(`Error grabbing logs: ${errorMessage(error)}\n`)
      await x.write(container.tty ? text : encodeFrame(frameStreams.systemError, text))
    }
  }
  x.response.end()
}

/** When the container's output has ended; in an object, for a promise would be waited for. */
async function outputEnd(engine: ContainerEngine, x: Exchange): Promise<{ ended: Promise<void> }> {
  const { result } = await engine.wait(x.name, 'not-running', x.signal)
  // A client that leaves ends the reading by its own signal.
  return {
    ended: result.then(
      () => undefined,
      () => undefined,
    ),
  }
}

async function stats(engine: ContainerEngine, x: Exchange): Promise<void> {
  const stream = x.flag('stream', true)
  const oneShot = x.version >= 41 && x.flag('one-shot')
  if (stream && oneShot) {
    throw new EngineError('invalid', 'cannot have stream=true and one-shot=true')
  }
  const readings = await engine.stats(x.name, { stream, oneShot }, x.signal)
  if (!stream) {
    for await (const reading of readings) {
      x.sendJson(200, versionedStats(reading, x.version))
      return
    }
  }
  x.startStream('application/json')
  for await (const reading of readings) {
    await x.writeJson(versionedStats(reading, x.version))
    if (x.signal.aborted) break
  }
  x.response.end()
}

function versionedStats(reading: object, version: number): object {
  return version >= 52 ? { ...reading, os_type: 'linux' } : reading
}

const waitConditions: Record<string, WaitCondition> = {
  '': 'not-running',
  'not-running': 'not-running',
  'next-exit': 'next-exit',
  removed: 'removed',
}

async function wait(engine: ContainerEngine, x: Exchange): Promise<void> {
  const text = x.version >= 30 ? x.text('condition') : ''
  const condition = waitConditions[text]
  if (condition === undefined) throw new EngineError('invalid', `invalid condition: ${JSON.stringify(text)}`)
  const { result } = await engine.wait(x.name, condition, x.signal)
  // The head goes out at once: clients start the container only when they know that they are waiting.
  if (x.version >= 30) x.startStream('application/json')
  const ended = await result.catch((error: unknown) => {
    if (x.signal.aborted) return undefined
    return { exitCode: 0, error: errorMessage(error) }
  })
  if (ended === undefined) return
  const answer: ContainerWaited = { StatusCode: ended.exitCode }
  if (ended.error !== '') answer.Error = { Message: ended.error }
  if (x.version < 30) {
    x.sendJson(200, answer)
    return
  }
  await x.writeJson(answer)
  x.response.end()
}
