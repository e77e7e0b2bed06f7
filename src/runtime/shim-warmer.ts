/**
 * Keeps moves between cgroups quick. The first one after a quiet time waits for the kernel (10 ms and more, an RCU
 * grace period), later ones do not for some 15 ms. So a parked process moves itself between two spare cgroups when a
 * start is near; who asks for that does not wait.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Log } from '../lib/log.ts'
import type { CgroupLayout } from '../kernel/cgroup-layout.ts'
import { reap, spawnProcess } from '../kernel/process.ts'
import { socketPair, spawnDescriptor } from '../kernel/unix-sockets.ts'

/** Parent of the two spare cgroups. They stay when the daemon ends, for the next one to use. */
const spareGroups = ['/wharf-spare/a', '/wharf-spare/b']

/** See the file's head. Disposing it ends the parked process. */
export class CgroupWarmer implements Disposable {
  #socket: Socket | undefined

  /** `program` is the keeper's executable. Failure is logged and leaves a warmer that does nothing. */
  constructor(program: string, layout: CgroupLayout, log: Log) {
    try {
      this.#socket = park(program, layout)
      this.#socket?.on('error', () => {})
      this.#socket?.unref()
    } catch (error) {
      log.warn('starts will wait for cgroups: no process could be parked', { error })
    }
  }

  /** Starts a move. */
  warm(): void {
    const socket = this.#socket
    // A parked process that does not keep up is busy doing just what is asked for.
    if (socket !== undefined && !socket.destroyed && socket.writableLength === 0) socket.write('w')
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }
}

function park(program: string, layout: CgroupLayout): Socket | undefined {
  const mount = layout.unified ?? layout.mounts[0]
  if (mount === undefined) return undefined
  const groups = spareGroups.map((group) => join(mount, group))
  for (const group of groups) mkdirSync(group, { recursive: true })
  const files = groups.map((group) => join(group, 'cgroup.procs'))
  const nothing = openSync('/dev/null', 'r+')
  const output = spawnDescriptor(nothing)
  closeSync(nothing)
  const { socket, peer } = socketPair()
  try {
    const pid = spawnProcess({
      file: program,
      args: ['wharf-shim', '--park', ...files],
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
