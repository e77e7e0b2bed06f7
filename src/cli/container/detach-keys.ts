/** The key sequence that leaves a container running: `ctrl-p,ctrl-q` unless configured. */

const controls: Record<string, number> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 }

/** The bytes of a sequence like `ctrl-p,x`. Throws for a key that there is not. */
export function parseDetachKeys(text: string): number[] {
  return text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0)
    if (key === 'DEL') return 127
    const letter = /^ctrl-(.)$/.exec(key)?.[1]
    if (letter !== undefined && /[a-z]/.test(letter)) return letter.charCodeAt(0) - 96
    const code = letter === undefined ? undefined : controls[letter]
    if (code === undefined) throw new Error(`Unknown character: '${key}'`)
    return code
  })
}

/** Watches typed bytes for the sequence. Bytes that may begin it are held back until it is clear. */
export class DetachFilter {
  readonly #keys: readonly number[]
  #matched = 0

  constructor(keys: readonly number[]) {
    this.#keys = keys
  }

  /** The bytes to pass on; `detached` once the sequence is complete. */
  push(chunk: Buffer): { data: Buffer; detached: boolean } {
    if (this.#keys.length === 0) return { data: chunk, detached: false }
    const data: number[] = []
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#matched] && this.#matched > 0) {
        data.push(...this.#keys.slice(0, this.#matched))
        this.#matched = 0
      }
      if (byte === this.#keys[this.#matched]) this.#matched++
      else data.push(byte)
      if (this.#matched === this.#keys.length) return { data: Buffer.from(data), detached: true }
    }
    return { data: Buffer.from(data), detached: false }
  }
}
