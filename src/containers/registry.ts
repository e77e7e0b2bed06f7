/**
 * All containers: by id, id prefix and name, in memory and in the database. A record is replaced whole; a reader
 * keeps the one it took. Names are reserved before the row exists, so that two creates cannot take the same.
 */
import type { Log } from '../lib/log.ts'
import { EngineError } from '../spec/errors.ts'
import type { ContainerId } from '../spec/ids.ts'
import { textColumn, type Database } from '../store/database.ts'
import { parkedValues } from '../store/parked-rows.ts'
import { Container } from './container.ts'
import { ContainerRecord, type ContainerStateRecord } from './record.ts'

/** See the file's head. */
export class ContainerRegistry {
  readonly #database: Database
  readonly #log: Log
  readonly #byId = new Map<string, Container>()
  readonly #idByName = new Map<string, string>()

  constructor(database: Database, log: Log) {
    this.#database = database
    this.#log = log
  }

  /** Reads all rows. A row that does not parse is left alone and logged: a newer release may know it. */
  load(): void {
    for (const row of this.#database.all('SELECT id, record FROM containers ORDER BY created_ns')) {
      const parsed = ContainerRecord.safeParse(parseJson(row['record']))
      if (!parsed.success) {
        this.#log.error('container row unreadable', { id: row['id'], error: parsed.error.message })
        continue
      }
      this.#byId.set(parsed.data.id, new Container(parsed.data))
      this.#idByName.set(parsed.data.name, parsed.data.id)
    }
  }

  /** Ids of all rows, also of those that could not be read and of those put aside. */
  rowIds(): Set<string> {
    const rows = this.#database.all('SELECT id FROM containers').map((row) => textColumn(row, 'id'))
    return new Set([...rows, ...this.parkedIds()])
  }

