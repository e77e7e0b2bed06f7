/**
 * A hijacked stream joined to the terminal: standard input goes in (with half-close at its end), output comes out,
 * raw with a TTY and framed without. The session ends when the engine ends the stream, or when the user types the
 * detach keys. It owns the terminal's raw mode and gives it back whatever happens.
 */
import { spawnSync } from 'node:child_process'
import type { HijackedStream } from '../../client/exchange.ts'
import { DirectReads } from '../../client/direct-reads.ts'
import { FrameSplitter } from '../../client/multiplex.ts'
import { errorCode, errorMessage } from '../../spec/errors.ts'
import type { Cli } from '../cli.ts'
import { OutputClosed } from '../output.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'

/** What is joined. */
export type SessionOptions = {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  tty: boolean
  detachKeys: string
}

const defaultKeys = 'ctrl-p,ctrl-q'

function detachFilter(cli: Cli, keys: string): DetachFilter {
  try {
    return new DetachFilter(parseDetachKeys(keys === '' ? defaultKeys : keys))
  } catch (error) {
    cli.warn(`invalid detach escape keys, using default: ${errorMessage(error)}`)
    return new DetachFilter(parseDetachKeys(defaultKeys))
  }
}

/**
 * The runtime's raw mode leaves newlines to the terminal, which would turn a container's bare ones into carriage
 * returns too and garble full-screen programs. There is no call for it here, hence `stty`.
 */
function setOutputProcessing(isOn: boolean): void {
  spawnSync('stty', [isOn ? 'opost' : '-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
}

/** See the module's description. */
export class StreamSession {
  readonly #cli: Cli
  readonly #hijacked: HijackedStream
  readonly #options: SessionOptions
  readonly #frames = new FrameSplitter()
  readonly #filter: DetachFilter | undefined
  readonly #reads: DirectReads
  #isRaw = false
  #finish: ((result: 'ended' | 'detached' | Error) => void) | undefined

  constructor(cli: Cli, hijacked: HijackedStream, options: SessionOptions) {
    this.#cli = cli
    this.#hijacked = hijacked
    this.#options = options
    this.#reads = new DirectReads(hijacked.stream)
    this.#filter = options.tty && options.stdin ? detachFilter(cli, options.detachKeys) : undefined
  }

  /** Runs until the stream ends. Resolves with how; rejects when our own output cannot be written. */
  async run(): Promise<'ended' | 'detached'> {
    const result = await new Promise<'ended' | 'detached' | Error>((resolve) => {
      this.#finish = resolve
      this.#start()
    })
    this.#stop()
    if (result instanceof Error) throw result
    return result
  }

  /** Ends the session: what it was opened for did not come about. */
  abort(): void {
    this.#finish?.('ended')
  }

  #start(): void {
    const { stream, early } = this.#hijacked
    stream.on('data', this.#onChunk)
    stream.once('end', this.#onEnd)
    stream.once('close', this.#onEnd)
    if (early.length > 0) this.#onData(early)
    if (this.#options.stdin) this.#startInput()
    stream.resume()
  }

  #startInput(): void {
    const input = process.stdin
    if (this.#options.tty && this.#cli.isInputTerminal) {
      input.setRawMode(true)
      setOutputProcessing(false)
      this.#isRaw = true
    }
    input.on('data', this.#onInput)
    input.once('end', this.#onInputEnd)
    input.once('error', this.#onInputEnd)
    input.resume()
  }

  #stop(): void {
    const { stream } = this.#hijacked
    stream.off('data', this.#onChunk)
    stream.off('end', this.#onEnd)
    stream.off('close', this.#onEnd)
    stream.destroy()
    if (!this.#options.stdin) return
    const input = process.stdin
    input.off('data', this.#onInput)
    input.off('end', this.#onInputEnd)
    input.pause()
    if (this.#isRaw) {
      setOutputProcessing(true)
      input.setRawMode(false)
    }
    // A file as input has nothing to let go of.
    if (typeof Reflect.get(input, 'unref') === 'function') input.unref()
  }

  readonly #onEnd = (): void => this.#finish?.('ended')

  readonly #onChunk = (chunk: Buffer): void => {
    this.#onData(chunk)
    this.#reads.drain(this.#onData)
  }

  readonly #onData = (chunk: Buffer): void => {
    const { stdout, stderr, tty } = this.#options
    try {
      if (tty) {
        if (stdout || stderr) this.#cli.stdout.write(chunk)
        return
      }
      this.#frames.push(chunk, (stream, payload) => {
        if (stream === 'stdout' && stdout) this.#cli.stdout.write(payload)
        else if (stream === 'stderr' && stderr) this.#cli.stderr.write(payload)
        else if (stream === 'error') throw new Error(`error from daemon in stream: ${payload.toString()}`)
      })
    } catch (error) {
      this.#finish?.(error instanceof Error ? error : new OutputClosed('output failed', { cause: error }))
    }
  }

  readonly #onInput = (chunk: Buffer | string): void => {
    const { stream } = this.#hijacked
    const bytes = Buffer.from(chunk)
    const { data, detached } = this.#filter?.push(bytes) ?? { data: bytes, detached: false }
    if (data.length > 0 && !stream.write(data)) {
      process.stdin.pause()
      stream.once('drain', () => process.stdin.resume())
    }
    if (detached) this.#finish?.('detached')
  }

  readonly #onInputEnd = (error?: unknown): void => {
    // A terminal that went away ends like a file.
    if (error !== undefined && errorCode(error) !== 'EIO')
      this.#cli.warn(`Error reading input: ${errorMessage(error)}`)
    this.#hijacked.stream.end()
  }
}
