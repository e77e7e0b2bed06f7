/** A wharfd of a test's own: its process, socket and directories; ended and cleared away when disposed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { clearKernelState, type KernelNames } from '../../fixtures/kernel-state.ts'

const repository = join(import.meta.dirname, '../../..')
const executable = join(repository, 'bin/wharfd')
const namePrefix = 'wharf-daemon-test-'

/** How long a daemon may take to answer, in milliseconds. */
const startLimitMs = 20_000

/** Answer of a request. */
export type Answer = { status: number; headers: IncomingMessage['headers']; body: string }

/** See the file's head. */
export class DaemonFixture implements AsyncDisposable {
  readonly directory: string
  readonly socket: string
  #process: ChildProcess | undefined
  #output = ''

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), `${namePrefix}${process.pid}-`))
    this.socket = join(this.directory, 'wharf.sock')
  }

  get output(): string {
    return this.#output
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** Arguments that keep a daemon inside of the directory. */
  ownArguments(): string[] {
    const at = (name: string) => join(this.directory, name)
    const flags = {
      'data-root': at('data'),
      'exec-root': at('run'),
      pidfile: at('pid'),
      bridge: 'none',
      instance: this.#names().instance,
    }
    return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  }

  /** Writes a configuration file and answers its path. */
  configFile(config: unknown): string {
    const path = join(this.directory, 'daemon.json')
    writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config))
    return path
  }

  /** Starts the daemon and waits until it answers. Rejects with its output when it ends instead. */
  async start(args: string[] = ['-H', '']): Promise<void> {
    const hosts = args[0] === '-H' && args[1] === '' ? ['-H', `unix://${this.socket}`] : args
    this.spawn([...this.ownArguments(), ...hosts])
    const limit = AbortSignal.timeout(startLimitMs)
    await this.waitForOutput('daemon started', limit)
  }

  /** Starts wharfd with exactly these arguments. */
  spawn(args: string[]): ChildProcess {
    return this.spawnProgram(executable, args)
  }

  /** Starts a program that becomes wharfd. */
  spawnProgram(program: string, args: string[]): ChildProcess {
    this.#output = ''
    const child = spawn(program, args)
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString()
        child.emit('wharf-output')
      })
    }
    return child
  }

  /** Resolves when the output has the text. */
  async waitForOutput(
    wanted: string,
    signal: AbortSignal = AbortSignal.timeout(startLimitMs),
  ): Promise<void> {
    const child = this.#process
    if (child === undefined) throw new Error('no daemon')
    while (!this.#output.includes(wanted)) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`wharfd ended: ${this.#output}`)
      await Promise.race([once(child, 'wharf-output', { signal }), once(child, 'exit', { signal })])
    }
  }

  /** Runs the program to its end. */
  async run(args: string[]): Promise<{ code: number | null; output: string }> {
    const [code] = (await once(this.spawn(args), 'close')) as [number | null]
    return { code, output: this.#output }
  }

  /** Ends the daemon and answers its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null
    const ended = once(child, 'exit')
    child.kill(signal)
    const [code] = (await ended) as [number | null]
    return code
  }

  /** One request over the unix socket. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const outgoing = request({ socketPath: this.socket, method, path, headers })
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }
  }

  #names(): KernelNames {
    return namesOf(this.directory)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await clearKernelState(this.#names())
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Names of the kernel objects of the daemon in a directory. */
function namesOf(directory: string): KernelNames {
  const instance = `wd${createHash('sha256').update(directory).digest('hex').slice(0, 6)}`
  return { root: directory, instance, cgroupParent: `/wharf-test-${instance}` }
}

/** Clears what a killed run left: directories of processes that are gone. Call it before the first fixture. */
export async function removeLeavings(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${namePrefix}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || isAlive(pid)) continue
    const directory = join(tmpdir(), name)
    await clearKernelState(namesOf(directory))
    rmSync(directory, { recursive: true, force: true })
  }
}

function isAlive(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''
  } catch {
    return false
  }
}