  /** Containers on other storage drivers: not shown and not managed, and theirs must stay theirs. */
  parked(): ContainerRecord[] {
    return parkedValues(this.#database, 'containers', 'record').flatMap((text) => {
      const parsed = ContainerRecord.safeParse(parseJson(text))
      return parsed.success ? [parsed.data] : []
    })
  }

  /** Whether there is a container of this id, on whatever storage driver, or one is being made. */
  isKnown(id: string): boolean {
    return this.#byId.has(id) || [...this.#idByName.values()].includes(id) || this.parkedIds().includes(id)
  }

  /** Ids of containers on other storage drivers. */
  parkedIds(): string[] {
    return parkedValues(this.#database, 'containers', 'id')
  }

  /** In order of creation. */
  all(): Container[] {
    return [...this.#byId.values()]
  }

  /** By full id. */
  byId(id: string): Container | undefined {
    return this.#byId.get(id)
  }

  /** By id, name or unambiguous id prefix. Throws notFound or invalid. */
  get(reference: string): Container {
    const found = this.find(reference)
    if (found === undefined) throw new EngineError('notFound', `No such container: ${reference}`)
    return found
  }

  /** As `get`, undefined for none. Throws for an empty or ambiguous reference. */
  find(reference: string): Container | undefined {
    if (reference === '') throw new EngineError('invalid', 'invalid name or ID supplied: ""')
    const exact = this.#byId.get(reference) ?? this.#byName(reference)
    if (exact !== undefined) return exact
    let found: Container | undefined
    for (const [id, container] of this.#byId) {
      if (!id.startsWith(reference)) continue
      if (found !== undefined) {
        throw new EngineError('invalid', `multiple IDs found with provided prefix: ${reference}`)
      }
      found = container
    }
    return found
  }

  #byName(reference: string): Container | undefined {
    const name = reference.startsWith('/') ? reference.slice(1) : reference
    const direct = this.#byId.get(this.#idByName.get(name) ?? '')
    if (direct !== undefined || !name.includes('/')) return direct
    // A link's name: `parent/alias` is another name of the linked container.
    const [parentName = '', alias = ''] = name.split('/')
    const parent = this.#byId.get(this.#idByName.get(parentName) ?? '')
    const link = parent?.record.links.find((entry) => entry.alias === alias)
    return link === undefined ? undefined : this.#byId.get(link.id)
  }

  /** Whether a name is in use or reserved. */
  isNameTaken(name: string): boolean {
    return this.#idByName.has(name)
  }

  /** Takes a name for an id. Throws conflict. Disposing gives it back unless the container has been added. */
  reserveName(name: string, id: string): Disposable {
    const owner = this.#idByName.get(name)
    if (owner !== undefined && owner !== id) {
      throw new EngineError(
        'conflict',
        `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
      )
    }
    this.#idByName.set(name, id)
    return {
      [Symbol.dispose]: () => {
        const kept = this.#byId.get(id)?.record.name === name
        if (!kept && this.#idByName.get(name) === id) this.#idByName.delete(name)
      },
    }
  }

  /** The commit point of a create: inserts the row, then shows the container. */
  add(record: ContainerRecord, createdNs: bigint): Container {
    const sql = 'INSERT INTO containers (id, name, created_ns, record) VALUES (?, ?, ?, ?)'
    const values = [record.id, record.name, createdNs, JSON.stringify(record)] as const
    if (record.hostConfig.AutoRemove) this.#database.runRelaxed(sql, ...values)
    else this.#database.run(sql, ...values)
    const container = new Container(record)
    this.#byId.set(record.id, container)
    this.#idByName.set(record.name, record.id)
    return container
  }

  /** Replaces the record and writes it. Durable where a reboot would act on it: see `mustSurvivePowerCut`. */
  save(container: Container, change: Partial<Omit<ContainerRecord, 'id'>>): ContainerRecord {
    const before = container.record
    const record: ContainerRecord = { ...before, ...change }
    this.#write(record, mustSurvivePowerCut(before, record))
    container.record = record
    if (record.name !== before.name) {
      this.#idByName.set(record.name, record.id)
      this.#idByName.delete(before.name)
    }
    return record
  }

  /** `save` for fields of the state. */
  saveState(
    container: Container,
    change: Partial<ContainerStateRecord>,
    rest: Partial<Omit<ContainerRecord, 'id' | 'state'>> = {},
  ): ContainerRecord {
    return this.save(container, { ...rest, state: { ...container.state, ...change } })
  }

  /** Writes the record as it is, durably. */
  rewrite({ record }: Container): void {
    this.#write(record, true)
  }

  #write(record: ContainerRecord, isDurable: boolean): void {
    const sql = 'UPDATE containers SET name = ?, record = ? WHERE id = ?'
    const values = [record.name, JSON.stringify(record), record.id] as const
    if (isDurable) this.#database.run(sql, ...values)
    else this.#database.runRelaxed(sql, ...values)
  }

  /** `saveState` in memory only, for what is not worth a write (health results). */
  remember(
    container: Container,
    change: Partial<ContainerStateRecord>,
    rest: Partial<Omit<ContainerRecord, 'id' | 'name' | 'state'>> = {},
  ): void {
    container.record = { ...container.record, ...rest, state: { ...container.state, ...change } }
  }

  /** The commit point of a removal: deletes the row and frees the name. */
  delete(id: ContainerId): void {
    const container = this.#byId.get(id)
    if (container === undefined) return
    const sql = 'DELETE FROM containers WHERE id = ?'
    if (container.record.hostConfig.AutoRemove) this.#database.runRelaxed(sql, id)
    else this.#database.run(sql, id)
    this.#byId.delete(id)
    if (this.#idByName.get(container.record.name) === id) this.#idByName.delete(container.record.name)
  }
}

/**
 * A power cut ends every container, so its running state need not be on disk. What does: settings a client changed,
 * and what a restart policy asks about at the next boot. A container that removes itself leaves nothing to ask about.
 */
function mustSurvivePowerCut(before: ContainerRecord, after: ContainerRecord): boolean {
  if (after.hostConfig.AutoRemove) return false
  if (before.name !== after.name || before.hostConfig !== after.hostConfig) return true
  if (before.networks !== after.networks || before.links !== after.links) return true
  if (after.state.removing !== before.state.removing || after.state.dead !== before.state.dead) return true
  const policy = after.hostConfig.RestartPolicy.Name
  if (policy === '' || policy === 'no') return false
  return before.manuallyStopped !== after.manuallyStopped || before.startedBefore !== after.startedBefore
}

function parseJson(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined
  } catch (error) {
    // Unreadable JSON fails the schema, with a message that names the row.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
