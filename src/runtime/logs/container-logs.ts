/**
 * Containers' output on disk. The keeper of a container writes it (docs/log-format.md) whether or not a daemon
 * runs; here is decided where, how much and in which format, and it is read back. Drivers that send the output
 * elsewhere (syslog, journald) are fed from that same file, with a cursor on disk, so a daemon that was away goes
 * on where it stopped, and `logs` works with every driver but `none`.
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Log } from '../../lib/log.ts'
import { TaskGroup } from '../../lib/task-group.ts'
import { EngineError } from '../../spec/errors.ts'
import type { TaskLog } from '../../spec/task-types.ts'
import { JsonFileFormat } from './json-file-format.ts'
import { LocalFormat } from './local-format.ts'
import { chosenAttributes, renderTag } from './log-attributes.ts'
import type { LogSubject } from './log-attributes.ts'
import { LogCompressor } from './log-compressor.ts'
import { LogForwarder } from './log-forwarder.ts'
import {
  isForwarded,
  logBounds,
  logDriver,
  nonBlockingBufferBytes,
  validateLogOptions,
} from './log-options.ts'
import type { LogDriver } from './log-options.ts'
import { parseLogTime, parseTail } from './log-query.ts'
import { LogReader } from './log-reader.ts'
import type { LogFormat } from './log-record.ts'

/** The container whose log it is, and its log options. */
export type LogRequest = LogSubject & {
  /** Directory of the container's durable files. */
  directory: string
  driver: string
}

/** A request for a container's log as the API has it. */
export type LogQuery = {
  stdout: boolean
  stderr: boolean
  /** Unix time with fraction, or RFC 3339; empty or `0` for none. */
  since: string
  until: string
  /** A number of lines, or `all`. */
  tail: string
  timestamps: boolean
  details: boolean
  /** The container has a terminal: bare bytes instead of frames. */
  tty: boolean
  /** Set to follow: resolves when the output has ended. */
  ended?: Promise<void>
}

/** See the file's head. Owns the forwarding and compressing of the logs of running containers. */
export class ContainerLogFiles implements AsyncDisposable {
  readonly #log: Log
  readonly #daemonName: string
  readonly #tasks: TaskGroup
  readonly #compressor: LogCompressor
  readonly #forwarders = new Map<string, LogForwarder>()

  constructor({ log, daemonName }: { log: Log; daemonName: string }) {
    this.#log = log
    this.#daemonName = daemonName
    this.#tasks = new TaskGroup(log)
    this.#compressor = new LogCompressor(this.#tasks)
  }

  /** Checks driver and options. Throws invalid. */
  validate(driver: string, options: Record<string, string>): void {
    validateLogOptions(logDriver(driver), options)
  }

  /** How the keeper shall write; undefined for `none`. Makes the directory. */
  taskLog(request: LogRequest): TaskLog | undefined {
    const driver = logDriver(request.driver)
    if (driver === 'none') return undefined
    const bounds = logBounds(driver, request.options)
    const path = logFilePath(request, driver)
    const buffer = nonBlockingBufferBytes(request.options)
    const attributes = driver === 'json-file' ? this.#attributes(request) : {}
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    return {
      format: driver === 'json-file' ? 'json-file' : 'local',
      path,
      maxSizeBytes: bounds.maxSizeBytes,
      maxFiles: bounds.maxFiles,
      ...(buffer === undefined ? {} : { nonBlockingBufferBytes: buffer }),
      ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
    }
  }

  /** `LogPath` of inspect. */
  logPath(request: LogRequest): string {
    return logDriver(request.driver) === 'json-file' ? logFilePath(request, 'json-file') : ''
  }

  /** The container runs: forwards and compresses its log from here on. Idempotent. */
  started(request: LogRequest): void {
    const driver = logDriver(request.driver)
    if (driver === 'none') return
    const path = logFilePath(request, driver)
    const bounds = logBounds(driver, request.options)
    if (bounds.compress && bounds.maxFiles > 1) this.#compressor.add(request.id, path)
    if (!isForwarded(driver) || this.#forwarders.has(request.id)) return
    const tag = renderTag(request, this.#daemonName, '{{.ID}}')
    const forwarder = new LogForwarder({ driver, request, path, tag, log: this.#log })
    this.#forwarders.set(request.id, forwarder)
    this.#tasks.run('forward log', async (signal) => {
      await forwarder.run(signal)
      if (this.#forwarders.get(request.id) === forwarder) this.#forwarders.delete(request.id)
    })
  }

  /** The container ended: what was written is forwarded to its end, then no more. */
  ended(id: string): void {
    this.#compressor.remove(id)
    this.#forwarders.get(id)?.end()
    this.#forwarders.delete(id)
  }

  /**
   * Bytes as the API answers them. Throws at once what is wrong with the query; reading starts with the first step
   * and ends quietly when the signal aborts.
   */
  readLogs(request: LogRequest, query: LogQuery, signal: AbortSignal): AsyncIterable<Buffer> {
    const driver = logDriver(request.driver)
    const sinceNs = parseLogTime('since', query.since)
    const untilNs = parseLogTime('until', query.until)
    const tail = parseTail(query.tail)
    const cached = isForwarded(driver) && request.options['cache-disabled'] === 'true'
    if (driver === 'none' || cached) {
      throw new EngineError('notImplemented', 'configured logging driver does not support reading')
    }
    const reader = new LogReader(logFilePath(request, driver), this.#format(request, driver), {
      framed: !query.tty,
      timestamps: query.timestamps,
      details: query.details,
      stdout: query.stdout,
      stderr: query.stderr,
      ...(sinceNs === undefined ? {} : { sinceNs }),
      ...(untilNs === undefined ? {} : { untilNs }),
      ...(tail === undefined ? {} : { tail }),
      ...(query.ended === undefined ? {} : { ended: query.ended }),
    })
    return reader.read(signal)
  }

  /** Resolves when nothing is being compressed or forwarded any more. */
  async idle(): Promise<void> {
    await this.#tasks.idle()
  }

  /** Stops forwarding where it is; the cursors say where to go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#compressor[Symbol.dispose]()
    await this.#tasks[Symbol.asyncDispose]()
  }

  #format(request: LogRequest, driver: LogDriver): LogFormat {
    return driver === 'json-file' ? new JsonFileFormat() : new LocalFormat(this.#attributes(request))
  }

  #attributes(request: LogRequest): Record<string, string> {
    const attributes = chosenAttributes(request)
    const tag = renderTag(request, this.#daemonName, '')
    return tag === '' ? attributes : { ...attributes, tag }
  }
}

/** Where a driver's file lies, as Docker names them. */
function logFilePath(request: LogRequest, driver: LogDriver): string {
  if (driver === 'json-file') return join(request.directory, `${request.id}-json.log`)
  return join(request.directory, 'local-logs', isForwarded(driver) ? 'container-cached.log' : 'container.log')
}
