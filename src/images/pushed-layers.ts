/**
 * What layers are when they are compressed for a registry: by this a second push knows that a layer is there without
 * compressing it again. Only a hint: what it names is looked for in the registry before it counts.
 */
import type { Blob } from '../content/content-store.ts'
import { digest, isDigest, type DiffId } from '../spec/ids.ts'
import { textColumn, type Database } from '../store/database.ts'

/** See the file's head. */
export class PushedLayers {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  get(id: DiffId): Blob | undefined {
    const text = textColumn(
      this.#database.get('SELECT value FROM settings WHERE key = ?', keyOf(id)),
      'value',
    )
    const [found = '', size = ''] = text.split(' ')
    return isDigest(found) ? { digest: digest(found), size: Number(size) } : undefined
  }

  note(id: DiffId, blob: Blob): void {
    this.#database.runRelaxed(
      'INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      keyOf(id),
      `${blob.digest} ${blob.size}`,
    )
  }
}

function keyOf(id: DiffId): string {
  return `pushed-layer:${id}`
}
