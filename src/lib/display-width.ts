/** How many columns text takes on a terminal, as Docker's lists count them: two for East Asian wide characters. */

const wide =
  /^[\u1100-\u115f\u231a\u231b\u2329\u232a\u2e80-\u303e\u3041-\u3247\u3250-\u4dbf\u4e00-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]$/u
const zero = /^[\p{Cc}\p{Mn}\p{Me}\p{Cf}]$/u
const plain = /^[ -~\u00ae-\u02ff]*$/

/** Columns of a text. Control characters and marks on others take none. */
export function displayWidth(text: string): number {
  if (plain.test(text)) return text.length
  const columns = (character: string) => (zero.test(character) ? 0 : wide.test(character) ? 2 : 1)
  return Array.from(text).reduce((width, character) => width + columns(character), 0)
}

/** The text in so many columns at most: what is too long ends in an ellipsis. Every character counts here. */
export function ellipsis(text: string, columns: number): string {
  let width = 0
  let cut = ''
  for (const character of text) {
    width += wide.test(character) ? 2 : 1
    if (width > columns) return `${cut}…`
    if (width < columns) cut += character
  }
  return text
}
