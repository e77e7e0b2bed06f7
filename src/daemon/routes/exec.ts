/** Further processes in running containers. */
import { z } from 'zod'
import type { AttachedStream, ContainerEngine, ExecStartOptions } from '../../containers/contract.ts'
import { ExecConfig } from '../../spec/container-config.ts'
import { EngineError, errorMessage } from '../../spec/errors.ts'
import { goBool, goPointer, goStruct } from '../../spec/go-json.ts'
import type { Exchange } from '../exchange.ts'
import { encodeFrame, frameStreams } from '../frames.ts'
import { GivableConnection } from '../given-connection.ts'
import { splice, type HijackedConnection } from '../hijack.ts'
import type { Route } from '../router.ts'
import { adaptExecConfig } from '../versions.ts'
import { streamType } from './container-streams.ts'
import { size } from './containers.ts'

const ExecStart = goStruct({
  Detach: goBool(),
  Tty: goBool(),
  ConsoleSize: goPointer(z.tuple([z.number().int(), z.number().int()])),
})

/** Routes of the API's "Exec" area. */
export function execRoutes(engine: ContainerEngine): Route[] {
  return [
    { method: 'POST', path: '/containers/{id}/exec', handle: (x) => create(engine, x) },
    { method: 'POST', path: '/exec/{id}/start', hijack: (x, connection) => start(engine, x, connection) },
    {
      method: 'POST',
      path: '/exec/{id}/resize',
      handle: async (x) => {
        await engine.execResize(x.name, size(x, 'h', 'height'), size(x, 'w', 'width'))
        x.sendStatus(200)
      },
    },
    { method: 'GET', path: '/exec/{id}/json', handle: (x) => x.sendJson(200, engine.execInspect(x.name)) },
  ]
}

async function create(engine: ContainerEngine, x: Exchange): Promise<void> {
  const config = await x.json(ExecConfig, 'ExecCreateRequest')
  if ((config.Cmd ?? []).length === 0) throw new EngineError('invalid', 'No exec command specified')
  adaptExecConfig(config, x.version)
  x.sendJson(201, { Id: await engine.execCreate(x.name, config) })
}

async function start(engine: ContainerEngine, x: Exchange, connection: HijackedConnection): Promise<void> {
  const request = await x.json(ExecStart, 'ExecStartRequest')
  const consoleSize = request.Tty && x.version >= 42 ? request.ConsoleSize : null
  const options = { detach: request.Detach, tty: request.Tty, consoleSize }
  if (request.Detach) {
    await engine.execStart(x.name, options, new AbortController().signal)
    x.sendStatus(200)
    return
  }
  // Once the connection is a stream, there is no status any more.
  engine.execCheck(x.name)
  // The head goes first, as with Docker: clients that read it through a buffer (Python's) lose output that comes
  // together with it. What then goes wrong comes as output, and clients ask for the exit code.
  const type = (tty: boolean) => streamType(tty, x.version)
  connection.takeAsStream(type(request.Tty))
  const client = new GivableConnection(connection, type)
  const started = await startAttached(engine, x, { ...options, client })
  if (started instanceof Error) {
    const text = Buffer.from(`${errorMessage(started)}\r\n`)
    connection.socket.end(request.Tty ? text : encodeFrame(frameStreams.stdout, text))
    return
  }
  await splice(connection, started.stream)
}

/** Starts, or gives back why not. */
async function startAttached(
  engine: ContainerEngine,
  x: Exchange,
  options: ExecStartOptions,
): Promise<AttachedStream | Error> {
  try {
    // A client that leaves does not stop what it started.
    const attached = await engine.execStart(x.name, options, new AbortController().signal)
    return attached ?? new EngineError('internal', 'exec started without streams')
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
}
