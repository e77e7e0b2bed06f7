/**
 * Says in Go's words where a JSON text is wrong. Only called for a text that `JSON.parse` refused, so speed does
 * not matter; it follows the grammar (RFC 8259) once more and stops at the first character that cannot be.
 */

/** Where the text fails; `trailing` when a whole value was read and something follows it. */
export type SyntaxProblem = { message: string; trailing: boolean }

/** The first error of a text that is not JSON. */
export function describeSyntaxError(text: string): SyntaxProblem {
  const scanner = new Scanner(text)
  try {
    scanner.value('looking for beginning of value', 0)
  } catch (error) {
    if (error instanceof ScanError) return { message: error.message, trailing: false }
    throw error
  }
  return {
    message: `invalid character ${quote(scanner.rest.charAt(0))} after top-level value`,
    trailing: true,
  }
}

class ScanError extends Error {}

const maxDepth = 10_000

class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** What follows a value that was read, without the space before it. */
  get rest(): string {
    this.#space()
    return this.#text.slice(this.#at)
  }

  value(context: string, depth: number): void {
    if (depth > maxDepth) throw new ScanError('exceeded max depth')
    this.#space()
    const first = this.#peek()
    if (first === '{') this.#object(depth)
    else if (first === '[') this.#array(depth)
    else if (first === '"') this.#string()
    else if (first === 't') this.#literal('true')
    else if (first === 'f') this.#literal('false')
    else if (first === 'n') this.#literal('null')
    else if (first === '-' || isDigit(first)) this.#number()
    else this.#fail(context)
  }

  #object(depth: number): void {
    this.#at += 1
    this.#space()
    if (this.#take('}')) return
    for (;;) {
      this.#space()
      if (this.#peek() !== '"') this.#fail('looking for beginning of object key string')
      this.#string()
      this.#space()
      if (!this.#take(':')) this.#fail('after object key')
      this.value('looking for beginning of value', depth + 1)
      this.#space()
      if (this.#take('}')) return
      if (!this.#take(',')) this.#fail('after object key:value pair')
    }
  }

  #array(depth: number): void {
    this.#at += 1
    this.#space()
    if (this.#take(']')) return
    for (;;) {
      this.value('looking for beginning of value', depth + 1)
      this.#space()
      if (this.#take(']')) return
      if (!this.#take(',')) this.#fail('after array element')
    }
  }

  #string(): void {
    this.#at += 1
    for (;;) {
      const character = this.#peek()
      if (character === '"') {
        this.#at += 1
        return
      }
      if (character < ' ') this.#fail('in string literal')
      this.#at += 1
      if (character === '\\') this.#escape()
    }
  }

  #escape(): void {
    const kind = this.#peek()
    if (kind !== 'u') {
      if (!'"\\/bfnrt'.includes(kind)) this.#fail('in string escape code')
      this.#at += 1
      return
    }
    this.#at += 1
    for (let digit = 0; digit < 4; digit++) {
      if (!/[0-9a-fA-F]/.test(this.#peek())) this.#fail('in \\u hexadecimal character escape')
      this.#at += 1
    }
  }

  #literal(word: string): void {
    for (let index = 1; index < word.length; index++) {
      this.#at += 1
      if (this.#peek() !== word[index])
        this.#fail(`in literal ${word} (expecting ${quote(word[index] ?? '')})`)
    }
    this.#at += 1
  }

  #number(): void {
    if (this.#take('-') && !isDigit(this.#peek())) this.#fail('in numeric literal')
    if (!this.#take('0')) this.#digits()
    if (this.#take('.')) {
      if (!isDigit(this.#peek())) this.#fail('after decimal point in numeric literal')
      this.#digits()
    }
    if (this.#take('e') || this.#take('E')) {
      if (!this.#take('+')) this.#take('-')
      if (!isDigit(this.#peek())) this.#fail('in exponent of numeric literal')
      this.#digits()
    }
  }

  #digits(): void {
    while (this.#at < this.#text.length && isDigit(this.#text[this.#at] ?? '')) this.#at += 1
  }

  #space(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #peek(): string {
    const character = this.#text[this.#at]
    if (character === undefined) throw new ScanError('unexpected EOF')
    return character
  }

  #fail(context: string): never {
    throw new ScanError(`invalid character ${quote(this.#peek())} ${context}`)
  }
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9'
}

function quote(character: string): string {
  if (character === "'") return `'\\''`
  if (character === '"') return `'"'`
  return `'${JSON.stringify(character).slice(1, -1)}'`
}
