/** Interpreter of parsed templates. */
import { WrongType } from './go-template-functions.ts'
import type { TemplateFunctions } from './go-template-functions.ts'
import { commandText, operandText, pipeText } from './go-template-nodes.ts'
import type { CommandNode, Node, Operand, Pipe } from './go-template-nodes.ts'
import type { ParsedTemplate } from './go-template-parse.ts'
import { GoNil, GoStruct, formatValue, goType, intOf, isGoMap, isTrue, sortedKeys } from './go-value.ts'
import { quoteGo } from './go-quote.ts'
import { GoFloat } from './go-value.ts'

/** A template and what its actions may call. */
export type Program = { text: string; name: string; parsed: ParsedTemplate; functions: TemplateFunctions }

/** A failure while a template ran; the message is Go's. */
class TemplateExecutionError extends Error {}

const maxDepth = 1000
/** What a template may write in all, so that no template can eat the machine. */
const maxOutput = 256 * 1024 * 1024

type Variable = { name: string; value: unknown }
type Place = { position: number; text: string }
/** Operands to be evaluated and the value of the stage before; `command` where the function is a whole command. */
type Arguments = { nodes: Operand[]; last: unknown; dot: unknown; command?: CommandNode }
type Signal = 'break' | 'continue' | undefined
/** Marks a pipeline's first command, which gets no value from the one before. */
const none = Symbol('no value')

/** A lookup that found nothing, as against a nil that is there. */
const absent = Symbol('absent')

class Interpreter {
  readonly #program: Program
  readonly #strict: boolean
  readonly #parts: string[] = []
  #size = 0
  #variables: Variable[] = []
  #depth = 0
  #current: string

  constructor(program: Program, strict: boolean) {
    this.#program = program
    this.#strict = strict
    this.#current = program.name
  }

  run(data: unknown): string {
    this.#variables.push({ name: '$', value: data })
    this.#list(this.#program.parsed.body, data)
    return this.#parts.join('')
  }

  #write(text: string): void {
    this.#size += text.length
    if (this.#size > maxOutput) throw new TemplateExecutionError('template: output too large')
    this.#parts.push(text)
  }

