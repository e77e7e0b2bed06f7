/** The machine itself, as containers ask it: processor time, memory, `ps`, shared memory. */
import { execFile } from 'node:child_process'
import { chownSync, mkdirSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, hostname, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { mount, mountFlags, unmount } from '../kernel/mount.ts'
import { mountPointsBelow } from '../kernel/mount-table.ts'
import type { Sweep } from '../kernel/sweeper.ts'
import type { Owner } from '../lib/id-mapping.ts'
import { errorCode, errorMessage } from '../spec/errors.ts'
import type { ContainerHost, Faults, Timer } from './core.ts'

/** /proc/stat counts in hundredths of a second, whatever the kernel's tick. */
const nsPerTick = 10_000_000n
const psOutputLimit = 64 * 1024 * 1024

/** CPU time of all processors in the `cpu` line of /proc/stat: user, nice, system, idle, iowait, irq, softirq. */
export function parseSystemCpuNs(stat: string): bigint {
  const [line = ''] = stat.split('\n')
  const [name, ...fields] = line.trim().split(/\s+/)
  if (name !== 'cpu') throw new Error(`no cpu line in /proc/stat: ${line}`)
  return fields.slice(0, 7).reduce((sum, field) => sum + BigInt(field), 0n) * nsPerTick
}

/** The machine this process runs on. `owner` is the containers' root, where that is another than the host's. */
export function thisMachine(sweep: Sweep, owner?: Owner): ContainerHost {
  return {
    hostname: hostname(),
    onlineCpus: availableParallelism(),
    memoryTotalBytes: totalmem(),
    systemCpuNs: async () => parseSystemCpuNs(await readFile('/proc/stat', 'utf8')),
    runPs,
    async mountShm(path, sizeBytes) {
      await mkdir(path, { recursive: true, mode: 0o700 })
      const flags = mountFlags.noSuid | mountFlags.noDev | mountFlags.noExec
      const of = owner === undefined ? '' : `,uid=${owner.uid},gid=${owner.gid}`
      mount({ source: 'shm', target: path, type: 'tmpfs', flags, data: `mode=1777,size=${sizeBytes}${of}` })
    },
    makeDirectory(path) {
      mkdirSync(path, { recursive: true, mode: 0o710 })
      if (owner !== undefined) chownSync(path, 0, owner.gid)
    },
    async unmountShm(path) {
      try {
        unmount(path, { detached: true })
      } catch (error) {
        // Not mounted, or not even there.
        const code = errorCode(error)
        if (code !== 'EINVAL' && code !== 'ENOENT') throw error
      }
      await rm(path, { recursive: true, force: true })
    },
    mountPoints: () => mountPointsBelow(['/']),
    async removeDirectory(path) {
      if (!(await sweep([{ kind: 'tree', path }]))) await rm(path, { recursive: true, force: true })
    },
  }
}

async function runPs(args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{ exitCode: number; stdout: string; stderr: string }>()
  execFile('ps', args, { maxBuffer: psOutputLimit }, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127
    resolve({ exitCode: code, stdout, stderr: stderr === '' && code === 127 ? errorMessage(error) : stderr })
  })
  return promise
}

/** Real time. */
export const systemTimer: Timer = {
  async sleep(ms, signal) {
    // setTimeout takes at most 2^31 - 1.
    for (let rest = ms; rest > 0; rest -= 2_000_000_000) {
      await sleep(Math.min(rest, 2_000_000_000), undefined, { signal })
    }
    signal.throwIfAborted()
  },
}

/** No faults. */
export const noFaults: Faults = { reach: async () => {} }

/** Ends this process at a named point of an operation, as `kill -9` would: for tests of what the next daemon does. */
export function dieAt(point: string): Faults {
  return {
    reach: async (at) => {
      if (at !== point) return
      process.kill(process.pid, 'SIGKILL')
      await new Promise(() => {})
    },
  }
}
