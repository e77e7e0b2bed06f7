/** The words of a Dockerfile instruction: quotes, escapes and variables, as the builder's shell lexer reads them. */

/** Variables by name. */
export type Variables = ReadonlyMap<string, string>

/** Splits into words at blanks outside of quotes, with variables replaced. Throws for an open quote. */
export function changeWords(text: string, variables: Variables): string[] {
  const words: string[] = []
  const state: State = { text, at: 0, variables }
  while (state.at < text.length) {
    if (isBlank(text[state.at])) {
      state.at += 1
      continue
    }
    words.push(word(state))
  }
  return words
}

/** The text as one word, with quotes taken off and variables replaced. */
export function expandChange(text: string, variables: Variables): string {
  const state: State = { text, at: 0, variables }
  let result = ''
  while (state.at < text.length) {
    result += word(state)
    while (isBlank(text[state.at])) {
      result += text[state.at] ?? ''
      state.at += 1
    }
  }
  return result
}

type State = { text: string; at: number; variables: Variables }

function isBlank(character: string | undefined): boolean {
  return character !== undefined && /\s/.test(character)
}

function word(state: State): string {
  let result = ''
  while (state.at < state.text.length && !isBlank(state.text[state.at])) result += piece(state)
  return result
}

function piece(state: State): string {
  const character = state.text[state.at] ?? ''
  if (character === "'") return singleQuoted(state)
  if (character === '"') return doubleQuoted(state)
  if (character === '$') return variable(state)
  state.at += 1
  if (character !== '\\') return character
  const next = state.text[state.at]
  state.at += 1
  return next ?? ''
}

function singleQuoted(state: State): string {
  const end = state.text.indexOf("'", state.at + 1)
  if (end === -1) throw new Error('unexpected end of statement while looking for matching single-quote')
  const inner = state.text.slice(state.at + 1, end)
  state.at = end + 1
  return inner
}

function doubleQuoted(state: State): string {
  let result = ''
  state.at += 1
  for (;;) {
    const character = state.text[state.at]
    if (character === undefined) {
      throw new Error('unexpected end of statement while looking for matching double-quote')
    }
    if (character === '"') {
      state.at += 1
      return result
    }
    const next = state.text[state.at + 1]
    if (character === '$') result += variable(state)
    else if (character === '\\' && next !== undefined && '"$\\'.includes(next)) {
      result += next
      state.at += 2
    } else {
      result += character
      state.at += 1
    }
  }
}

const plainName = /^([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-])/
const braced = /^\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+?])([^}]*))?\}/

function variable(state: State): string {
  const rest = state.text.slice(state.at + 1)
  const inBraces = braced.exec(rest)
  if (inBraces !== null) {
    state.at += 1 + inBraces[0].length
    const [, name = '', operator, argument = ''] = inBraces
    return substitute(state.variables, name, { operator, argument })
  }
  if (rest.startsWith('{')) throw new Error('unsupported modifier in substitution')
  const name = plainName.exec(rest)?.[0]
  if (name === undefined) {
    state.at += 1
    return '$'
  }
  state.at += 1 + name.length
  return state.variables.get(name) ?? ''
}

function substitute(
  variables: Variables,
  name: string,
  { operator, argument }: { operator: string | undefined; argument: string },
): string {
  const value = variables.get(name) ?? ''
  if (operator === '-') return value === '' ? expandChange(argument, variables) : value
  if (operator === '+') return value === '' ? '' : expandChange(argument, variables)
  if (operator === '?' && value === '') throw new Error(`${name}: ${argument || 'not allowed to be unset'}`)
  return value
}
