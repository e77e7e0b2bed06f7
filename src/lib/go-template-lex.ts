/** Tokens of Go's text/template: text, and within `{{ }}` what its parser reads. Error texts are Go's. */

/** Kinds of tokens; `keyword` covers if, range, end and their like. */
export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'identifier'
  | 'keyword'
  | 'field'
  | 'variable'
  | 'number'
  | 'char'
  | 'string'
  | 'bool'
  | 'nil'
  | 'dot'
  | 'pipe'
  | 'assign'
  | 'declare'
  | 'comma'
  | 'space'
  | '('
  | ')'
  | 'eof'

/** A token: `value` is its source text, `position` its offset in the template. */
export type Token = { kind: TokenKind; value: string; position: number }

/** A template that does not parse: position and Go's message. */
export class TemplateSyntaxError extends Error {
  readonly position: number
  constructor(message: string, position: number) {
    super(message)
    this.position = position
  }
}

const keywords = new Set([
  'block',
  'break',
  'continue',
  'define',
  'else',
  'end',
  'if',
  'range',
  'template',
  'with',
])
const word = /[\p{L}\p{Nd}_]*/uy
const blank = /[ \t\r\n]+/y
const quoted = /"(?:[^"\\\n]|\\[^\n])*"/y
const charConstant = /'(?:[^'\\\n]|\\[^\n])*'/y
const numberStart = /[0-9]|[+-.][0-9.]/y
const numeral =
  /[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/y

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  const found = pattern.exec(text)?.[0]
  return found === '' ? undefined : found
}

/** Go's `%#U` of the character at an offset: `U+0040 '@'`. */
function codePointName(text: string, at: number): string {
  const code = text.codePointAt(at) ?? 0
  const hex = code.toString(16).toUpperCase().padStart(4, '0')
  return code < 32 ? `U+${hex}` : `U+${hex} '${String.fromCodePoint(code)}'`
}

