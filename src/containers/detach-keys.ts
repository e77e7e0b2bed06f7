/** The key sequence that leaves a terminal without ending its container. */
import { EngineError } from '../spec/errors.ts'

const controlKeys = '@abcdefghijklmnopqrstuvwxyz[\\]^_'

/** Ctrl-P, Ctrl-Q. */
const defaultKeys = [16, 17]

/**
 * Bytes of a sequence like `ctrl-p,ctrl-q` or `a,b`; empty is the default, a trailing comma or unknown key is
 * refused with `message`.
 */
export function parseDetachKeys(text: string, message = `Invalid detach keys (${text}) provided`): number[] {
  if (text === '') return defaultKeys
  return text.split(',').map((key) => {
    const code = keyCode(key)
    if (code === undefined) throw new EngineError('invalid', message)
    return code
  })
}

function keyCode(key: string): number | undefined {
  if (key.length === 1) return key.charCodeAt(0) <= 127 ? key.charCodeAt(0) : undefined
  const control = /^ctrl-(.)$/.exec(key)?.[1]
  const code = control === undefined ? -1 : controlKeys.indexOf(control)
  return code === -1 ? undefined : code
}

/**
 * Finds the sequence in what a client types. Bytes that may begin it are held back until it is clear that they
 * do not; a sequence may be spread over several chunks.
 */
export class DetachFilter {
  readonly #keys: readonly number[]
  #matched = 0

  constructor(keys: readonly number[]) {
    this.#keys = keys
  }

  /** The bytes to pass on, and whether the sequence is complete (what follows it is dropped). */
  push(chunk: Uint8Array): { data: Buffer; detached: boolean } {
    // Common case: a chunk without the first key, and none pending, passes unchanged.
    if (this.#matched === 0 && !chunk.includes(this.#keys[0] ?? -1)) {
      return { data: Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), detached: false }
    }
    const out: number[] = []
    for (const byte of chunk) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1
        if (this.#matched === this.#keys.length) return { data: Buffer.from(out), detached: true }
        continue
      }
      out.push(...this.#keys.slice(0, this.#matched))
      this.#matched = byte === this.#keys[0] ? 1 : 0
      if (this.#matched === 0) out.push(byte)
    }
    return { data: Buffer.from(out), detached: false }
  }
}
