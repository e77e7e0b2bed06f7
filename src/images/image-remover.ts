/**
 * `DELETE /images/{name}` and `POST /images/prune`: which names go, which conflicts forbid it, and the order of the
 * answer's lines are Docker's (moby daemon/images/image_delete.go and image_prune.go).
 */
import type { Clock } from '../lib/clock.ts'
import { EngineError } from '../spec/errors.ts'
import type { Digest } from '../spec/ids.ts'
import type { ImageDeleted, Platform } from '../spec/image-types.ts'
import { booleanFilter, checkFilterNames, labelFilter, untilFilter, type Filters } from './image-filters.ts'
import type { ImageRecord, Target } from './image-record.ts'
import type { ImageUser } from './image-service.ts'
import type { ImageStore } from './image-store.ts'
import { familiarText, parseReference, withDefaultTag, type Reference } from './reference.ts'

/** What removal stands on. */
export type RemoverOptions = {
  images: ImageStore
  clock: Clock
  usersOf: (id: Digest) => readonly ImageUser[]
  onUntag: (image: ImageRecord) => void
  onDelete: (image: ImageRecord) => void
}

/** Bytes of the layers that went, with what is answered. */
export type Removal = {
  records: ImageDeleted[]
  bytes: number
  /** What the names that went stood for. */
  targets: Target[]
}

/** How an image is removed. */
export type RemoveOptions = { force: boolean; noPrune: boolean; platforms?: readonly Platform[] }

type Conflict = { hard: boolean; used: boolean; error: EngineError }
type Mask = { references: boolean; stopped: boolean }

const pruneFilters = ['dangling', 'label', 'label!', 'until']

/** See the file's head. */
export class ImageRemover {
  readonly #options: RemoverOptions
  #pruning = false

  constructor(options: RemoverOptions) {
    this.#options = options
  }

  /** Removes a name, and the image with its last one. Throws notFound and conflict. */
  async remove(name: string, options: RemoveOptions): Promise<Removal> {
    const removal: Removal = { records: [], bytes: 0, targets: [] }
    if ((options.platforms ?? []).length > 0) await this.#removePlatforms(name, options, removal)
    else await this.#remove(name, options, removal)
    await this.#release(options, removal)
    return removal
  }

