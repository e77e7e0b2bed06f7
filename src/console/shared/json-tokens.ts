/** JSON text taken apart for colours. */

/** A piece of text and what it is. */
export type JsonToken = { kind: 'key' | 'string' | 'number' | 'word' | 'plain'; text: string }

const pattern = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g

/** The text's pieces, in order; joined they are the text. */
export function jsonTokens(text: string): JsonToken[] {
  const tokens: JsonToken[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) tokens.push({ kind: 'plain', text: text.slice(end, match.index) })
    const [whole, string, colon] = match
    end = match.index + whole.length
    if (string === undefined) tokens.push({ kind: /^[tfn]/.test(whole) ? 'word' : 'number', text: whole })
    else {
      tokens.push({ kind: colon === undefined ? 'string' : 'key', text: string })
      if (colon !== undefined) tokens.push({ kind: 'plain', text: colon })
    }
  }
  if (end < text.length) tokens.push({ kind: 'plain', text: text.slice(end) })
  return tokens
}

/** The text with line breaks, for reading; as it is where it has them already, or is no JSON. */
export function indentedJson(text: string): string {
  if (text.trim().includes('\n')) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    // Not JSON: shown as it came.
    return text
  }
}
