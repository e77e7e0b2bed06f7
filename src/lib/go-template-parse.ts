/** Parser of Go's text/template. Error texts are Go's. */
import { TemplateSyntaxError, lexTemplate } from './go-template-lex.ts'
import type { Token, TokenKind } from './go-template-lex.ts'
import { operandText } from './go-template-nodes.ts'
import type { CommandNode, Node, Operand, Pipe } from './go-template-nodes.ts'
import { unquoteGo } from './go-quote.ts'

/** What a template's text defines: its own body and the templates named in it. */
export type ParsedTemplate = { body: Node[]; defined: Map<string, Node[]> }

type Ending = 'end' | 'else' | 'eof'

function showToken(token: Token): string {
  if (token.kind === 'eof') return 'EOF'
  // The dot and nil are among Go's keywords.
  if (['keyword', 'dot', 'nil'].includes(token.kind)) return `<${token.value}>`
  const { value } = token
  return value.length > 10 ? `${JSON.stringify(value.slice(0, 10))}...` : JSON.stringify(value)
}

class Parser {
  readonly #tokens: Token[]
  readonly #hasFunction: (name: string) => boolean
  readonly defined = new Map<string, Node[]>()
  #at = 0
  #variables: string[] = ['$']
  #rangeDepth = 0

  constructor(text: string, hasFunction: (name: string) => boolean) {
    this.#tokens = lexTemplate(text)
    this.#hasFunction = hasFunction
  }