  async #remove(name: string, options: RemoveOptions, removal: Removal): Promise<void> {
    const { images } = this.#options
    const { image } = images.find(name)
    const references = images.referencesOf(image.id)
    const byId = image.id.startsWith(name) || image.id.startsWith(name, image.id.indexOf(':') + 1)
    if (!byId) {
      if (!options.force && isSingle(references)) this.#refuseWhileUsed(name, image)
      this.#untagNamed(withDefaultTag(parseReference(name)), image, removal)
      if (images.referencesOf(image.id).length > 0) return
    } else if (isSingle(references)) {
      const conflict = this.#conflict(image, { references: false, stopped: !options.force })
      if (conflict !== undefined) throw conflict.error
      this.#untag(image, references, removal)
    }
    await this.#delete(image, { ...options, quiet: !byId }, removal)
  }

  /** Of an image of several platforms those that are asked for; its names stay while any is left. */
  async #removePlatforms(name: string, options: RemoveOptions, removal: Removal): Promise<void> {
    const { images } = this.#options
    const chosen = new Set((options.platforms ?? []).map((platform) => images.findFor(name, platform).image))
    const { image, target } = images.findFor(name, undefined)
    const members = images.members(target)
    if (members.every((member) => chosen.has(member))) {
      if (members.length > 0 || chosen.has(image)) return this.#remove(name, options, removal)
    }
    for (const one of chosen) {
      const conflict = this.#conflict(one, { references: false, stopped: !options.force })
      if (conflict !== undefined) throw conflict.error
      images.detach(one)
      await this.#delete(one, { ...options, quiet: false }, removal)
    }
  }

  /** What indexes held that no name stands for any more goes too. */
  async #release({ force }: RemoveOptions, removal: Removal): Promise<void> {
    const { images } = this.#options
    const members = removal.targets.flatMap((target) => images.members(target))
    const held = images.held()
    for (const image of new Set(members)) {
      if (held.has(image.id) || images.get(image.id) === undefined) continue
      if (images.referencesOf(image.id).length > 0) continue
      await this.#delete(image, { force, noPrune: false, quiet: true }, removal)
    }
    await images.collectTargets(removal.targets)
  }

  /** Removes what no container uses: images without a tag, or with `dangling=false` all. */
  async prune(filters: Filters): Promise<Removal> {
    checkFilterNames(filters, pruneFilters)
    const danglingOnly = booleanFilter(filters, 'dangling') ?? true
    const tests = [labelFilter(filters), untilFilter(filters, this.#options.clock)]
    if (this.#pruning) throw new EngineError('conflict', 'a prune operation is already running')
    this.#pruning = true
    try {
      const total: Removal = { records: [], bytes: 0, targets: [] }
      for (const image of this.#options.images.all()) {
        if (!tests.every((test) => test(image))) continue
        await this.#pruneOne(image, danglingOnly, total)
      }
      return total
    } finally {
      this.#pruning = false
    }
  }

  async #pruneOne(image: ImageRecord, danglingOnly: boolean, total: Removal): Promise<void> {
    const { images } = this.#options
    const references = images.referencesOf(image.id)
    if (references.length === 0) {
      if (images.childrenOf(image.id).length > 0 || images.held().has(image.id)) return
    }
    if (danglingOnly && references.some((reference) => reference.digest === undefined)) return
    const names = references.length === 0 ? [image.id] : references.map(familiarText)
    for (const name of names) {
      // Gone already as the parent of another, or with another of its names.
      if (images.get(image.id) === undefined) return
      try {
        const { records, bytes } = await this.remove(name, { force: false, noPrune: false })
        total.records.push(...records)
        total.bytes += bytes
      } catch (error) {
        if (!(error instanceof EngineError) || (error.kind !== 'conflict' && error.kind !== 'notFound'))
          throw error
      }
    }
  }

  #refuseWhileUsed(name: string, image: ImageRecord): void {
    const { images, usersOf } = this.#options
    const members = images.members(images.findFor(name, undefined).target)
    const [user] = [image, ...members].flatMap((one) => usersOf(one.id))
    if (user === undefined) return
    throw new EngineError(
      'conflict',
      `conflict: unable to remove repository reference ${JSON.stringify(name)} (must force) - container ${short(user.id)} is using its referenced image ${short(image.id)}`,
    )
  }

  /** Takes the one name away, and with a repository's last tag its names by digest. */
  #untagNamed(reference: Reference, image: ImageRecord, removal: Removal): void {
    this.#untag(image, [reference], removal)
    if (reference.digest !== undefined) return
    const left = this.#options.images
      .referencesOf(image.id)
      .filter((other) => other.repository === reference.repository)
    if (left.some((other) => other.digest === undefined)) return
    this.#noteTargets(left, removal)
    this.#options.images.untag(left)
    for (const other of left) removal.records.push({ Untagged: familiarText(other) })
  }

  #untag(image: ImageRecord, references: readonly Reference[], removal: Removal): void {
    this.#noteTargets(references, removal)
    this.#options.images.untag(references)
    for (const reference of references) {
      this.#options.onUntag(image)
      removal.records.push({ Untagged: familiarText(reference) })
    }
  }

  #noteTargets(references: readonly Reference[], removal: Removal): void {
    removal.targets.push(...references.flatMap((name) => this.#options.images.targetOf(name) ?? []))
  }

  async #delete(
    image: ImageRecord,
    options: { force: boolean; noPrune: boolean; quiet: boolean },
    removal: Removal,
  ): Promise<void> {
    const { images, onDelete } = this.#options
    const conflict = this.#conflict(image, { references: !options.force, stopped: !options.force })
    if (conflict !== undefined) {
      const isDangling =
        images.referencesOf(image.id).length === 0 && images.childrenOf(image.id).length === 0
      if (options.quiet && (!isDangling || conflict.used)) return
      throw conflict.error
    }
    this.#untag(image, images.referencesOf(image.id), removal)
    const layers = await images.delete(image.id)
    onDelete(image)
    removal.records.push({ Deleted: image.id })
    for (const layer of layers) {
      removal.records.push({ Deleted: layer.chainId })
      removal.bytes += layer.size
    }
    const parent = image.parent === undefined ? undefined : images.get(image.parent)
    if (options.noPrune || parent === undefined) return
    await this.#delete(parent, { force: false, noPrune: false, quiet: true }, removal)
  }

  #conflict(image: ImageRecord, mask: Mask): Conflict | undefined {
    const { images, usersOf } = this.#options
    const users = usersOf(image.id)
    const running = users.find((user) => user.running)
    const stopped = users.find((user) => !user.running)
    if (images.childrenOf(image.id).length > 0) {
      return conflictOf(image, { hard: true, used: false }, 'image has dependent child images')
    }
    if (running !== undefined) {
      const text = `image is being used by running container ${short(running.id)}`
      return conflictOf(image, { hard: true, used: true }, text)
    }
    if (mask.references && images.referencesOf(image.id).length > 0) {
      return conflictOf(image, { hard: false, used: false }, 'image is referenced in multiple repositories')
    }
    if (mask.stopped && stopped !== undefined) {
      const text = `image is being used by stopped container ${short(stopped.id)}`
      return conflictOf(image, { hard: false, used: true }, text)
    }
    return undefined
  }
}

function conflictOf(image: ImageRecord, flags: { hard: boolean; used: boolean }, text: string): Conflict {
  const force = flags.hard ? 'cannot be forced' : 'must be forced'
  const message = `conflict: unable to delete ${short(image.id)} (${force}) - ${text}`
  return { ...flags, error: new EngineError('conflict', message) }
}

/** Twelve digits of an id, as Docker shortens it. */
function short(id: string): string {
  return id.slice(id.indexOf(':') + 1).slice(0, 12)
}

/** Whether all names are of one repository and at most one of them is a tag; false without names. */
function isSingle(references: readonly Reference[]): boolean {
  if (references.length <= 1) return references.length === 1
  const tags = references.filter((reference) => reference.digest === undefined)
  if (tags.length > 1) return false
  const digested = new Set(
    references.filter((reference) => reference.digest !== undefined).map((reference) => reference.repository),
  )
  const single = tags[0] ?? references[0]
  return digested.size === 1 && single !== undefined && digested.has(single.repository)
}
