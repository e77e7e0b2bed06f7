/** Numbers and booleans as Go's libraries read them, with their error texts, for log options. */

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
