/**
 * What people say of repositories, as search and the page show it: description, marks of trust, stars. Kept in the
 * index, and in small files beside the repository's own, from which the index can be built anew.
 */
import { z } from 'zod'
import { textColumn, type Row } from '../store/database.ts'
import { RegistryError } from './errors.ts'
import type { Journal } from './journal.ts'
import type { RegistryIndex } from './registry-index.ts'
import { cardPath, starPath } from './tree.ts'

/** A repository as search shows it. */
export type RepositoryCard = {
  name: string
  description: string
  stars: number
  official: boolean
  automated: boolean
}

/** The longest description, in characters. */
const longestDescription = 1000

/** What can be said of a repository; what is absent stays as it was. */
const cardChangeSchema = z.strictObject({
  description: z.string().max(longestDescription).optional(),
  official: z.boolean().optional(),
  automated: z.boolean().optional(),
})
type CardChange = z.infer<typeof cardChangeSchema>

const columns = 'name, description, stars, official, automated'

/** See the file's head. */
export class Cards {
  readonly #index: RegistryIndex
  readonly #journal: Journal

  constructor(index: RegistryIndex, journal: Journal) {
    this.#index = index
    this.#journal = journal
  }

  /** Repositories whose name or description has the word; the starred first. */
  search(term: string, limit: number): RepositoryCard[] {
    const like = `%${term.replace(/[\\%_]/g, String.raw`\$&`)}%`
    return this.#index.database
      .all(
        String.raw`SELECT ${columns} FROM repositories
         WHERE name LIKE ? ESCAPE '\' OR description LIKE ? ESCAPE '\' ORDER BY stars DESC, name LIMIT ?`,
        like,
        like,
        limit,
      )
      .map(cardOf)
  }

  /** One repository's card, and whether the user has starred it. Throws NAME_UNKNOWN. */
  card(repository: string, user: string): RepositoryCard & { starred: boolean } {
    const { database } = this.#index
    const id = this.#id(repository)
    const row = database.get(`SELECT ${columns} FROM repositories WHERE id = ?`, id)
    const starred =
      user !== '' &&
      database.get('SELECT 1 FROM stars WHERE repository = ? AND user = ?', id, user) !== undefined
    return { ...cardOf(row), starred }
  }

  /** Changes what is said of a repository. Throws NAME_UNKNOWN. */
  async change(repository: string, change: CardChange): Promise<void> {
    await this.#journal.commit(() => {
      this.set(this.#id(repository), change)
      const { description, official, automated } = this.card(repository, '')
      this.#journal.write(cardPath(repository), JSON.stringify({ description, official, automated }))
    })
  }

  /** Gives a user's star, or takes it back; either may be done again. Throws NAME_UNKNOWN. */
  async star(repository: string, user: string, isGiven: boolean): Promise<void> {
    await this.#journal.commit(() => {
      this.setStar(this.#id(repository), user, isGiven)
      const path = starPath(repository, user)
      if (isGiven) this.#journal.write(path, user)
      else this.#journal.remove(path)
    })
  }

  /** Changes the index alone. In a transaction. */
  set(repository: number, { description, official, automated }: CardChange): void {
    this.#index.database.run(
      `UPDATE repositories SET description = coalesce(?, description), official = coalesce(?, official),
       automated = coalesce(?, automated) WHERE id = ?`,
      description ?? null,
      official === undefined ? null : Number(official),
      automated === undefined ? null : Number(automated),
      repository,
    )
  }

  /** Changes the index alone. In a transaction. */
  setStar(repository: number, user: string, isGiven: boolean): void {
    const { database } = this.#index
    if (isGiven) database.run('INSERT OR IGNORE INTO stars VALUES (?, ?)', repository, user)
    else database.run('DELETE FROM stars WHERE repository = ? AND user = ?', repository, user)
    database.run(
      'UPDATE repositories SET stars = (SELECT count(*) FROM stars WHERE repository = id) WHERE id = ?',
      repository,
    )
  }

  /** Changes the index alone, to these users' stars and no others. In a transaction. */
  setStars(repository: number, users: readonly string[]): void {
    this.#index.database.run('DELETE FROM stars WHERE repository = ?', repository)
    for (const user of users) this.setStar(repository, user, true)
    if (users.length === 0) {
      this.#index.database.run('UPDATE repositories SET stars = 0 WHERE id = ?', repository)
    }
  }

  #id(repository: string): number {
    const id = this.#index.repositoryId(repository)
    if (id === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
    return id
  }
}

/** Reads a card's bytes, from a client or the tree; undefined for what is none. */
export function parseCard(bytes: Buffer): CardChange | undefined {
  try {
    return cardChangeSchema.parse(JSON.parse(bytes.toString()))
  } catch {
    // Not JSON, or not a card: the caller says what that means.
    return undefined
  }
}

function cardOf(row: Row | undefined): RepositoryCard {
  return {
    name: textColumn(row, 'name'),
    description: textColumn(row, 'description'),
    stars: Number(row?.['stars'] ?? 0),
    official: row?.['official'] === 1,
    automated: row?.['automated'] === 1,
  }
}
