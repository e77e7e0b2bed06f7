/**
 * Docker's plugins (out-of-process extensions): found by name when first needed, activated by a handshake that says
 * what they implement, then called by HTTP POST with JSON. A plugin may be anything: it may not be up yet, hang, lie
 * or answer without end, so every call has a deadline and every answer a limit. What they answer means something only
 * to the caller, who checks its shape.
 */
import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import { findPlugin, listPlugins, type PluginAddress, type PluginDirectories } from './plugin-discovery.ts'

/** How patient calls are. */
export type PluginTimes = {
  /** How long calls are repeated while nobody listens. */
  retryMs: number
  /** How long an answer may take: to a question, to work that may move data, and where others wait in line. */
  answerMs: Readonly<Record<Patience, number>>
}

/** How long a call may wait for its answer. */
export type Patience = 'usual' | 'long' | 'short'

/** Docker's: half a minute for a plugin to come up, one minute for an answer, two for work. */
const dockerPluginTimes: PluginTimes = {
  retryMs: 30_000,
  answerMs: { usual: 60_000, long: 120_000, short: 10_000 },
}

const mediaType = 'application/vnd.docker.plugins.v1.2+json'
const maxAnswerBytes = 4 << 20
const firstRetryMs = 100
const activated = z.object({ Implements: z.array(z.string()).nullish() })
const failure = z.object({ Err: z.string().optional() })

/** A plugin that has been activated. */
export class Plugin {
  readonly name: string
  readonly implements: readonly string[]
  readonly #address: PluginAddress
  readonly #times: PluginTimes

  constructor(name: string, address: PluginAddress, parts: { implements: string[]; times: PluginTimes }) {
    this.name = name
    this.implements = parts.implements
    this.#address = address
    this.#times = parts.times
  }

  /**
   * Calls a method (`VolumeDriver.Create`) and answers its JSON. Repeats while nobody listens. Throws internal with
   * what the plugin says went wrong, `unavailable` when it cannot be reached or does not answer in time.
   */
  async call(method: string, argument: unknown, patience: Patience = 'usual'): Promise<unknown> {
    return post(this.#address, { method, argument, times: this.#times, patience })
  }
}

/** The plugins of a machine. Each is activated once, and again when its address changes. */
export class Plugins {
  readonly #directories: PluginDirectories
  readonly #times: PluginTimes
  readonly #known = new Map<string, { plugin: Promise<Plugin>; address: string }>()

  constructor(directories: PluginDirectories, times: PluginTimes = dockerPluginTimes) {
    this.#directories = directories
    this.#times = times
  }

