/**
 * How a collection and pushes in other processes keep out of each other's way in a shared bucket. Who collects raises
 * a flag there and then reads what the others told; it lowers it when all is removed and told. Who pushes looks at
 * the flag, reads what the others told, and looks again once its own change is told: a flag that is as it was means
 * that no collection can have missed the change. Otherwise the push waits for the collection to end, and looks whether
 * what it rests on is still there before it is acknowledged. A flag is good for a minute and raised anew meanwhile, so
 * that a collector that dies does not stop the others for long.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import { RegistryError } from './errors.ts'
import type { Follower } from './follower.ts'
import type { StorageDriver } from './storage-driver.ts'

const flagPath = 'wharf/collecting'
/** A flag of the same form that only collectors look at: who has it may raise the other. */
const electionPath = 'wharf/collector'
const leaseMs = 60_000
const renewMs = 10_000
/** The clocks of processes may differ by this much. */
const skewMs = 30_000
const pollMs = 100
/**
 * Storage has no lock: two may both see nobody elected and both write their names. Who took longer than this from its
 * look to its name's being there gives up, and who did not waits as long before it looks whose name it is: it sees any
 * other one. Pushes do not wait for that.
 */
const settleMs = 2000

/** See the file's head. */
export class CollectFlag {
  readonly #driver: StorageDriver
  readonly #follower: Pick<Follower, 'now'>
  readonly #clock: Clock
  readonly #settleMs: number
  #held: RaisedFlag | undefined

  constructor(
    driver: StorageDriver,
    follower: Pick<Follower, 'now'>,
    clock: Clock,
    options: { settleMs: number } = { settleMs },
  ) {
    this.#settleMs = options.settleMs
    this.#driver = driver
    this.#follower = follower
    this.#clock = clock
  }

  /** Whether this process has raised the flag and could not keep it up: what it was about to remove must stay. */
  get isForfeited(): boolean {
    return this.#held?.isGood === false
  }

  /** Raises the flag and brings the index up to date. Throws UNAVAILABLE while another process collects. */
  async raise(): Promise<RaisedFlag> {
    await using undo = new AsyncDisposableStack()
    const election = undo.use(await this.#elect())
    if (this.#isRaised(await this.#read())) throw busyError()
    const flag = new RaisedFlag(this.#driver, this.#clock, {
      path: flagPath,
      lowered: async () => {
        this.#held = undefined
        await election[Symbol.asyncDispose]()
      },
    })
    undo.use(flag)
    await flag.renew()
    await this.#follower.now()
    if (!(await flag.isOurs())) throw busyError()
    undo.move()
    this.#held = flag
    return flag
  }

  /** Becomes the one that collects. Throws UNAVAILABLE while another is. */
  async #elect(): Promise<AsyncDisposable> {
    const beganMs = performance.now()
    if (this.#isRaised(await this.#read(electionPath))) throw busyError()
    await using undo = new AsyncDisposableStack()
    const election = undo.use(new RaisedFlag(this.#driver, this.#clock, { path: electionPath }))
    await election.renew()
    if (performance.now() - beganMs > this.#settleMs) throw slowError()
    await setTimeout(this.#settleMs)
    if (!(await election.isOurs())) throw busyError()
    undo.move()
    return election
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
    if (idOf(first) === idOf(before) && !this.#isRaised(first)) return false
    // One that begins later reads what was told.
    for (let now = first; idOf(now) === idOf(first) && this.#isRaised(now); now = await this.#read()) {
      await setTimeout(pollMs)
    }
    await this.#follower.now()
    return true
  }

  async #read(path = flagPath): Promise<string> {
    return (await this.#driver.read(path))?.toString() ?? ''
  }

  #isRaised(flag: string): boolean {
    return this.#clock.nowMs() < Number.parseInt(flag, 10) + skewMs
  }
}

/** A flag that this process has raised; disposing lowers it. */
export class RaisedFlag implements AsyncDisposable {
  readonly #driver: StorageDriver
  readonly #clock: Clock
  readonly #path: string
  readonly #lowered: () => Promise<void>
  readonly #id = randomUUID()
  readonly #timer: NodeJS.Timeout
  #untilMs = Number.NEGATIVE_INFINITY
  #renewing: Promise<void> = Promise.resolve()

  constructor(
    driver: StorageDriver,
    clock: Clock,
    { path, lowered = async () => {} }: { path: string; lowered?: () => Promise<void> },
  ) {
    this.#driver = driver
    this.#clock = clock
    this.#path = path
    this.#lowered = lowered
    this.#timer = setInterval(() => {
      // One that fails is made up for by the next, or the flag is given up.
      this.#renewing = this.#renewing.then(() => this.renew()).catch(() => {})
    }, renewMs).unref()
  }

  /** Whether others still see it. */
  get isGood(): boolean {
    return this.#clock.nowMs() <= this.#untilMs
  }

  /** Throws UNAVAILABLE when the flag could not be kept up. */
  checkGood(): void {
    if (this.isGood) return
    throw slowError()
  }

  /** Raises it for another while, unless it is another's now. */
  async renew(): Promise<void> {
    const untilMs = this.#clock.nowMs() + leaseMs
    if (this.#untilMs > Number.NEGATIVE_INFINITY && (!this.isGood || !(await this.isOurs()))) {
      this.#untilMs = 0
      return
    }
    await this.#driver.write(this.#path, Buffer.from(`${untilMs} ${this.#id}`))
    this.#untilMs = untilMs
  }

  /** Whether nobody else has raised it since. */
  async isOurs(): Promise<boolean> {
    return idOf((await this.#driver.read(this.#path))?.toString() ?? '') === this.#id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewing
    try {
      if (await this.isOurs()) await this.#driver.write(this.#path, Buffer.from(`0 ${this.#id}`))
    } finally {
      await this.#lowered()
    }
  }
}

function idOf(flag: string): string {
  return flag.split(' ')[1] ?? ''
}

function slowError(): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: 'storage is too slow: the collection was given up' })
}

function busyError(): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: 'another process collects' })
}