class Lexer {
  readonly tokens: Token[] = []
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  run(): Token[] {
    while (this.#at < this.#text.length) {
      const open = this.#text.indexOf('{{', this.#at)
      if (open < 0) {
        this.#emit('text', this.#text.length)
        break
      }
      const trims = this.#text[open + 2] === '-' && /[ \t\r\n]/.test(this.#text[open + 3] ?? '')
      let end = open
      if (trims) while (end > this.#at && /[ \t\r\n]/.test(this.#text[end - 1] ?? '')) end--
      if (end > this.#at) this.#emit('text', end)
      this.#at = open + 2 + (trims ? 2 : 0)
      if (this.#text.startsWith('/*', this.#at)) this.#comment()
      else this.#action(open)
    }
    this.tokens.push({ kind: 'eof', value: '', position: this.#text.length })
    return this.tokens
  }

  #emit(kind: TokenKind, end: number): void {
    this.tokens.push({ kind, value: this.#text.slice(this.#at, end), position: this.#at })
    this.#at = end
  }

  /** Steps over `}}` or ` -}}`; false when the action does not end here. */
  #closing(): boolean {
    const text = this.#text
    const trims = /[ \t\r\n]/.test(text[this.#at] ?? '') && text.startsWith('-}}', this.#at + 1)
    if (!trims && !text.startsWith('}}', this.#at)) return false
    this.#at += trims ? 4 : 2
    if (trims) this.#at += match(blank, text, this.#at)?.length ?? 0
    return true
  }

  #comment(): void {
    const start = this.#at
    const end = this.#text.indexOf('*/', start + 2)
    if (end < 0) throw new TemplateSyntaxError('unclosed comment', start)
    this.#at = end + 2
    if (!this.#closing()) throw new TemplateSyntaxError('comment ends before closing delimiter', start)
  }

  #action(open: number): void {
    this.tokens.push({ kind: 'open', value: '{{', position: open })
    this.#depth = 0
    while (true) {
      const position = this.#at
      if (this.#closing()) {
        if (this.#depth > 0) throw new TemplateSyntaxError('unclosed left paren', position)
        this.tokens.push({ kind: 'close', value: '}}', position })
        return
      }
      if (this.#at >= this.#text.length) throw new TemplateSyntaxError('unclosed action', position)
      this.#inside()
    }
  }

  #inside(): void {
    const text = this.#text
    const at = this.#at
    const character = text[at] ?? ''
    const space = match(blank, text, at)
    if (space !== undefined) {
      // A trim marker needs the blank before it.
      const marker = text.startsWith('-}}', at + space.length)
      return this.#emit('space', at + space.length - (marker ? 1 : 0) || at + space.length)
    }
    if (text.startsWith(':=', at)) return this.#emit('declare', at + 2)
    if (character === ':') throw new TemplateSyntaxError('expected :=', at)
    if (character === '=') return this.#emit('assign', at + 1)
    if (character === '|') return this.#emit('pipe', at + 1)
    if (character === ',') return this.#emit('comma', at + 1)
    if (character === '(' || character === ')') {
      this.#depth += character === '(' ? 1 : -1
      if (this.#depth < 0) throw new TemplateSyntaxError('unexpected right paren', at)
      return this.#emit(character, at + 1)
    }
    if (character === '"') return this.#literal('string', quoted, 'unterminated quoted string')
    if (character === "'") return this.#literal('char', charConstant, 'unterminated character constant')
    if (character === '`') {
      const end = text.indexOf('`', at + 1)
      if (end < 0) throw new TemplateSyntaxError('unterminated raw quoted string', at)
      return this.#emit('string', end + 1)
    }
    if (character === '.' && at + 1 === text.length)
      throw new TemplateSyntaxError('illegal number syntax: "."', at)
    if (character === '.' && !/[0-9]/.test(text[at + 1] ?? '')) {
      const name = match(word, text, at + 1)
      if (name === undefined) return this.#terminated('dot', at + 1)
      return this.#terminated('field', at + 1 + name.length)
    }
    if (character === '$')
      return this.#terminated('variable', at + 1 + (match(word, text, at + 1)?.length ?? 0))
    if (match(numberStart, text, at) !== undefined) return this.#number()
    const name = match(word, text, at)
    if (name === undefined) {
      throw new TemplateSyntaxError(`unrecognized character in action: ${codePointName(text, at)}`, at)
    }
    const kind = keywords.has(name)
      ? 'keyword'
      : name === 'true' || name === 'false'
        ? 'bool'
        : name === 'nil'
          ? 'nil'
          : 'identifier'
    this.#terminated(kind, at + name.length)
  }

  #literal(kind: TokenKind, pattern: RegExp, problem: string): void {
    const found = match(pattern, this.#text, this.#at)
    if (found === undefined) throw new TemplateSyntaxError(problem, this.#at)
    this.#emit(kind, this.#at + found.length)
  }

  #number(): void {
    const found = match(numeral, this.#text, this.#at) ?? ''
    const end = this.#at + found.length
    if (/[\p{L}\p{Nd}_]/u.test(this.#text[end] ?? '')) {
      throw new TemplateSyntaxError(
        `bad number syntax: ${JSON.stringify(this.#text.slice(this.#at, end + 1))}`,
        this.#at,
      )
    }
    this.#emit('number', end)
  }

  /** Emits a word after checking that what follows may follow one. */
  #terminated(kind: TokenKind, end: number): void {
    const next = this.#text[end]
    if (
      next !== undefined &&
      kind !== 'dot' &&
      !/[ \t\r\n.,|:()=]/.test(next) &&
      !this.#text.startsWith('}}', end)
    ) {
      throw new TemplateSyntaxError(`bad character ${codePointName(this.#text, end)}`, end)
    }
    this.#emit(kind, end)
  }
}

/** All tokens of a template, the last one `eof`. Throws TemplateSyntaxError. */
export function lexTemplate(text: string): Token[] {
  return new Lexer(text).run()
}
