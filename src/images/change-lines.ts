/**
 * The lines of `--change` taken apart as a Dockerfile's: directives, comments, lines that go on, and of each instruction
 * its flags and arguments. What is wrong is thrown as invalid, in the builder's words.
 */
import { EngineError } from '../spec/errors.ts'
import { quoteGo } from '../lib/go-quote.ts'
import { blank, isBlank, type EscapeToken } from './change-words.ts'

/** One instruction. */
export type Instruction = {
  name: string
  flags: readonly string[]
  args: readonly string[]
  /** Whether the arguments came as a list in JSON. */
  isJson: boolean
  /** What stands after the name, as it was written. */
  written: string
}

const longestLineBytes = 65_535
const invalid = (message: string) => new EngineError('invalid', message)

/** All instructions, and the escape token that a directive chose. */
export function parseChangeLines(text: string): { instructions: Instruction[]; escape: EscapeToken } {
  const lines = text
    .replace(/^\u{feff}/u, '')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
  const tooLong = lines.findIndex((line) => Buffer.byteLength(line) > longestLineBytes)
  const readable = tooLong === -1 ? lines : lines.slice(0, tooLong)
  const escape = escapeOf(readable)
  const instructions = wholeLines(readable, escape).map((line) => instructionOf(line, escape))
  if (instructions.length === 0) throw invalid('file with no instructions')
  if (tooLong !== -1) {
    throw invalid(`dockerfile line greater than max allowed size of ${longestLineBytes}`)
  }
  return { instructions, escape }
}

const trimStart = (text: string) => text.replace(new RegExp(`^${blank}+`), '')
const trim = (text: string) => trimStart(text).replace(new RegExp(`${blank}+$`), '')
const isComment = (line: string) => trimStart(line).startsWith('#')

/** Directives are comments `# name=value` before anything else. */
function escapeOf(lines: readonly string[]): EscapeToken {
  const seen = new Set<string>()
  let escape: EscapeToken = '\\'
  for (const line of lines) {
    const [, name = '', value = ''] =
      /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(trimStart(line)) ?? []
    const key = name.toLowerCase()
    if (key !== 'escape' && key !== 'syntax') break
    if (seen.has(key)) throw invalid(`only one ${key} parser directive can be used`)
    seen.add(key)
    if (key !== 'escape') continue
    if (value !== '\\' && value !== '`') {
      throw invalid(`invalid escape token '${value}' does not match \` or \\`)
    }
    escape = value
  }
  return escape
}

