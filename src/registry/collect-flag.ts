/**
 * How a collection and pushes in other processes keep out of each other's way in a shared bucket. Who collects raises
 * a flag there and then reads what the others told; it lowers it when all is removed and told. Who pushes looks at
 * the flag, reads what the others told, and looks again once its own change is told: a flag that is as it was means
 * that no collection can have missed the change. Otherwise the push waits for the collection to end, and looks whether
 * what it rests on is still there before it is acknowledged.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import { RegistryError } from './errors.ts'
import type { Follower } from './follower.ts'
import type { StorageDriver } from './storage-driver.ts'

const path = 'wharf/collecting'
// A collection ends within this time, or is taken for dead.
const longestMs = 600_000
/** The clocks of processes may differ by this much. */
const skewMs = 60_000
const pollMs = 100

/** See the file's head. */
export class CollectFlag {
  readonly #driver: StorageDriver
  readonly #follower: Follower
  readonly #clock: Clock

  constructor(driver: StorageDriver, follower: Follower, clock: Clock) {
    this.#driver = driver
    this.#follower = follower
    this.#clock = clock
  }

  /** Raises the flag and brings the index up to date. Throws UNAVAILABLE while another process collects. */
  async raise(): Promise<AsyncDisposable & { checkTime: () => void }> {
    if (this.#isRaised(await this.#read())) {
      throw new RegistryError('UNAVAILABLE', { message: 'another process collects' })
    }
    const untilMs = this.#clock.nowMs() + longestMs
    const id = randomUUID()
    await this.#driver.write(path, Buffer.from(`${untilMs} ${id}`))
    await this.#follower.now()
    return {
      checkTime: () => {
        if (this.#clock.nowMs() <= untilMs) return
        throw new RegistryError('UNAVAILABLE', { message: 'the collection takes too long and was given up' })
      },
      [Symbol.asyncDispose]: () => this.#driver.write(path, Buffer.from(`0 ${id}`)),
    }
  }

  /** Before a change: the flag as it is, and an index that is up to date. */
  async look(): Promise<string> {
    const flag = await this.#read()
    await this.#follower.now()
    return flag
  }

  /** After a change was told: waits for the end of a collection; answers whether there was one since `before`. */
  async passed(before: string): Promise<boolean> {
    const first = await this.#read()
    if (first === before && !this.#isRaised(first)) return false
    // One that begins later reads what was told.
    for (let now = first; now === first && this.#isRaised(now); now = await this.#read()) {
      await setTimeout(pollMs)
    }
    await this.#follower.now()
    return true
  }

  async #read(): Promise<string> {
    return (await this.#driver.read(path))?.toString() ?? ''
  }

  #isRaised(flag: string): boolean {
    return this.#clock.nowMs() < Number.parseInt(flag, 10) + skewMs
  }
}