  /**
   * The plugin of a name that implements a subsystem (`VolumeDriver`). `wait` gives one that is not there the time to
   * come up. Throws notFound.
   */
  async get(name: string, subsystem: string, { wait = false } = {}): Promise<Plugin> {
    const address = await this.#find(name, wait)
    if (address === undefined) {
      throw new EngineError('notFound', `plugin ${JSON.stringify(name)} not found`)
    }
    const key = JSON.stringify(address)
    let known = this.#known.get(name)
    if (known?.address !== key) {
      known = { plugin: activate(name, address, this.#times), address: key }
      this.#known.set(name, known)
      // One that could not be activated is tried anew when it is asked for again.
      known.plugin.catch(() => {
        if (this.#known.get(name) === known) this.#known.delete(name)
      })
    }
    const plugin = await known.plugin
    if (!plugin.implements.includes(subsystem)) {
      throw new EngineError('notFound', 'Plugin does not implement the requested driver')
    }
    return plugin
  }

  /** Names of all that can be found, activated or not. */
  async list(): Promise<string[]> {
    return listPlugins(this.#directories)
  }

  async #find(name: string, wait: boolean): Promise<PluginAddress | undefined> {
    const end = performance.now() + (wait ? this.#times.retryMs : 0)
    for (let pause = firstRetryMs; ; pause *= 2) {
      const address = await findPlugin(this.#directories, name)
      if (address !== undefined || performance.now() + pause > end) return address
      await delay(pause)
    }
  }
}

async function activate(name: string, address: PluginAddress, times: PluginTimes): Promise<Plugin> {
  const answer = activated.safeParse(
    await post(address, { method: 'Plugin.Activate', argument: undefined, times, patience: 'usual' }),
  )
  if (!answer.success) throw new EngineError('internal', 'Plugin.Activate: the answer names no subsystems')
  return new Plugin(name, address, { implements: answer.data.Implements ?? [], times })
}

type Call = { method: string; argument: unknown; times: PluginTimes; patience: Patience }

/** Repeats with growing pauses while nobody listens; what reached the plugin is never repeated. */
async function post(address: PluginAddress, call: Call): Promise<unknown> {
  const { retryMs, answerMs } = call.times
  const end = performance.now() + (call.patience === 'short' ? Math.min(retryMs, answerMs.short) : retryMs)
  for (let pause = firstRetryMs; ; pause *= 2) {
    try {
      return await postOnce(address, call)
    } catch (error) {
      if (error instanceof EngineError) throw error
      const code = errorCode(error) ?? ''
      if (!['ECONNREFUSED', 'ENOENT', 'EAGAIN'].includes(code) || performance.now() + pause > end) {
        throw new EngineError('unavailable', `${call.method}: ${errorMessage(error)}`, { cause: error })
      }
    }
    await delay(pause)
  }
}

async function postOnce(address: PluginAddress, call: Call): Promise<unknown> {
  const { method, argument } = call
  const answerMs = call.times.answerMs[call.patience]
  const body = argument === undefined ? '' : JSON.stringify(argument)
  const signal = AbortSignal.timeout(answerMs)
  const options: RequestOptions = {
    method: 'POST',
    path: `${address.kind === 'tcp' ? address.path : ''}/${method}`,
    headers: { Accept: mediaType, 'Content-Type': mediaType, 'Content-Length': Buffer.byteLength(body) },
    agent: false,
    signal,
  }
  try {
    const response = await send(address, options, body)
    const text = await readBody(response, method)
    return answerOf({ method, status: response.statusCode ?? 0, text })
  } catch (error) {
    if (!signal.aborted) throw error
    throw new EngineError(
      'unavailable',
      `${method}: the plugin has not answered within ${answerMs / 1000} s`,
      { cause: error },
    )
  }
}

async function send(address: PluginAddress, options: RequestOptions, body: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent =
    address.kind === 'unix'
      ? httpRequest({ ...options, socketPath: address.path }, resolve)
      : address.tls === undefined
        ? httpRequest({ ...options, host: address.host, port: address.port }, resolve)
        : httpsRequest({ ...options, ...(await tlsOptions(address)) }, resolve)
  sent.on('error', reject)
  sent.end(body)
  return promise
}

async function tlsOptions({ host, port, tls }: Extract<PluginAddress, { kind: 'tcp' }>) {
  const file = async (path = '') => (path === '' ? undefined : readFile(path))
  return {
    host,
    port,
    rejectUnauthorized: tls?.verify !== false,
    ca: await file(tls?.caFile),
    cert: await file(tls?.certFile),
    key: await file(tls?.keyFile),
  }
}

async function readBody(response: IncomingMessage, method: string): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no encoding is set
    const bytes = chunk as Buffer
    length += bytes.length
    if (length > maxAnswerBytes)
      throw new EngineError('internal', `${method}: the plugin's answer is too long`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString()
}

/** moby pkg/plugins/client.go: an `Err` counts whatever the status; without one the body is the reason. */
function answerOf({ method, status, text }: { method: string; status: number; text: string }): unknown {
  const parsed = parseJson(text)
  const said = failure.safeParse(parsed)
  const reason = said.success ? said.data.Err : undefined
  if (reason !== undefined && reason !== '') throw new EngineError('internal', `${method}: ${reason}`)
  if (status !== 200) {
    throw new EngineError(status === 404 ? 'notImplemented' : 'internal', `${method}: ${text.trim()}`)
  }
  if (parsed === undefined) throw new EngineError('internal', `${method}: the plugin's answer is no JSON`)
  return parsed
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
