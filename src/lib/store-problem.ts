/** What a check of the durable state reports: see `wharf system check`. */

/** Something that is not as it should be. A check yields problems as it finds them and changes nothing. */
export type StoreProblem = {
  /**
   * `unowned`: on disk or in the kernel, and nobody needs it. `missing`: needed, and not there. `damaged`: there, and
   * not what it should be.
   */
  kind: 'unowned' | 'missing' | 'damaged'
  /** Digest, id, name or path. */
  object: string
  detail: string
  /** Puts it right. Absent where nothing that is at hand can. Looks again first: time has passed. */
  repair?: () => Promise<void>
  /** What a person can do where there is no repair. */
  advice?: string
}
