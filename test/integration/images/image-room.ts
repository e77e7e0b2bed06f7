/** An image room on a directory of its own, for tests; and small ways to fill it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { openImageRoom, type ImageRoom } from '../../../src/images/image-room.ts'
import type { ImageUser } from '../../../src/images/image-service.ts'
import { unmount } from '../../../src/kernel/mount.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { containerId, type ContainerId, type Digest } from '../../../src/spec/ids.ts'
import type { ProgressMessage } from '../../../src/spec/image-types.ts'
import { Database } from '../../../src/store/database.ts'

export type TestEvent = { type: string; action: string; id: string; attributes: Record<string, string> }

/** A room and what tests look at. `reopen` closes it and opens it anew, as a restart does. */
export type TestRoom = {
  root: string
  room: ImageRoom
  database: Database
  events: TestEvent[]
  users: Map<Digest, ImageUser[]>
  reopen: (options?: { storageDriver?: string }) => Promise<void>
  /** Closes the room, for another process to use the directory. */
  close: () => Promise<void>
  load: (archive: Buffer) => Promise<ProgressMessage[]>
}

/** Opens a room that is taken down with the test. */
export async function openTestRoom(
  t: TestContext,
  options: {
    maxLayerBytes?: number
    storageDriver?: string
    storageOptions?: string[]
    /** Where the root is made, instead of the system's directory for such. */
    parent?: string
  } = {},
): Promise<TestRoom> {
  const root = mkdtempSync(join(options.parent ?? tmpdir(), 'wharf-images-'))
  const test: Partial<TestRoom> & { events: TestEvent[]; users: Map<Digest, ImageUser[]> } = {
    root,
    events: [],
    users: new Map(),
  }
  const open = async () => {
    test.database = new Database(join(root, 'wharf.db'))
    test.room = await openImageRoom({
      root,
      database: test.database,
      log: silentLog,
      users: { usersOf: (id) => test.users.get(id) ?? [] },
      events: { emit: (event) => test.events.push(event) },
      host: { os: 'linux', architecture: 'amd64' },
      searchPath: process.env['PATH'],
      ...options,
    })
  }
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await test.room?.[Symbol.asyncDispose]()
    test.database?.[Symbol.dispose]()
  }
  t.after(async () => {
    await close()
    removeTree(root)
  })
  await open()
  return Object.assign(test, {
    reopen: async (changed: { storageDriver?: string } = {}) => {
      await close()
      Object.assign(options, changed)
      await open()
      isOpen = true
    },
    close,
    load: async (archive: Buffer) => {
      const messages: ProgressMessage[] = []
      const report = (message: ProgressMessage) => void messages.push(message)
      const request = { quiet: true, platforms: [], report }
      await test.room!.service.load(chunks(archive), request, AbortSignal.timeout(60_000))
      return messages
    },
  }) as TestRoom
}

/** The data as a stream, in pieces as a socket gives them. */
export async function* chunks(data: Buffer, size = 65_536): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

/** Unmounts everything below a directory and removes it. */
export function removeTree(root: string): void {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${root}/`))
  for (const path of mounts.toReversed()) unmount(path, { detached: true })
  rmSync(root, { recursive: true, force: true })
}

let nextContainer = 0

/** An id that no other container of this process has. */
export function newContainerId(): ContainerId {
  nextContainer += 1
  return containerId(nextContainer.toString(16).padStart(64, 'a'))
}

/** Runs a shell command inside a mounted tree, on the host's kernel without namespaces. */
export function inTree(root: string, command: string): string {
  return execFileSync('chroot', [root, '/bin/sh', '-c', command], { encoding: 'utf8' })
}
