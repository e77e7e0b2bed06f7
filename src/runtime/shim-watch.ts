/** Listening to a keeper: what became of its task, line by line. See native/clients.c for the protocol. */
import type { Socket } from 'node:net'

/** The task's process runs. Times are nanoseconds since 1970. */
export type ShimStarted = { pid: number; startTime: bigint; startedNs: bigint }
/** The process has ended, and all its output is where it belongs. */
export type ShimEnd = { exitCode: number; finishedNs: bigint; droppedLines: bigint }

/** What the keeper's lines and files say. */
export type ShimEvent =
  | { kind: 'ready' }
  | { kind: 'refused'; reason: string }
  | { kind: 'started'; started: ShimStarted }
  | { kind: 'failed'; status: number }
  | { kind: 'exit'; end: ShimEnd }

/** One line of a keeper. Undefined for anything that it does not write. */
export function parseShimLine(line: string): ShimEvent | undefined {
  if (line === 'ready') return { kind: 'ready' }
  if (line.startsWith('refused ')) return { kind: 'refused', reason: line.slice(8) }
  const fields = /^(started|failed|exit)((?: \d+)+)$/.exec(line)
  const [first = 0n, second, third, fourth] = (fields?.[2] ?? '').trim().split(' ').map(BigInt)
  if (fields?.[1] === 'failed') return { kind: 'failed', status: Number(first) }
  if (second === undefined || third === undefined) return undefined
  if (fields?.[1] === 'started') {
    return { kind: 'started', started: { pid: Number(first), startTime: second, startedNs: third } }
  }
  if (fields?.[1] !== 'exit') return undefined
  return { kind: 'exit', end: { exitCode: Number(first), finishedNs: third, droppedLines: fourth ?? 0n } }
}

/** The runtime refused the task: its exit status. */
export class ShimStartError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'ShimStartError'
    this.status = status
  }
}

/** A connection that tells of one task's life. Disposing it stops listening; the task does not notice. */
export class ShimWatch implements Disposable {
  /** The keeper listens. Rejects when it cannot do its work. Only for the connection it was started with. */
  readonly ready: Promise<void>
  /** Rejects with a ShimStartError when the process could not be started or the keeper died first. */
  readonly started: Promise<ShimStarted>
  /** Undefined when the keeper died without a word. Pending for ever once disposed. */
  readonly ended: Promise<ShimEnd | undefined>
  readonly #socket: Socket
  readonly #settle: Settle
  #rest = ''
  #disposed = false

  constructor(socket: Socket) {
    this.#socket = socket
    const ready = Promise.withResolvers<void>()
    const started = Promise.withResolvers<ShimStarted>()
    const ended = Promise.withResolvers<ShimEnd | undefined>()
    this.ready = ready.promise
    this.started = started.promise
    this.ended = ended.promise
    // Not everybody waits for all of them.
    ready.promise.catch(() => {})
    started.promise.catch(() => {})
    this.#settle = { ready, started, ended }
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#take(text))
    // A reset is a close like any other: the keeper is gone.
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', () => this.#lose())
  }

  /** Lets the process run. */
  go(): void {
    this.#socket.write('go\n')
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#socket.destroy()
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = parseShimLine(line)
      if (event !== undefined) this.#handle(event)
    }
  }

  #handle(event: ShimEvent): void {
    const { ready, started, ended } = this.#settle
    if (event.kind === 'ready') ready.resolve()
    if (event.kind === 'refused') ready.reject(new ShimStartError(1, event.reason))
    if (event.kind === 'started') started.resolve(event.started)
    if (event.kind === 'failed') started.reject(new ShimStartError(event.status, 'the runtime failed'))
    if (event.kind === 'exit') ended.resolve(event.end)
  }

  #lose(): void {
    const { ready, started, ended } = this.#settle
    const lost = new ShimStartError(-1, 'the keeper has gone')
    ready.reject(lost)
    started.reject(lost)
    if (!this.#disposed) ended.resolve(undefined)
  }
}

type Settle = {
  ready: PromiseWithResolvers<void>
  started: PromiseWithResolvers<ShimStarted>
  ended: PromiseWithResolvers<ShimEnd | undefined>
}
