/**
 * Tags in the order that people expect: numbers by their value, 1.10 after 1.9, and a version before its variants.
 * The order of a repository that was looked at is kept until its tags change, so that a page of ten thousand costs
 * no sort.
 */
import type { Digest } from '../../spec/ids.ts'
import { digest as toDigest } from '../../spec/ids.ts'
import type { PageTagOrder } from '../../spec/registry-page.ts'
import { textColumn, type Database } from '../../store/database.ts'

/** A tag and what it names. */
export type TagEntry = { name: string; digest: Digest; updatedMs: number }

type Known = { version: string; byName: TagEntry[]; byTime?: TagEntry[] }

const mostKnown = 16

/** See the file's head. */
export class TagOrder {
  readonly #database: Database
  readonly #known = new Map<number, Known>()

  constructor(database: Database) {
    this.#database = database
  }

  /** All tags of a repository whose names have `part`, in order. */
  tags(repository: number, order: PageTagOrder, part: string): readonly TagEntry[] {
    const known = this.#current(repository)
    const isByTime = order.endsWith('updated')
    if (isByTime) known.byTime ??= known.byName.toSorted((left, right) => left.updatedMs - right.updatedMs)
    const ordered = (isByTime ? known.byTime : undefined) ?? known.byName
    const wanted = part.toLowerCase()
    const found = wanted === '' ? ordered : ordered.filter(({ name }) => name.toLowerCase().includes(wanted))
    return order.startsWith('-') ? found.toReversed() : found
  }

  #current(repository: number): Known {
    const version = this.#version(repository)
    const known = this.#known.get(repository)
    if (known?.version === version) return known
    const rows = this.#database.all(
      'SELECT name, digest, updated_ms FROM tags WHERE repository = ?',
      repository,
    )
    const keyed = rows.map((row) => {
      const name = textColumn(row, 'name')
      const entry = {
        name,
        digest: toDigest(textColumn(row, 'digest')),
        updatedMs: Number(row['updated_ms']),
      }
      return { key: naturalKey(name), entry }
    })
    keyed.sort((left, right) => (left.key < right.key ? -1 : 1))
    const fresh: Known = { version, byName: keyed.map(({ entry }) => entry) }
    // The one looked at longest ago goes.
    this.#known.delete(repository)
    this.#known.set(repository, fresh)
    const [oldest] = this.#known.keys()
    if (this.#known.size > mostKnown && oldest !== undefined) this.#known.delete(oldest)
    return fresh
  }

  #version(repository: number): string {
    const row = this.#database.get(
      'SELECT count(*) AS tags, max(updated_ms) AS newest, total(updated_ms) AS sum FROM tags WHERE repository = ?',
      repository,
    )
    return JSON.stringify(row)
  }
}

/** A text whose plain order is the natural order of names. Names that differ have different ones. */
export function naturalKey(name: string): string {
  const numbers = name.toLowerCase().replace(/\d+/g, (digits) => {
    const value = digits.replace(/^0+(?=\d)/, '')
    // How many digits there are comes first: of two numbers the longer one is the greater.
    return `${String.fromCharCode(value.length)}${value}`
  })
  // The end sorts before `.` and after `-` with anything behind it: 1.2-rc1, 1.2, 1.2.1.
  return `${numbers}-\u007F ${name}`
}
