/** Go's path.Match: shell patterns where `*` and `?` stop at slashes. */

/** Whether the whole name matches. Throws Go's text for a bad pattern. */
export function pathMatch(pattern: string, name: string): boolean {
  return new RegExp(`^${expression(pattern)}$`, 'su').test(name)
}

const bad = () => new Error('syntax error in pattern')

function expression(pattern: string): string {
  const characters = Array.from(pattern)
  let result = ''
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ''
    if (character === '*') result += '[^/]*'
    else if (character === '?') result += '[^/]'
    else if (character === '\\') {
      at += 1
      const next = characters[at]
      if (next === undefined) throw bad()
      result += literal(next)
    } else if (character === '[') {
      const { text, end } = characterClass(characters, at + 1)
      result += text
      at = end
    } else result += literal(character)
  }
  return result
}

function characterClass(characters: readonly string[], start: number): { text: string; end: number } {
  let at = start
  const negated = characters[at] === '^'
  if (negated) at += 1
  let ranges = ''
  while (ranges === '' || characters[at] !== ']') {
    const low = classCharacter(characters, at)
    at = low.next
    let high = low.text
    if (characters[at] === '-') {
      const end = classCharacter(characters, at + 1)
      at = end.next
      high = end.text
    }
    // An empty range matches nothing, which a regular expression would refuse.
    if (low.text <= high) ranges += `${literal(low.text)}-${literal(high)}`
    else ranges += literal('\0')
  }
  return { text: `(?!/)[${negated ? '^' : ''}${ranges}]`, end: at }
}

function classCharacter(characters: readonly string[], at: number): { text: string; next: number } {
  const character = characters[at]
  if (character === undefined || character === '-' || character === ']') throw bad()
  if (character !== '\\') return { text: character, next: at + 1 }
  const escaped = characters[at + 1]
  if (escaped === undefined) throw bad()
  return { text: escaped, next: at + 2 }
}

function literal(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
