/**
 * How registries on one bucket take each other's tokens: each puts the public half of its key there before it issues
 * a token with it, and looks for keys that it does not know. Private halves never leave a process.
 *
 *     wharf/keys/ID    {"key": JWK, "untilMs": ...}
 */
import type { JWK } from 'jose'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { eachLimited } from '../lib/each-limited.ts'
import type { StorageDriver } from './storage-driver.ts'

const root = 'wharf/keys'
const readsAtOnce = 8
/** Made-up keys in tokens must not make the bucket be listed again and again. */
const pauseMs = 1_000

const recordSchema = z.object({
  key: z.object({ kty: z.string(), crv: z.string(), x: z.string(), y: z.string() }),
  untilMs: z.number(),
})

type Known = { key: JWK; untilMs: number }

/** See the file's head. */
export class SharedKeys {
  readonly #driver: StorageDriver
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()
  #lookedMs = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined

  constructor(driver: StorageDriver, clock: Clock) {
    this.#driver = driver
    this.#clock = clock
  }

  /** Lets the others know a public key, until the last token that it verifies has ended. */
  async publish(id: string, key: JWK, untilMs: number): Promise<void> {
    await this.#driver.write(`${root}/${id}`, Buffer.from(JSON.stringify({ key, untilMs })))
  }

  /** A key that another process has published. */
  async find(id: string): Promise<JWK | undefined> {
    if (!this.#known.has(id) && performance.now() - this.#lookedMs >= pauseMs) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
      })
      await this.#looking
    }
    const known = this.#known.get(id)
    return known !== undefined && this.#clock.nowMs() < known.untilMs ? known.key : undefined
  }

  async #look(): Promise<void> {
    const names = (await this.#driver.list(root)).map(({ name }) => name)
    await eachLimited(names, readsAtOnce, async (name) => {
      if (this.#known.has(name)) return
      const text = (await this.#driver.read(`${root}/${name}`))?.toString() ?? ''
      const record = recordSchema.safeParse(parsed(text))
      if (!record.success) return
      if (record.data.untilMs > this.#clock.nowMs()) this.#known.set(name, record.data)
      else await this.#driver.remove(`${root}/${name}`)
    })
    for (const [id, { untilMs }] of this.#known) if (untilMs <= this.#clock.nowMs()) this.#known.delete(id)
    this.#lookedMs = performance.now()
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Being written, or not ours.
    return undefined
  }
}
