/**
 * Removing what containers leave in a process of its own (native/sweep.c). One removal is a dozen short calls; Node
 * makes each on another thread, at some ten system calls and two wake-ups a call (measured: 90 calls a container, a
 * third of what a start and its end cost the daemon). Here it is one message and one byte back.
 */
import { closeSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Log } from '../lib/log.ts'
import { reap, spawnProcess } from './process.ts'
import { socketPair, spawnDescriptor } from './unix-sockets.ts'

/** What is to go: an empty directory or cgroup, a mount with the file it is on, a small tree. */
export type SweepStep = { kind: 'directory' | 'mount' | 'tree'; path: string }

/** Removes the paths in order. False when one may be left, and those after it; for that callers have a thorough way. */
export type Sweep = (steps: readonly SweepStep[]) => Promise<boolean>

const letters = { directory: 'd', mount: 'm', tree: 't' } as const

/** See the file's head. Disposing it ends the process; what was asked for and not answered is answered with false. */
export class Sweeper implements Disposable {
  readonly #program: string
  readonly #log: Log
  #socket: Socket | undefined
  #waiting: ((done: boolean) => void)[] = []
  #disposed = false

  /** `program` is the keeper's executable. */
  constructor(program: string, log: Log) {
    this.#program = program
    this.#log = log
  }

  /** See `Sweep`. Never rejects. */
  readonly sweep: Sweep = async (steps) => {
    if (steps.some(({ path }) => path.length > longestPath)) return false
    const socket = (this.#socket ??= this.#start())
    if (socket === undefined) return false
    const { promise, resolve } = Promise.withResolvers<boolean>()
    // What is being removed when the daemon ends is removed to its end.
    if (this.#waiting.push(resolve) === 1) socket.ref()
    socket.write(`${steps.map(({ kind, path }) => `${letters[kind]}${path}\0`).join('')}\0`)
    return promise
  };

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#socket?.destroy()
  }

  #start(): Socket | undefined {
    if (this.#disposed) return undefined
    try {
      const socket = startSweeper(this.#program)
      socket.unref()
      socket.setEncoding('latin1')
      socket.on('data', (answers: string) => {
        for (const answer of answers) this.#waiting.shift()?.(answer === '+')
        if (this.#waiting.length === 0) socket.unref()
      })
      socket.on('error', () => {})
      socket.on('end', () => socket.destroy())
      socket.on('close', () => {
        this.#socket = undefined
        for (const resolve of this.#waiting.splice(0)) resolve(false)
      })
      return socket
    } catch (error) {
      this.#log.warn('removals will take longer: no process could be started for them', { error })
      return undefined
    }
  }
}

/** Far below what the process takes at once. */
const longestPath = 4096

function startSweeper(program: string): Socket {
  const nothing = openSync('/dev/null', 'r+')
  const output = spawnDescriptor(nothing)
  closeSync(nothing)
  const { socket, peer } = socketPair()
  try {
    const pid = spawnProcess({
      file: program,
      args: ['wharf-shim', '--sweep'],
      env: [],
      descriptors: [peer, output, output],
    })
    socket.once('close', () => reap(pid))
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    closeSync(peer)
    closeSync(output)
  }
}