  #fail(place: Place, message: string, cause?: unknown): never {
    const { text, name } = this.#program
    const before = text.slice(0, place.position)
    const line = before.split('\n').length
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1))
    throw new TemplateExecutionError(
      `template: ${name}:${line}:${column}: executing ${quoteGo(this.#current)} at <${place.text}>: ${message}`,
      { cause },
    )
  }

  #list(nodes: readonly Node[], dot: unknown): Signal {
    for (const node of nodes) {
      const signal = this.#node(node, dot)
      if (signal !== undefined) return signal
    }
    return undefined
  }

  #node(node: Node, dot: unknown): Signal {
    switch (node.type) {
      case 'text':
        this.#write(node.text)
        return undefined
      case 'action': {
        const value = this.#pipe(node.pipe, dot)
        if (node.pipe.variables.length === 0) this.#print(value, node.pipe)
        return undefined
      }
      case 'if':
      case 'with':
        return this.#choose(node, dot)
      case 'range':
        return this.#range(node, dot)
      case 'template':
        this.#call(node, dot)
        return undefined
      default:
        return node.type
    }
  }

  #print(value: unknown, pipe: Pipe): void {
    if (value === null || value === undefined || value === absent) return this.#write('<no value>')
    if (typeof value === 'function') {
      this.#fail(
        { position: pipe.position, text: pipeText(pipe) },
        `can't print ${pipeText(pipe)} of type func()`,
      )
    }
    this.#write(formatValue(value))
  }

  #choose(node: Extract<Node, { type: 'if' | 'with' | 'range' }>, dot: unknown): Signal {
    const scope = this.#variables.length
    const value = this.#pipe(node.pipe, dot)
    let signal: Signal
    if (value !== absent && isTrue(value)) signal = this.#list(node.body, node.type === 'with' ? value : dot)
    else if (node.otherwise !== undefined) signal = this.#list(node.otherwise, dot)
    this.#variables.length = scope
    return signal
  }

  #items(value: unknown, node: Extract<Node, { type: 'if' | 'with' | 'range' }>): [unknown, unknown][] {
    if (value === null || value === undefined || value === absent || value instanceof GoNil) return []
    if (Array.isArray(value)) return value.map((item, index) => [index, item])
    if (isGoMap(value)) return sortedKeys(value).map((key) => [key, value[key]])
    const count = intOf(value)
    if (count !== undefined) {
      if (count > 1e7)
        this.#fail({ position: node.position, text: `range ${pipeText(node.pipe)}` }, 'range too large')
      return Array.from({ length: Math.max(0, Number(count)) }, (_, index) => [index, index])
    }
    const place = { position: node.pipe.position, text: pipeText(node.pipe) }
    return this.#fail(place, `range can't iterate over ${formatValue(value)}`)
  }

  #range(node: Extract<Node, { type: 'if' | 'with' | 'range' }>, dot: unknown): undefined {
    const scope = this.#variables.length
    const value = this.#pipe(node.pipe, dot, true)
    const items = this.#items(value, node)
    const { variables, assigns } = node.pipe
    for (const [key, item] of items) {
      const inner = this.#variables.length
      const values = variables.length === 2 ? [key, item] : [item]
      variables.forEach((name, index) => {
        if (assigns) this.#assign(name, values[index])
        else this.#variables.push({ name, value: values[index] })
      })
      const signal = this.#list(node.body, item)
      this.#variables.length = inner
      if (signal === 'break') break
    }
    if (items.length === 0 && node.otherwise !== undefined) this.#list(node.otherwise, dot)
    this.#variables.length = scope
    return undefined
  }

  #call(node: Extract<Node, { type: 'template' }>, dot: unknown): void {
    const place = { position: node.position, text: `{{template ${quoteGo(node.name)}}}` }
    const body = this.#program.parsed.defined.get(node.name)
    if (body === undefined) this.#fail(place, `template ${quoteGo(node.name)} not defined`)
    if (++this.#depth > maxDepth) this.#fail(place, `exceeded maximum template depth (${maxDepth})`)
    const value = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot)
    const outer = this.#variables
    const name = this.#current
    this.#variables = [{ name: '$', value }]
    this.#current = node.name
    this.#list(body, value)
    this.#variables = outer
    this.#current = name
    this.#depth--
  }

  #assign(name: string, value: unknown): void {
    const variable = this.#variables.findLast((candidate) => candidate.name === name)
    if (variable !== undefined) variable.value = value
  }

  /** A pipeline's value. A range declares its variables itself, for each item. */
  #pipe(pipe: Pipe, dot: unknown, forRange = false): unknown {
    let value: unknown = none
    for (const command of pipe.commands) value = this.#command(command, dot, value)
    if (!forRange) {
      for (const name of pipe.variables) {
        if (pipe.assigns) this.#assign(name, value)
        else this.#variables.push({ name, value })
      }
    }
    return value === absent ? undefined : value
  }

  #command(command: CommandNode, dot: unknown, last: unknown): unknown {
    const [first, ...rest] = command.operands
    if (first === undefined) return undefined
    const args = { nodes: rest, last, dot, command }
    switch (first.type) {
      case 'field':
        return this.#path(dot, first.names, { ...args, node: first })
      case 'variable':
        if (first.names.length > 0)
          return this.#path(this.#variable(first.name), first.names, { ...args, node: first })
        this.#noArguments(first, args)
        return this.#variable(first.name)
      case 'chain':
        return this.#path(this.#operand(first.base, dot), first.names, { ...args, node: first })
      case 'identifier':
        return this.#function(first.name, first, args)
      case 'pipe':
        this.#noArguments(first, args)
        return this.#pipe(first.pipe, dot)
      default:
        this.#noArguments(first, args)
        if (first.type === 'nil') {
          this.#fail({ position: first.position, text: commandText(command) }, 'nil is not a command')
        }
        return this.#operand(first, dot)
    }
  }

  #noArguments(node: Operand, args: { nodes: Operand[]; last: unknown }): void {
    if (args.nodes.length === 0 && args.last === none) return
    this.#fail(
      { position: node.position, text: operandText(node) },
      `can't give argument to non-function ${operandText(node)}`,
    )
  }

  #variable(name: string): unknown {
    return this.#variables.findLast((candidate) => candidate.name === name)?.value
  }

  #operand(node: Operand, dot: unknown): unknown {
    const args = { nodes: [], last: none, dot, node }
    switch (node.type) {
      case 'dot':
        return dot
      case 'nil':
        return undefined
      case 'bool':
      case 'string':
        return node.value
      case 'number':
        return node.isFloat ? new GoFloat(Number(node.value)) : node.value
      case 'field':
        return this.#path(dot, node.names, args)
      case 'variable':
        return this.#path(this.#variable(node.name), node.names, args)
      case 'chain':
        return this.#path(this.#operand(node.base, dot), node.names, args)
      case 'identifier':
        return this.#function(node.name, node, args)
      default:
        return this.#pipe(node.pipe, dot)
    }
  }

  #evaluate(args: { nodes: Operand[]; last: unknown; dot: unknown }): unknown[] {
    const values = args.nodes.map((node) => {
      const value = this.#operand(node, args.dot)
      return value === absent ? undefined : value
    })
    if (args.last !== none) values.push(args.last === absent ? undefined : args.last)
    return values
  }

  #path(
    start: unknown,
    names: readonly string[],
    args: { nodes: Operand[]; last: unknown; dot: unknown; node: Operand },
  ): unknown {
    let value = start
    names.forEach((name, index) => {
      const isLast = index === names.length - 1
      value = this.#field(value, name, isLast ? args : { ...args, nodes: [], last: none })
    })
    return value
  }

  #field(
    receiver: unknown,
    name: string,
    args: { nodes: Operand[]; last: unknown; dot: unknown; node: Operand },
  ): unknown {
    const place = { position: args.node.position, text: operandText(args.node) }
    const hasArguments = args.nodes.length > 0 || args.last !== none
    if (receiver === null || receiver === undefined || receiver === absent) {
      if (this.#strict) this.#fail(place, `nil data; no entry for key ${quoteGo(name)}`)
      return absent
    }
    if (receiver instanceof GoNil && receiver.kind === 'pointer') {
      this.#fail(place, `nil pointer evaluating ${receiver.type}.${name}`)
    }
    if (receiver instanceof GoStruct && Object.hasOwn(receiver.fields, name)) {
      const field = receiver.fields[name]
      if (typeof field === 'function') return this.#method(field, name, place, this.#evaluate(args))
      if (hasArguments) this.#fail(place, `${name} has arguments but cannot be invoked as function`)
      return field
    }
    if (isGoMap(receiver) || (receiver instanceof GoNil && receiver.kind === 'map')) {
      if (hasArguments) this.#fail(place, `${name} is not a method but has arguments`)
      if (isGoMap(receiver) && Object.hasOwn(receiver, name)) return receiver[name]
      if (this.#strict) this.#fail(place, `map has no entry for key ${quoteGo(name)}`)
      return absent
    }
    return this.#fail(place, `can't evaluate field ${name} in type ${goType(receiver)}`)
  }

  #method(target: Function, name: string, place: Place, values: unknown[]): unknown {
    if (values.length !== target.length) {
      this.#fail(place, `wrong number of args for ${name}: want ${target.length} got ${values.length}`)
    }
    const value: unknown = Reflect.apply(target, undefined, values)
    return value
  }

  #function(name: string, node: Operand, args: Arguments): unknown {
    const place = { position: node.position, text: name }
    if (name === 'and' || name === 'or') return this.#shortCircuit(name, place, args)
    const spec = this.#program.functions[name]
    if (spec === undefined) return this.#fail(place, `${quoteGo(name)} is not a defined function`)
    const count = args.nodes.length + (args.last === none ? 0 : 1)
    if (spec.max === undefined && count < spec.min) {
      this.#fail(place, `wrong number of args for ${name}: want at least ${spec.min} got ${count}`)
    }
    if (spec.max !== undefined && count !== spec.min) {
      this.#fail(place, `wrong number of args for ${name}: want ${spec.min} got ${count}`)
    }
    const values = this.#evaluate(args)
    try {
      return spec.call(values)
    } catch (error) {
      if (error instanceof TemplateExecutionError || !(error instanceof Error)) throw error
      const { command } = args
      const whole = command === undefined ? place : { position: command.position, text: commandText(command) }
      return this.#fail(
        whole,
        error instanceof WrongType ? error.message : `error calling ${name}: ${error.message}`,
        error,
      )
    }
  }

  /** `and` and `or` evaluate no more arguments than they need. */
  #shortCircuit(
    name: 'and' | 'or',
    place: Place,
    args: { nodes: Operand[]; last: unknown; dot: unknown },
  ): unknown {
    if (args.nodes.length === 0 && args.last === none) {
      this.#fail(place, `wrong number of args for ${name}: want at least 1 got 0`)
    }
    let value: unknown
    for (const node of args.nodes) {
      value = this.#operand(node, args.dot)
      if (isTrue(value === absent ? undefined : value) === (name === 'or')) return value
    }
    return args.last === none ? value : args.last
  }
}

/** Runs a program over data. `strict` makes a key that a map lacks an error. Throws TemplateExecutionError. */
export function execute(program: Program, data: unknown, strict: boolean): string {
  return new Interpreter(program, strict).run(data)
}