  top(): Node[] {
    const { body, ending, token } = this.#list()
    if (ending !== 'eof') throw new TemplateSyntaxError(`unexpected {{${ending}}}`, token.position)
    return body
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'eof', value: '', position: 0 }
  }

  #next(): Token {
    const token = this.#peek()
    this.#at++
    return token
  }

  #skipSpace(): Token {
    while (this.#peek().kind === 'space') this.#at++
    return this.#peek()
  }

  #nextNonSpace(): Token {
    this.#skipSpace()
    return this.#next()
  }

  #expect(kind: TokenKind, context: string): Token {
    const token = this.#nextNonSpace()
    if (token.kind !== kind) this.#unexpected(token, context)
    return token
  }

  #unexpected(token: Token, context: string): never {
    throw new TemplateSyntaxError(`unexpected ${showToken(token)} in ${context}`, token.position)
  }

  /** Statements up to `{{end}}`, `{{else ...}}` or the end of the text. */
  #list(): { body: Node[]; ending: Ending; token: Token } {
    const body: Node[] = []
    while (true) {
      const token = this.#next()
      if (token.kind === 'eof') return { body, ending: 'eof', token }
      if (token.kind === 'text') {
        body.push({ type: 'text', text: token.value, position: token.position })
        continue
      }
      const first = this.#skipSpace()
      if (first.kind === 'keyword' && first.value === 'end') {
        this.#next()
        this.#expect('close', 'end')
        return { body, ending: 'end', token: first }
      }
      if (first.kind === 'keyword' && first.value === 'else') {
        this.#next()
        return { body, ending: 'else', token: first }
      }
      const node = this.#action(first)
      if (node !== undefined) body.push(node)
    }
  }

  #action(first: Token): Node | undefined {
    const { position } = first
    if (first.kind !== 'keyword') {
      const pipe = this.#pipeline('command', 'close')
      return { type: 'action', pipe, position }
    }
    this.#next()
    switch (first.value) {
      case 'if':
      case 'with':
      case 'range':
        return this.#control(first.value, position)
      case 'define':
        this.#define(position)
        return undefined
      case 'block':
        return this.#block(position)
      case 'template':
        return this.#template()
      default:
        return this.#leave(first)
    }
  }

  #leave(first: Token): Node {
    const type = first.value === 'break' ? 'break' : 'continue'
    const token = this.#nextNonSpace()
    if (token.kind !== 'close') this.#unexpected(token, `{{${type}}}`)
    if (this.#rangeDepth === 0) throw new TemplateSyntaxError(`{{${type}}} outside {{range}}`, first.position)
    return { type, position: first.position }
  }

  #control(type: 'if' | 'with' | 'range', position: number): Node {
    const scope = this.#variables.length
    const pipe = this.#pipeline(type, 'close')
    if (type === 'range') this.#rangeDepth++
    const { body, ending, token } = this.#list()
    if (type === 'range') this.#rangeDepth--
    let otherwise: Node[] | undefined
    if (ending === 'eof') throw new TemplateSyntaxError('unexpected EOF', token.position)
    if (ending === 'else') otherwise = this.#otherwise(type)
    this.#variables.length = scope
    return { type, pipe, body, otherwise, position }
  }

  #otherwise(type: 'if' | 'with' | 'range'): Node[] {
    const next = this.#skipSpace()
    if (next.kind === 'keyword' && next.value === type && type !== 'range') {
      // {{else if x}}: a nested statement that shares the {{end}}.
      this.#next()
      return [this.#control(type, next.position)]
    }
    this.#expect('close', 'else')
    const { body, ending, token } = this.#list()
    if (ending === 'eof') throw new TemplateSyntaxError('unexpected EOF', token.position)
    if (ending === 'else') throw new TemplateSyntaxError('expected end; found {{else}}', token.position)
    return body
  }

  #templateName(context: string): string {
    const token = this.#nextNonSpace()
    if (token.kind !== 'string') this.#unexpected(token, context)
    return unquoteGo(token.value)
  }

  #named(name: string, position: number): void {
    const outer = this.#variables
    this.#variables = ['$']
    const { body, ending, token } = this.#list()
    if (ending === 'eof') throw new TemplateSyntaxError('unexpected EOF', token.position)
    if (ending === 'else') throw new TemplateSyntaxError('unexpected {{else}} in define clause', position)
    this.#variables = outer
    this.defined.set(name, body)
  }

  #define(position: number): void {
    const name = this.#templateName('define clause')
    this.#expect('close', 'define clause')
    this.#named(name, position)
  }

  #block(position: number): Node {
    const name = this.#templateName('block clause')
    const pipe = this.#pipeline('block clause', 'close')
    this.#named(name, position)
    return { type: 'template', name, pipe, position }
  }

  #template(): Node {
    const { position } = this.#skipSpace()
    const name = this.#templateName('template clause')
    if (this.#skipSpace().kind === 'close') {
      this.#next()
      return { type: 'template', name, pipe: undefined, position }
    }
    return { type: 'template', name, pipe: this.#pipeline('template clause', 'close'), position }
  }

  #pipeline(context: string, end: TokenKind): Pipe {
    const { position } = this.#skipSpace()
    const pipe: Pipe = { position, variables: [], assigns: false, commands: [] }
    this.#declarations(pipe, context)
    while (true) {
      const token = this.#nextNonSpace()
      if (token.kind === end) {
        this.#checkPipeline(pipe, context, token)
        return pipe
      }
      this.#at--
      if (!this.#startsOperand(token)) this.#unexpected(token, context)
      pipe.commands.push(this.#command())
    }
  }

  #checkPipeline(pipe: Pipe, context: string, token: Token): void {
    if (pipe.commands.length === 0)
      throw new TemplateSyntaxError(`missing value for ${context}`, token.position)
    pipe.commands.slice(1).forEach((command, index) => {
      const first = command.operands[0]
      if (first !== undefined && ['bool', 'dot', 'nil', 'number', 'string'].includes(first.type)) {
        throw new TemplateSyntaxError(`non executable command in pipeline stage ${index + 2}`, token.position)
      }
    })
  }

  /** `$x :=`, `$x =`, and for range `$i, $x :=`. */
  #declarations(pipe: Pipe, context: string): void {
    while (this.#skipSpace().kind === 'variable') {
      const start = this.#at
      const variable = this.#next()
      const after = this.#skipSpace()
      if (after.kind === 'assign' || after.kind === 'declare') {
        pipe.assigns = after.kind === 'assign'
        this.#next()
        pipe.variables.push(variable.value)
        this.#variables.push(variable.value)
        return
      }
      if (after.kind !== 'comma' || context !== 'range' || pipe.variables.length > 0) {
        if (after.kind === 'comma')
          throw new TemplateSyntaxError(`too many declarations in ${context}`, after.position)
        this.#at = start
        return
      }
      this.#next()
      pipe.variables.push(variable.value)
      this.#variables.push(variable.value)
      if (this.#skipSpace().kind !== 'variable') {
        throw new TemplateSyntaxError('range can only initialize variables', this.#peek().position)
      }
    }
  }

  #startsOperand(token: Token): boolean {
    return [
      'bool',
      'char',
      'dot',
      'field',
      'identifier',
      'number',
      'nil',
      'string',
      'variable',
      '(',
    ].includes(token.kind)
  }

  #command(): CommandNode {
    const command: CommandNode = { position: this.#skipSpace().position, operands: [] }
    while (true) {
      this.#skipSpace()
      const operand = this.#operand()
      if (operand !== undefined) command.operands.push(operand)
      const token = this.#next()
      if (token.kind === 'space') continue
      if (token.kind === 'close' || token.kind === ')') this.#at--
      else if (token.kind !== 'pipe') this.#unexpected(token, 'operand')
      break
    }
    if (command.operands.length === 0) throw new TemplateSyntaxError('empty command', command.position)
    return command
  }

  #operand(): Operand | undefined {
    const node = this.#term()
    if (node === undefined) return undefined
    const next = this.#peek()
    if (next.kind !== 'field') return node
    const names: string[] = []
    while (this.#peek().kind === 'field') names.push(this.#next().value.slice(1))
    const { position } = next
    if (node.type === 'field') return { type: 'field', names: [...node.names, ...names], position }
    if (node.type === 'variable') return { ...node, names: [...node.names, ...names], position }
    if (['bool', 'string', 'number', 'nil', 'dot'].includes(node.type)) {
      throw new TemplateSyntaxError(`unexpected . after term ${JSON.stringify(operandText(node))}`, position)
    }
    return { type: 'chain', base: node, names, position }
  }

  #term(): Operand | undefined {
    const token = this.#nextNonSpace()
    const { position, value } = token
    switch (token.kind) {
      case 'identifier':
        if (!this.#hasFunction(value))
          throw new TemplateSyntaxError(`function "${value}" not defined`, position)
        return { type: 'identifier', name: value, position }
      case 'dot':
      case 'nil':
        return { type: token.kind, position }
      case 'variable':
        if (!this.#variables.includes(value))
          throw new TemplateSyntaxError(`undefined variable "${value}"`, position)
        return { type: 'variable', name: value, names: [], position }
      case 'field':
        return { type: 'field', names: [value.slice(1)], position }
      case 'bool':
        return { type: 'bool', value: value === 'true', position }
      case 'char':
      case 'number':
        return numberOperand(token)
      case 'string':
        return { type: 'string', text: value, value: unquoteToken(token), position }
      case '(':
        return { type: 'pipe', pipe: this.#pipeline('parenthesized pipeline', ')'), position }
      default:
        this.#at--
        return undefined
    }
  }
}

function unquoteToken(token: Token): string {
  try {
    return unquoteGo(token.value)
  } catch {
    throw new TemplateSyntaxError('invalid syntax', token.position)
  }
}

function numberOperand(token: Token): Operand {
  const { position, value: text } = token
  if (token.kind === 'char') {
    const value = unquoteToken(token).codePointAt(0) ?? 0
    return { type: 'number', text, value, isFloat: false, position }
  }
  const plain = text.replaceAll('_', '')
  const sign = plain.startsWith('-') ? -1 : 1
  const digits = plain.replace(/^[+-]/, '')
  const isFloat = /[.eEpP]/.test(digits) && !/^0[xX][^.pP]*$/.test(digits)
  const value = Number(isFloat ? digits : digits.replace(/^0(?=[0-7]+$)/, '0o'))
  if (Number.isNaN(value) || digits === '') {
    throw new TemplateSyntaxError(`illegal number syntax: ${JSON.stringify(text)}`, position)
  }
  return { type: 'number', text, value: sign * value, isFloat, position }
}

/** Parses a template. Throws TemplateSyntaxError; an unknown function is an error here, as in Go. */
export function parseTemplateText(text: string, hasFunction: (name: string) => boolean): ParsedTemplate {
  const parser = new Parser(text, hasFunction)
  return { body: parser.top(), defined: parser.defined }
}
