/**
 * Webhooks in the event format of the reference registry. Events wait in the index until their endpoint has taken
 * them, so they survive a restart; each endpoint gets them in order, with growing pauses after failures.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { TaskGroup } from '../lib/task-group.ts'
import { errorMessage } from '../spec/errors.ts'
import { textColumn } from '../store/database.ts'
import type { WebhookConfig } from './config.ts'
import type { RegistryEvent } from './events.ts'
import type { RegistryIndex } from './registry-index.ts'

const contentType = 'application/vnd.docker.distribution.events.v2+json'
const eventsAtOnce = 20
const longestQueue = 10_000
const firstPauseMs = 500
const longestPauseMs = 60_000

/** See the file's head. */
export class Webhooks implements AsyncDisposable {
  readonly #index: RegistryIndex
  readonly #clock: Clock
  readonly #log: Log
  readonly #tasks: TaskGroup
  readonly #wakers = new Map<string, () => void>()
  readonly #endpoints: readonly WebhookConfig[]

  constructor(parts: { index: RegistryIndex; clock: Clock; log: Log; endpoints: readonly WebhookConfig[] }) {
    this.#index = parts.index
    this.#clock = parts.clock
    this.#log = parts.log
    this.#tasks = new TaskGroup(parts.log)
    this.#endpoints = parts.endpoints
    for (const endpoint of parts.endpoints) {
      this.#tasks.run(`webhook ${endpoint.name}`, (signal) => this.#deliver(endpoint, signal))
    }
  }

  /** Notes an event for all who want it. */
  add(event: RegistryEvent): void {
    const wanting = this.#endpoints.filter(
      ({ actions }) => actions.length === 0 || actions.includes(event.action),
    )
    if (wanting.length === 0) return
    const body = JSON.stringify(eventBody(event, this.#clock.nowMs()))
    const { database } = this.#index
    for (const { name } of wanting) {
      database.run('INSERT INTO webhook_queue (endpoint, body) VALUES (?, ?)', name, body)
      database.run(
        `DELETE FROM webhook_queue WHERE endpoint = ? AND sequence <=
         (SELECT sequence FROM webhook_queue WHERE endpoint = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)`,
        name,
        name,
        longestQueue,
      )
      this.#wakers.get(name)?.()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const disposed = this.#tasks[Symbol.asyncDispose]()
    for (const wake of this.#wakers.values()) wake()
    await disposed
  }

  async #deliver(endpoint: WebhookConfig, signal: AbortSignal): Promise<void> {
    let pauseMs = firstPauseMs
    while (!signal.aborted) {
      const rows = this.#index.database.all(
        'SELECT sequence, body FROM webhook_queue WHERE endpoint = ? ORDER BY sequence LIMIT ?',
        endpoint.name,
        eventsAtOnce,
      )
      if (rows.length === 0) {
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wakers.set(endpoint.name, resolve)
        await promise
        continue
      }
      const failure = await post(
        endpoint,
        rows.map((row) => textColumn(row, 'body')),
        signal,
      )
      if (failure === undefined) {
        pauseMs = firstPauseMs
        this.#index.database.run(
          'DELETE FROM webhook_queue WHERE endpoint = ? AND sequence <= ?',
          endpoint.name,
          Number(rows.at(-1)?.['sequence']),
        )
        continue
      }
      if (signal.aborted) return
      this.#log.warn('webhook failed', { endpoint: endpoint.name, failure, pauseMs })
      // Aborted while waiting: the loop ends.
      await setTimeout(pauseMs, undefined, { signal }).catch(() => {})
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
  }
}

/** Why a delivery failed; undefined when it did not. */
async function post(
  endpoint: WebhookConfig,
  events: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const headers = new Headers({ 'Content-Type': contentType })
    for (const [name, value] of Object.entries(endpoint.headers)) headers.set(name, [value].flat().join(', '))
    const answer = await fetch(endpoint.url, {
      method: 'POST',
      body: `{"events":[${events.join(',')}]}`,
      headers,
      signal: AbortSignal.any([signal, AbortSignal.timeout(endpoint.timeout)]),
    })
    await answer.arrayBuffer()
    return answer.ok ? undefined : `status ${answer.status}`
  } catch (error) {
    // Unreachable, too slow, or the registry is ending: all of them mean later.
    return errorMessage(error)
  }
}

function eventBody(event: RegistryEvent, nowMs: number): object {
  const { action, repository, digest, tag, mediaType, size, from, kind } = event
  const address = kind === 'blob' ? `blobs/${digest}` : `manifests/${digest ?? tag}`
  return {
    id: randomUUID(),
    timestamp: new Date(nowMs).toISOString(),
    action,
    target: {
      // Of what is gone there is nothing more to say.
      ...(action === 'delete'
        ? {}
        : {
            mediaType: mediaType ?? 'application/octet-stream',
            url: `${event.base}/v2/${repository}/${address}`,
          }),
      ...(size === undefined ? {} : { size, length: size }),
      ...(digest === undefined ? {} : { digest }),
      repository,
      ...(from === undefined ? {} : { fromRepository: from }),
      ...(tag === undefined ? {} : { tag }),
    },
    request: {
      id: randomUUID(),
      addr: event.address,
      host: event.host,
      method: event.method,
      useragent: event.userAgent,
    },
    actor: event.actor === '' ? {} : { name: event.actor },
    source: { addr: hostname(), instanceID: String(process.pid) },
  }
}