/** Lines with those that they go on with. An escape token at the end goes on, unless it is escaped itself. */
function wholeLines(lines: readonly string[], escape: EscapeToken): string[] {
  const goesOn = escape === '\\' ? /(^|[^\\])\\[ \t]*$/ : /(^|[^`])`[ \t]*$/
  const whole: string[] = []
  let open: string | undefined
  for (const line of lines) {
    if (isComment(line)) continue
    const text = open === undefined ? trimStart(line) : line
    if (trimStart(text) === '') continue
    const joined = (open ?? '') + text.replace(goesOn, '$1')
    open = goesOn.test(text) ? joined : undefined
    if (open === undefined) whole.push(joined)
  }
  return open === undefined ? whole : [...whole, open]
}

const nameEnd = /[\t\v\f\r ]+/

function instructionOf(line: string, escape: EscapeToken): Instruction {
  const { before: name, after } = cut(trim(line))
  const { flags, rest } = takeFlags(after)
  const text = trim(rest)
  const written = trimStart(line).slice(name.length).replace(/^\s+/, '')
  return { name, flags, written, ...argumentsOf(name, text, escape) }
}

/** Parted at the first blanks. */
function cut(text: string): { before: string; after: string } {
  const match = nameEnd.exec(text)
  if (match === null) return { before: text, after: '' }
  return { before: text.slice(0, match.index), after: text.slice(match.index + match[0].length) }
}

type Arguments = { args: string[]; isJson: boolean }

function argumentsOf(name: string, text: string, escape: EscapeToken): Arguments {
  const plain = (args: string[]): Arguments => ({ args, isJson: false })
  if (text === '') return plain([])
  switch (name.toLowerCase()) {
    case 'cmd':
    case 'entrypoint':
    case 'run':
    case 'shell':
    case 'add':
    case 'copy':
      return jsonList(text) ?? plain([text])
    case 'volume':
      return jsonList(text) ?? plain(text.split(nameEnd))
    case 'expose':
      return plain(text.split(nameEnd))
    case 'env':
    case 'label':
      return plain(namesAndValues(name.toUpperCase(), text, escape))
    case 'healthcheck':
      return healthArguments(text)
    case 'onbuild':
      return plain([instructionOf(text, escape).name])
    default:
      return plain([text])
  }
}

function healthArguments(text: string): Arguments {
  const type = new RegExp(`^.*?(?=${blank}|$)`, 's').exec(text)?.[0] ?? ''
  const command = trimStart(text.slice(type.length))
  const { args, isJson } = jsonList(command) ?? { args: command === '' ? [] : [command], isJson: false }
  return { args: [type, ...args], isJson }
}

/** A list of strings in JSON that the text begins with; what follows it does not matter. */
function jsonList(text: string): Arguments | undefined {
  let value: unknown
  try {
    value = JSON.parse(firstArray(text))
  } catch {
    return undefined
  }
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw invalid('when using JSON array syntax, arrays must be comprised of strings only')
  }
  return { args: value.map((item) => item.toWellFormed()), isJson: true }
}

/** The text up to the bracket that closes the first; nothing where that isn't so. */
function firstArray(text: string): string {
  if (!text.startsWith('[')) return ''
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\[^])*"|[[\]]/g)) {
    if (token === '[') depth += 1
    else if (token === ']') depth -= 1
    if (depth === 0) return text.slice(0, index + 1)
  }
  return ''
}

/** `NAME=VALUE ...`, or the old form `NAME VALUE`. */
function namesAndValues(instruction: string, text: string, escape: EscapeToken): string[] {
  const words = quotedWords(text, escape)
  if (words[0]?.includes('=') !== true) {
    const { before, after } = cut(text)
    if (before === text) throw invalid(`${instruction} must have two arguments`)
    return [before, after]
  }
  return words.flatMap((word) => {
    const equals = word.indexOf('=')
    if (equals === -1) {
      throw invalid(`Syntax error - can't find = in ${quoteGo(word)}. Must be of the form: name=value`)
    }
    return [word.slice(0, equals), word.slice(equals + 1)]
  })
}

/** Split at blanks outside of quotes; quotes and escapes stay. */
function quotedWords(text: string, escape: EscapeToken): string[] {
  const words: string[] = []
  for (let rest = text; rest !== '';) {
    const { word, length } = takeWord(rest, { escape, isFlag: false })
    words.push(word)
    rest = trimStart(rest.slice(length))
  }
  return words
}

/** Words before the arguments that begin with `--`, without their quotes; `--` alone ends them. */
function takeFlags(text: string): { flags: string[]; rest: string } {
  const flags: string[] = []
  let rest = trimStart(text)
  while (rest.startsWith('--')) {
    const { word, length } = takeWord(rest, { escape: '\\', isFlag: true })
    rest = trimStart(rest.slice(length))
    if (word === '--') break
    flags.push(word)
  }
  return { flags, rest }
}

/** The text up to a blank outside of quotes. A flag loses its quotes and escapes, which count in all its quotes. */
function takeWord(
  text: string,
  { escape, isFlag }: { escape: EscapeToken; isFlag: boolean },
): { word: string; length: number } {
  let word = ''
  let quote = ''
  let at = 0
  for (; at < text.length; at++) {
    const character = text.charAt(at)
    if (quote === '' && isBlank.test(character)) break
    if (character === escape && (isFlag || quote !== "'")) {
      at += 1
      if (at < text.length) word += `${isFlag ? '' : character}${text.charAt(at)}`
      continue
    }
    const isQuote = quote === '' ? character === '"' || character === "'" : character === quote
    if (isQuote) quote = quote === '' ? character : ''
    if (!isQuote || !isFlag) word += character
  }
  return { word, length: at }
}
