/** Volumes as the database keeps them: a row each, with the containers that hold it. */
import { z } from 'zod'
import type { Database, Row } from '../store/database.ts'

const record = z.object({
  name: z.string(),
  driver: z.string(),
  options: z.record(z.string(), z.string()).nullable(),
  labels: z.record(z.string(), z.string()).nullable(),
  /** RFC 3339. */
  createdAt: z.string(),
  /** Containers that mount it, running or not. */
  holders: z.array(
    z.object({
      container: z.string(),
      /** Destinations whose image content is still to be copied in, at the container's first start. */
      copyUp: z.array(z.string()),
    }),
  ),
})

/** See the file's head. */
export type VolumeRecord = z.infer<typeof record>

/** The rows. Synchronous; changes go through `update`, which reads and writes in one transaction. */
export class VolumeRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  get(name: string): VolumeRecord | undefined {
    const row = this.#database.get('SELECT record FROM volumes WHERE name = ?', name)
    return row === undefined ? undefined : decode(row)
  }

  all(): VolumeRecord[] {
    return this.#database.all('SELECT record FROM volumes ORDER BY name').map(decode)
  }

  insert(volume: VolumeRecord): void {
    this.#database.run(
      'INSERT INTO volumes (name, record) VALUES (?, ?)',
      volume.name,
      JSON.stringify(volume),
    )
  }

  /** Replaces the row by what `change` makes of it; undefined when there is none. */
  update(name: string, change: (volume: VolumeRecord) => VolumeRecord): VolumeRecord | undefined {
    return this.#database.transaction(() => {
      const before = this.get(name)
      if (before === undefined) return undefined
      const after = change(before)
      this.#database.run('UPDATE volumes SET record = ? WHERE name = ?', JSON.stringify(after), name)
      return after
    })
  }

  delete(name: string): void {
    this.#database.run('DELETE FROM volumes WHERE name = ?', name)
  }
}

function decode(row: Row): VolumeRecord {
  const text = row['record']
  if (typeof text !== 'string') throw new TypeError('volumes.record is no text')
  return record.parse(JSON.parse(text))
}
