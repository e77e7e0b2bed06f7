/**
 * The engine's durable state: one SQLite file in WAL mode, synced at every commit, so that what the API
 * acknowledged survives a power cut. Domain folders keep documents: a row has the columns that are searched for,
 * and the whole record as JSON. Access is synchronous; a transaction takes well under a millisecond, and a flush of
 * the disk beside it where it must survive a power cut.
 */
import { chmodSync, closeSync, constants, existsSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { migrations } from './migrations.ts'

/** A row as SQLite returns it. */
export type Row = Record<string, SQLInputValue>

/** An open database. Close it by disposing. */
export class Database implements Disposable {
  readonly #sqlite: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #path: string
  #depth = 0
  #synced = true

  /** Opens or creates the file (`:memory:` for tests) and migrates it to the newest of `steps`. */
  constructor(path: string, steps: readonly string[] = migrations) {
    this.#path = path
    if (path !== ':memory:') keepToOwner(path)
    this.#sqlite = new DatabaseSync(path)
    this.#sqlite.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;',
    )
    this.#migrate(steps)
  }

  /** Runs `work` in one transaction: all or nothing. Nested calls join the outer one. Synchronous on purpose. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work()
    this.#sync(true)
    return this.#transaction(work)
  }

  /** `transaction`, as durable as `runRelaxed`; `flush` makes it survive a power cut. */
  transactionRelaxed<T>(work: () => T): T {
    if (this.#depth > 0) return work()
    this.#sync(false)
    return this.#transaction(work)
  }

  /** Brings all that was committed to the disk, on another thread. */
  async flush(): Promise<void> {
    if (this.#path === ':memory:') return
    await using log = await open(`${this.#path}-wal`, constants.O_RDONLY)
    await log.datasync()
  }

  #transaction<T>(work: () => T): T {
    this.#sqlite.exec('BEGIN IMMEDIATE')
    this.#depth += 1
    try {
      const result = work()
      this.#sqlite.exec('COMMIT')
      return result
    } catch (error) {
      // A full disk has SQLite roll back by itself.
      if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK')
      throw error
    } finally {
      this.#depth -= 1
    }
  }

  /** Runs a statement; answers how many rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    if (this.#depth === 0) this.#sync(true)
    return this.#run(sql, values)
  }

  /**
   * Runs one statement without waiting for the disk: it survives the death of the process, not a power cut. For
   * facts that a reboot undoes anyway. Inside a transaction it is as durable as the transaction.
   */
  runRelaxed(sql: string, ...values: SQLInputValue[]): number {
    if (this.#depth === 0) this.#sync(false)
    return this.#run(sql, values)
  }

  #run(sql: string, values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes)
  }

  /** Whether the next commit waits for the disk. */
  #sync(wanted: boolean): void {
    if (wanted === this.#synced) return
    this.#sqlite.exec(`PRAGMA synchronous = ${wanted ? 'FULL' : 'NORMAL'}`)
    this.#synced = wanted
  }

  /** First row, or undefined. */
  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values)
  }

  /** All rows. */
  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values)
  }

  /** What SQLite finds wrong with the file: damage, and rows that refer to rows that are not there. */
  problems(): string[] {
    const damage = this.all('PRAGMA integrity_check').map((row) => textColumn(row, 'integrity_check'))
    const dangling = this.all('PRAGMA foreign_key_check').map(
      (row) => `a row of ${textColumn(row, 'table')} refers to none of ${textColumn(row, 'parent')}`,
    )
    return [...damage.filter((line) => line !== 'ok'), ...dangling]
  }

  [Symbol.dispose](): void {
    this.#statements.clear()
    this.#sqlite.close()
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#sqlite.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #migrate(steps: readonly string[]): void {
    const version = Number(this.#sqlite.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
    if (version > steps.length) {
      throw new Error(`database has schema ${version}, this release knows ${steps.length}: it is newer`)
    }
    for (let next = version; next < steps.length; next++) {
      const sql = steps[next]
      if (sql === undefined) continue
      this.transaction(() => {
        this.#sqlite.exec(sql)
        this.#sqlite.exec(`PRAGMA user_version = ${next + 1}`)
      })
    }
  }
}

/** A TEXT column of a row; empty where it is null. */
export function textColumn(row: Row | undefined, column: string): string {
  const value = row?.[column]
  return typeof value === 'string' ? value : ''
}

/** What containers are told in confidence stands in it. SQLite gives its other files the mode of this one. */
function keepToOwner(path: string): void {
  closeSync(openSync(path, 'a', 0o600))
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600)
}
