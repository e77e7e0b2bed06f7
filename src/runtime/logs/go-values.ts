/** Numbers, sizes and booleans as Go's libraries read them, with their error texts, for log options. */

const suffixes = 'bkmgtp'

/** A size with 1 k = 1000 (docker/go-units, FromHumanSize). Throws an Error with its text. */
export function sizeDecimal(text: string): number {
  return parseSize(text, 1000)
}

/** A size with 1 k = 1024 (docker/go-units, RAMInBytes). */
export function sizeBinary(text: string): number {
  return parseSize(text, 1024)
}

/** strconv.Atoi. */
export function goAtoi(text: string): number {
  if (!/^[+-]?\d{1,18}$/.test(text))
    throw new Error(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}

/** strconv.ParseBool. */
export function goParseBool(text: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`)
}

function parseSize(text: string, base: number): number {
  const match = /^(\d*\.?\d+|\d+\.) ?([a-zA-Z]*)$/.exec(text)
  if (match === null) throw new Error(`invalid size: '${text}'`)
  const [, number = '', unit = ''] = match
  const lower = unit.toLowerCase()
  const power = lower === '' ? 0 : suffixes.indexOf(lower.charAt(0))
  if (power < 0 || !['', lower.charAt(0), `${lower.charAt(0)}b`, `${lower.charAt(0)}ib`].includes(lower)) {
    throw new Error(`invalid suffix: '${unit}'`)
  }
  return Math.trunc(Number(number) * base ** power)
}
