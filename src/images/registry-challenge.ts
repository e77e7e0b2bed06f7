/** What a registry asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1). */

/** One challenge; the scheme and the names of parameters are in lower case. */
export type Challenge = { scheme: string; parameters: ReadonlyMap<string, string> }

const maxHeaderLength = 16 * 1024
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const separators = /[\s,]*/y

/** Parses a header's values joined by commas. What cannot be read ends the list; nothing is thrown. */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, maxHeaderLength)
  const challenges: Challenge[] = []
  let at = 0
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  let parameters = new Map<string, string>()
  for (;;) {
    take(separators)
    const word = take(token)
    if (word === undefined) return challenges
    const afterWord = at
    take(blanks)
    if (text[at] === '=') {
      at += 1
      take(blanks)
      const value = text[at] === '"' ? unquote(take(quoted)) : take(token)
      if (value === undefined) return challenges
      parameters.set(word.toLowerCase(), value)
    } else {
      at = afterWord
      parameters = new Map()
      challenges.push({ scheme: word.toLowerCase(), parameters })
    }
  }
}

const blanks = /[ \t]*/y
const quoted = /"(?:[^"\\]|\\.)*"/sy

function unquote(text: string | undefined): string | undefined {
  return text?.slice(1, -1).replace(/\\(.)/gs, '$1')
}
