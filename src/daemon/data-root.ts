/** The daemon's directories: one daemon to a data root, an identity that stays. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { tryLock } from '../kernel/file-lock.ts'
import type { Owner } from '../lib/id-mapping.ts'
import type { Database } from '../store/database.ts'
import { EngineError } from '../spec/errors.ts'

/**
 * Makes and locks a data root until disposed. Nobody but root and the group `gid`, of the containers' root, may pass
 * through: programs of containers lie in it that would be root's to whoever reaches them. Throws `conflict` when another
 * daemon works in it.
 */
export function lockDataRoot(directory: string, gid: number): Disposable {
  mkdirSync(directory, { recursive: true, mode: 0o711 })
  const path = join(directory, 'wharfd.lock')
  if (!existsSync(path)) writeFileSync(path, '', { mode: 0o600 })
  const lock = tryLock(path)
  if (lock === undefined) {
    const owner = readFileSync(path, 'utf8').trim()
    throw new EngineError('conflict', `another wharfd (process ${owner}) works in ${directory}`)
  }
  writeFileSync(path, `${process.pid}\n`)
  chownSync(directory, 0, gid)
  chmodSync(directory, 0o710)
  return lock
}

/**
 * The data root of containers whose root is somebody else on the host: a directory of its own inside the one that is
 * configured, which only the two roots may pass through. Throws `invalid` where the containers' root cannot reach it.
 */
export function remappedDataRoot(directory: string, { uid, gid }: Owner): string {
  const root = join(directory, `${uid}.${gid}`)
  for (const path of [root, join(root, 'containers'), join(root, 'layers')]) {
    mkdirSync(path, { recursive: true, mode: 0o710 })
    chmodSync(path, 0o710)
    chownSync(path, 0, gid)
  }
  for (let above = dirname(root); above !== '/'; above = dirname(above)) {
    if (mayPass(statSync(above), { uid, gid })) continue
    // moby daemon/daemon_unix.go
    throw new EngineError(
      'invalid',
      `a subdirectory in your graphroot path (${root}) restricts access to the remapped root uid/gid; please fix by allowing 'o+x' permissions on existing directories`,
    )
  }
  return root
}

function mayPass(stats: Stats, { uid, gid }: Owner): boolean {
  const isAllowed = (bit: number) => (stats.mode & bit) !== 0
  return (
    isAllowed(0o001) || (stats.uid === uid && isAllowed(0o100)) || (stats.gid === gid && isAllowed(0o010))
  )
}

/** Writes a pid file until disposed. Throws `conflict` when the process it names still runs. */
export function writePidFile(path: string): Disposable {
  if (existsSync(path)) {
    const pid = Number(readFileSync(path, 'utf8').trim())
    if (pid !== process.pid && isDaemon(pid)) {
      throw new EngineError(
        'conflict',
        `failed to start daemon, ensure it is not running or delete ${path}: process with PID ${pid} is still running`,
      )
    }
  }
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${process.pid}\n`)
  return {
    [Symbol.dispose]: () => {
      rmSync(path, { force: true })
    },
  }
}

/** Whether a process is a daemon of ours: a number left over by a killed one may belong to anybody by now. */
function isDaemon(pid: number): boolean {
  const path = `/proc/${pid}/cmdline`
  return pid > 0 && existsSync(path) && readFileSync(path, 'utf8').includes('src/daemon/main.ts')
}

/** The identity that info shows: made once, kept in the database. */
export function daemonId(database: Database): string {
  const row = database.get("SELECT value FROM settings WHERE key = 'daemon-id'")
  if (typeof row?.['value'] === 'string') return row['value']
  const id = randomUUID()
  database.run("INSERT INTO settings (key, value) VALUES ('daemon-id', ?)", id)
  return id
}
