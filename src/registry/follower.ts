/**
 * How the index follows what other processes change in a shared bucket: it reads which paths changed, looks at each
 * in the tree, and takes over what it finds. What this process has changed itself meanwhile is looked at again the
 * next time. Nothing runs by itself: who is about to answer asks for an index that is fresh enough.
 */
import { eachLimited } from '../lib/each-limited.ts'
import { isDigest, type Digest } from '../spec/ids.ts'
import { parseCard, type Cards } from './cards.ts'
import type { ChangeLog } from './change-log.ts'
import type { Clock } from '../lib/clock.ts'
import type { Journal } from './journal.ts'
import { addManifest, readRepository, readStars, storeRepository } from './rebuild.ts'
import type { RegistryIndex } from './registry-index.ts'
import type { StorageDriver } from './storage-driver.ts'
import {
  blobPath,
  cardPath,
  layerLinkPath,
  parseTreePath,
  revisionLinkPath,
  tagLinkPath,
  type TreeItem,
} from './tree.ts'

/** What a follower works on. */
export type FollowerParts = {
  index: RegistryIndex
  driver: StorageDriver
  journal: Journal
  cards: Cards
  changes: ChangeLog
  clock: Clock
}

const readsAtOnce = 16

/** Takes over what was found of an item; in a transaction. */
type Update = () => void

/** See the file's head. */
export class Follower {
  readonly #parts: FollowerParts
  readonly #maxAgeMs: number
  // Paths that this process changed while it looked at them.
  #again: string[] = []
  #beganMs = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(parts: FollowerParts, maxAgeMs: number) {
    this.#parts = parts
    this.#maxAgeMs = maxAgeMs
  }

  /** Has paths looked at in the tree the next time. */
  lookAgain(paths: readonly string[]): void {
    this.#again.push(...paths)
    this.#beganMs = Number.NEGATIVE_INFINITY
  }

  /** Resolves when the index is as fresh as answers have to be. */
  async recent(): Promise<void> {
    if (performance.now() - this.#beganMs > this.#maxAgeMs) await this.now()
  }

  /** Resolves when the index has all that was told before the call. */
  async now(): Promise<void> {
    this.#next ??= this.#after(this.#running)
    return this.#next
  }

  async #after(before: Promise<void> | undefined): Promise<void> {
    // Those who ask while it runs need one that begins later; they share it.
    await before?.catch(() => {})
    this.#next = undefined
    this.#running = this.#follow()
    await this.#running
  }

  async #follow(): Promise<void> {
    const { journal, index, changes } = this.#parts
    const beganMs = performance.now()
    const { paths, done } = await changes.changes()
    const items = new Map<string, TreeItem>()
    const earlier = this.#again
    for (const path of [...earlier, ...paths]) {
      const item = parseTreePath(path)
      if (item !== undefined) items.set(item.path, item)
    }
    using tracker = journal.track()
    const updates = new Map<TreeItem, Update>()
    await eachLimited(items.values(), readsAtOnce, async (item) => {
      updates.set(item, await this.#look(item))
    })
    const again: string[] = []
    index.database.transaction(() => {
      // Blobs before the manifests that need them, manifests before tags.
      for (const item of [...items.values()].sort((left, right) => order[left.kind] - order[right.kind])) {
        if (tracker.touches(item.path))
          again.push(item.kind === 'repository' ? `${item.path}/_manifests` : item.path)
        else updates.get(item)?.()
      }
      done()
    })
    // What was asked for meanwhile has yet to be looked at.
    this.#again = [...again, ...this.#again.slice(earlier.length)]
    this.#beganMs = beganMs
  }

  async #look(item: TreeItem): Promise<Update> {
    const { driver, index, cards } = this.#parts
    if (item.kind === 'layer') return await this.#lookAtLayer(item.repository, item.digest)
    if (item.kind === 'manifest') return await this.#lookAtManifest(item.repository, item.digest)
    if (item.kind === 'tag') return await this.#lookAtTag(item.repository, item.tag)
    if (item.kind === 'card') {
      const card = parseCard((await driver.read(cardPath(item.repository))) ?? Buffer.alloc(0))
      return () => {
        if (card !== undefined) cards.set(this.#repository(item.repository), card)
      }
    }
    if (item.kind === 'stars') {
      const users = await readStars(driver, item.repository)
      return () => cards.setStars(this.#repository(item.repository), users)
    }
    if (item.kind === 'blob') {
      const isGone = (await driver.size(blobPath(item.digest))) === undefined
      return () => {
        if (isGone) index.dropBlob(item.digest)
      }
    }
    const read = await readRepository(driver, item.repository)
    return () => storeRepository(this.#parts, read)
  }

  async #lookAtLayer(repository: string, digest: Digest): Promise<Update> {
    const { driver, index } = this.#parts
    const isLinked = (await driver.size(layerLinkPath(repository, digest))) !== undefined
    const size = isLinked ? (index.blobSize(digest) ?? (await driver.size(blobPath(digest)))) : undefined
    return () => {
      const id = this.#repository(repository)
      if (size === undefined) index.unlinkBlob(id, digest)
      else index.linkBlob(id, digest, size, this.#parts.clock.nowMs())
    }
  }

  async #lookAtManifest(repository: string, digest: Digest): Promise<Update> {
    const { driver, index } = this.#parts
    const isLinked = (await driver.size(revisionLinkPath(repository, digest))) !== undefined
    const content = isLinked
      ? (index.manifestContent(digest) ?? (await driver.read(blobPath(digest))))
      : undefined
    return () => {
      const id = this.#repository(repository)
      if (content === undefined) index.deleteManifest(id, digest)
      else addManifest(this.#parts, id, { digest, content })
    }
  }

  async #lookAtTag(repository: string, name: string): Promise<Update> {
    const { driver, index, clock } = this.#parts
    const digest = (await driver.read(tagLinkPath(repository, name)))?.toString().trim() ?? ''
    const manifest = isDigest(digest) ? await this.#lookAtManifest(repository, digest) : undefined
    return () => {
      const id = this.#repository(repository)
      manifest?.()
      if (isDigest(digest) && index.manifest(id, digest) !== undefined) {
        index.setTag(id, { name, digest }, clock.nowMs())
      } else index.deleteTag(id, name)
    }
  }

  #repository(name: string): number {
    return this.#parts.index.ensureRepository(name, this.#parts.clock.nowMs())
  }
}

const order: Readonly<Record<TreeItem['kind'], number>> = {
  repository: 0,
  blob: 1,
  layer: 2,
  manifest: 3,
  tag: 4,
  card: 5,
  stars: 6,
}
