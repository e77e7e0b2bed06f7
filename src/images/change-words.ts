/** The builder's shell words: quotes, escapes and variables in the arguments of a Dockerfile instruction. */
import { quoteGo } from '../lib/go-quote.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'

/** Variables by name. */
export type Variables = ReadonlyMap<string, string>
/** What takes its meaning from the next character. */
export type EscapeToken = '\\' | '`'
/** What a text is expanded with. */
export type Expanding = { variables: Variables; escape: EscapeToken }

/** A text with variables replaced and quotes taken off; and split where blanks stand outside of quotes. */
export type Expanded = { text: string; words: string[] }

/** Throws invalid. */
export function expandChange(text: string, expanding: Expanding): Expanded {
  try {
    return new Scanner(text, expanding).until(undefined)
  } catch (error) {
    throw new EngineError('invalid', `failed to process ${quoteGo(text)}: ${errorMessage(error)}`)
  }
}

/** What Go's `unicode.IsSpace` takes for a blank. */
export const blank = String.raw`[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`
/** Whether a character is one. */
export const isBlank = new RegExp(`^${blank}$`)
const isDigit = /^\p{Nd}$/u
const isNameCharacter = /^[\p{L}\p{Nd}_]$/u
const isSpecial = /^[@*#?$!-]$/

class Scanner {
  readonly #characters: string[]
  readonly #expanding: Expanding
  #at = 0

  constructor(text: string, expanding: Expanding) {
    this.#characters = Array.from(text)
    this.#expanding = expanding
  }

  /** Up to a character, which is taken too; undefined for the end. */
  until(stop: string | undefined): Expanded {
    const words = new Words()
    let text = ''
    while (!this.#isAtEnd) {
      if (this.#peek === stop) {
        this.#at += 1
        return { text, words: words.all }
      }
      const piece = this.#piece()
      if (piece === undefined) break
      text += piece.text
      words.add(piece)
    }
    if (stop === undefined) return { text, words: words.all }
    throw new Error(`unexpected end of statement while looking for matching ${stop}`)
  }

  get #isAtEnd(): boolean {
    return this.#at >= this.#characters.length
  }

  get #peek(): string {
    return this.#characters[this.#at] ?? ''
  }

  #next(): string {
    const character = this.#peek
    this.#at += 1
    return character
  }

  /** Whether its blanks part words; undefined at an escape that is the last character. */
  #piece(): { text: string; parts: boolean } | undefined {
    const character = this.#next()
    if (character === "'") return { text: this.#singleQuoted(), parts: false }
    if (character === '"') return { text: this.#doubleQuoted(), parts: false }
    if (character === '$') return { text: this.#variable(), parts: true }
    if (character !== this.#expanding.escape) return { text: character, parts: true }
    return this.#isAtEnd ? undefined : { text: this.#next(), parts: false }
  }

  #singleQuoted(): string {
    const end = this.#characters.indexOf("'", this.#at)
    const text = this.#characters.slice(this.#at, end).join('')
    this.#at = end === -1 ? this.#characters.length : end + 1
    if (end === -1) throw new Error('unexpected end of statement while looking for matching single-quote')
    return text
  }

  #doubleQuoted(): string {
    let text = ''
    while (!this.#isAtEnd) {
      const character = this.#next()
      if (character === '"') return text
      if (character === '$') text += this.#variable()
      else if (character !== this.#expanding.escape) text += character
      else if (['"', '$', this.#expanding.escape].includes(this.#peek)) text += this.#next()
      else if (!this.#isAtEnd) text += character
    }
    throw new Error('unexpected end of statement while looking for matching double-quote')
  }

  /** After a `$`. */
  #variable(): string {
    if (this.#peek !== '{') {
      const name = this.#name()
      return name === '' ? '$' : (this.#expanding.variables.get(name) ?? '')
    }
    this.#at += 1
    if (this.#isAtEnd) throw new Error("syntax error: missing '}'")
    if ('{}:'.includes(this.#peek)) throw new Error('syntax error: bad substitution')
    const name = this.#name()
    const value = this.#expanding.variables.get(name)
    const operator = this.#next()
    if (operator === '}') return value ?? ''
    if (operator === '?') {
      const message = this.#alternative()
      if (value === undefined) throw new Error(`${name}: ${message || 'is not allowed to be unset'}`)
      return value
    }
    if (operator === ':') return this.#modified(name, value)
    throw new Error("missing ':' in substitution")
  }

  #modified(name: string, value: string | undefined): string {
    const modifier = this.#next()
    const alternative = this.#alternative()
    if (modifier === '+') return value ? alternative : ''
    if (modifier === '-') return value || alternative
    if (modifier !== '?') throw new Error(`unsupported modifier (${modifier}) in substitution`)
    if (value === undefined) throw new Error(`${name}: ${alternative || 'is not allowed to be unset'}`)
    if (value === '') throw new Error(`${name}: ${alternative || 'is not allowed to be empty'}`)
    return value
  }

  #alternative(): string {
    try {
      return this.until('}').text
    } catch (error) {
      if (this.#isAtEnd) throw new Error("syntax error: missing '}'", { cause: error })
      throw error
    }
  }

  #name(): string {
    if (isSpecial.test(this.#peek)) return this.#next()
    const pattern = isDigit.test(this.#peek) ? isDigit : isNameCharacter
    let name = ''
    while (pattern.test(this.#peek)) name += this.#next()
    return name
  }
}

/** Words as they grow: an empty one is none. */
class Words {
  readonly #done: string[] = []
  #word = ''

  add({ text, parts }: { text: string; parts: boolean }): void {
    if (!parts) {
      this.#word += text
      return
    }
    for (const character of text) {
      if (isBlank.test(character)) this.#end()
      else this.#word += character
    }
  }

  get all(): string[] {
    this.#end()
    return this.#done
  }

  #end(): void {
    if (this.#word !== '') this.#done.push(this.#word)
    this.#word = ''
  }
}
