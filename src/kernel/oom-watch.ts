/**
 * Hears when the kernel kills for memory in a cgroup. Version 2 changes `memory.events`, which inotify sees; version 1
 * signals an eventfd. Either only says "look": what has happened stands in the cgroup's files.
 */
import { closeSync, openSync, watch, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode } from '../spec/errors.ts'
import type { Cgroups } from './cgroups.ts'
import { DescriptorSignals } from './descriptor-signals.ts'

/** Version 1 signals before it kills: pauses between further looks. */
const furtherLooksMs = [0, 5, 20, 80, 320, 1280]

/** See the file's head. Disposing it ends all watches. */
export class OomWatcher implements Disposable {
  readonly #cgroups: Cgroups
  readonly #signals = new DescriptorSignals()

  constructor(cgroups: Cgroups) {
    this.#cgroups = cgroups
  }

  /**
   * Calls `listener` for a new kill (once for several at once), and when processes are halted because the kernel may
   * not kill. `counted`: kills of before the watch are known already. A cgroup that is gone is silent.
   */
  watch(path: string, options: { counted: boolean }, listener: () => void): OomWatch {
    const follow = (look: () => void) => this.#follow(path, look)
    return new OomWatch(this.#cgroups, path, { ...options, listener, follow })
  }

  [Symbol.dispose](): void {
    this.#signals[Symbol.dispose]()
  }

  #follow(path: string, look: () => void): Disposable | undefined {
    const file = this.#cgroups.oomFile(path)
    if (file === undefined) return undefined
    try {
      if (this.#cgroups.layout.mode !== 'v2') return this.#followV1(file, look)
      const watcher = watch(file, { persistent: false }, look)
      watcher.on('error', () => watcher.close())
      return { [Symbol.dispose]: () => watcher.close() }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  // Linux, admin-guide/cgroup-v1/memory.rst, "OOM Control": "<event_fd> <fd of memory.oom_control>".
  #followV1(file: string, look: () => void): Disposable {
    using descriptors = new DisposableStack()
    const open = (path: string, mode: string) => descriptors.adopt(openSync(path, mode), closeSync)
    const watched = open(file, 'r')
    const control = open(join(dirname(file), 'cgroup.event_control'), 'w')
    const signal = this.#signals.add(look)
    try {
      writeSync(control, `${signal.fd} ${watched}`)
    } catch (error) {
      signal[Symbol.dispose]()
      throw error
    }
    return signal
  }
}

/** Attention to one cgroup. Disposing it ends it. */
export class OomWatch implements Disposable {
  readonly #cgroups: Cgroups
  readonly #path: string
  readonly #listener: () => void
  readonly #source: Disposable | undefined
  /** How many are known; undefined until those of before were counted. */
  #kills: number | undefined
  #signalled = false
  #looking = false
  #ended = false

  constructor(cgroups: Cgroups, path: string, options: OomWatchOptions) {
    this.#cgroups = cgroups
    this.#path = path
    this.#listener = options.listener
    this.#kills = options.counted ? undefined : 0
    this.#source = options.follow(() => void this.#lookAround())
    void this.look()
  }

  /** Looks now: tells of what nobody was told of yet. Resolves with the number of kills. */
  async look(): Promise<number> {
    const state = await this.#cgroups.oomState(this.#path)
    if (state === undefined || this.#ended) return this.#kills ?? 0
    const news = state.kills > (this.#kills ?? state.kills) || (state.halted && this.#signalled)
    this.#kills = state.kills
    if (news) {
      this.#signalled = false
      this.#listener()
    }
    return state.kills
  }

  /** After a signal. The kernel may kill a moment later; a further signal meanwhile starts the looks anew. */
  async #lookAround(): Promise<void> {
    this.#signalled = true
    if (this.#looking) return
    this.#looking = true
    const pauses = this.#cgroups.layout.mode === 'v2' ? [0] : furtherLooksMs
    for (const pauseMs of pauses) {
      await delay(pauseMs, undefined, { ref: false })
      if (this.#ended) break
      await this.look()
      if (!this.#signalled) break
    }
    this.#signalled = false
    this.#looking = false
  }

  [Symbol.dispose](): void {
    this.#ended = true
    this.#source?.[Symbol.dispose]()
  }
}

type OomWatchOptions = {
  counted: boolean
  listener: () => void
  follow: (look: () => void) => Disposable | undefined
}
