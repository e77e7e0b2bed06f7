/**
 * How registries on one bucket tell each other what they changed. Each process appends records to a folder of its
 * own, named so that their order is that of their writing, after the tree has the changes and before the client is
 * answered; the others read what is new to them. A record says which paths changed, not what they became: whoever
 * reads it looks at the tree, so all come to what the tree says, in whichever order they read.
 *
 *     wharf/changes/PROCESS/TIME    {"paths": [...]}
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { eachLimited } from '../lib/each-limited.ts'
import { textColumn } from '../store/database.ts'
import type { RegistryIndex } from './registry-index.ts'
import type { StorageDriver } from './storage-driver.ts'

/** Paths that changed, and how to note that they have been dealt with; call `done` in a transaction. */
export type NewChanges = { paths: string[]; done: () => void }

const root = 'wharf/changes'
const readsAtOnce = 16
/** Records are kept so long; who has not read for half of it builds its index anew. */
const keptMs = 24 * 3_600_000

/** See the file's head. */
export class ChangeLog {
  readonly #driver: StorageDriver
  readonly #index: RegistryIndex
  readonly #clock: Clock
  readonly #process = randomUUID()
  // The last record of each process that has been dealt with.
  #read: Record<string, string>
  #last = 0

  constructor(driver: StorageDriver, index: RegistryIndex, clock: Clock) {
    this.#driver = driver
    this.#index = index
    this.#clock = clock
    this.#read = this.#stored()
  }

  /** Whether records may have gone before this process read them. */
  get isBehind(): boolean {
    const row = this.#index.database.get("SELECT value FROM settings WHERE key = 'followed'")
    return this.#clock.nowMs() - Number(textColumn(row, 'value')) > keptMs / 2
  }

  /** Tells the others that paths changed. */
  async append(paths: readonly string[]): Promise<void> {
    this.#last = Math.max(this.#last + 1, this.#clock.nowMs())
    const name = String(this.#last).padStart(15, '0')
    await this.#driver.write(`${root}/${this.#process}/${name}`, Buffer.from(JSON.stringify({ paths })))
  }

  /** What the others changed since the last time. */
  async changes(): Promise<NewChanges> {
    const read = { ...this.#read }
    const found = new Map<string, string[]>()
    const processes = (await this.#driver.list(root)).filter(({ name }) => name !== this.#process)
    await eachLimited(processes, readsAtOnce, async ({ name: process }) => {
      const names = (await this.#driver.list(`${root}/${process}`, read[process])).map(({ name }) => name)
      const last = names.sort().at(-1)
      if (last === undefined) return
      read[process] = last
      await eachLimited(names, readsAtOnce, async (name) => {
        found.set(`${process}/${name}`, await this.#paths(`${root}/${process}/${name}`))
      })
    })
    const paths = [...found].sort(([left], [right]) => (left < right ? -1 : 1)).flatMap(([, list]) => list)
    return { paths, done: () => this.#remember(read) }
  }

  /** Takes all that has been told for dealt with: before the index is built anew. */
  async skip(): Promise<void> {
    for (const { name: process } of await this.#driver.list(root)) {
      const names = await this.#driver.list(`${root}/${process}`)
      const last = names
        .map(({ name }) => name)
        .sort()
        .at(-1)
      if (last !== undefined) this.#read[process] = last
    }
    this.#index.database.transaction(() => this.#remember(this.#read))
  }

  /** Removes old records, of this and of other processes. */
  async trim(): Promise<void> {
    const before = String(this.#clock.nowMs() - keptMs).padStart(15, '0')
    for (const { name: process } of await this.#driver.list(root)) {
      const old = (await this.#driver.list(`${root}/${process}`)).filter(({ name }) => name < before)
      await eachLimited(old, readsAtOnce, ({ name }) => this.#driver.remove(`${root}/${process}/${name}`))
    }
  }

  async #paths(path: string): Promise<string[]> {
    // One that is gone was trimmed: too old to matter to who has followed in time.
    const text = (await this.#driver.read(path))?.toString() ?? '{}'
    const record: unknown = JSON.parse(text)
    if (typeof record !== 'object' || record === null || !('paths' in record)) return []
    const { paths } = record
    return Array.isArray(paths) ? paths.filter((entry) => typeof entry === 'string') : []
  }

  #remember(read: Record<string, string>): void {
    const isSame = JSON.stringify(read) === JSON.stringify(this.#read)
    this.#read = read
    const set = 'INSERT OR REPLACE INTO settings VALUES (?, ?)'
    this.#index.database.run(set, 'followed', String(this.#clock.nowMs()))
    if (!isSame) this.#index.database.run(set, 'changes', JSON.stringify(read))
  }

  #stored(): Record<string, string> {
    const row = this.#index.database.get("SELECT value FROM settings WHERE key = 'changes'")
    const value: unknown = JSON.parse(textColumn(row, 'value') || '{}')
    if (typeof value !== 'object' || value === null) return {}
    return Object.fromEntries(Object.entries(value).map(([process, name]) => [process, String(name)]))
  }
}
