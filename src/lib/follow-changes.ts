/** Waiting for something to happen in a directory. */
import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'

const pollMs = 100

/**
 * Remembers whether a directory changed since it was last asked. Where the kernel has no watch left to give
 * (fs.inotify.max_user_watches), it is taken to change ten times a second.
 */
export class DirectoryChanges implements Disposable {
  #changed = false
  #wake: (() => void) | undefined
  readonly #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined

  /** `onRename` is told of each name that a file there has got or lost, where the kernel watches. */
  constructor(directory: string, onRename?: (name: string) => void) {
    const note = () => this.notify()
    try {
      this.#watcher = watch(directory, { persistent: false }, (event, name) => {
        if (event === 'rename' && name !== null) onRename?.(name)
        note()
      })
      // The directory went: whoever follows finds that out when it looks.
      this.#watcher.on('error', note)
    } catch {
      this.#timer = setInterval(note, pollMs).unref()
    }
  }

  /** Forgets changes up to now: call before looking at the directory. */
  reset(): void {
    this.#changed = false
  }

  /** Counts as a change: for events from elsewhere that its waiter should look at. */
  notify(): void {
    this.#changed = true
    this.#wake?.()
  }

  /** Resolves at the first change since `reset`. One waiter at a time. */
  async next(): Promise<void> {
    if (this.#changed) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    await promise
    this.#wake = undefined
  }

  [Symbol.dispose](): void {
    this.#watcher?.close()
    clearInterval(this.#timer)
    this.#wake?.()
  }
}
