/** Re-indents JSON text without reading it into values, as Go's json.Indent: keys, numbers and escapes stay as they are. */
export function indentJson(text: string, prefix: string, indent: string): string {
  let result = ''
  let depth = 0
  let needIndent = false
  const line = () => `\n${prefix}${indent.repeat(depth)}`
  const token = /"(?:[^"\\]|\\[\s\S])*"|[{}[\],:]|[^\s{}[\],:"]+/g
  for (const [part] of text.matchAll(token)) {
    if (needIndent && part !== '}' && part !== ']') {
      depth++
      result += line()
    }
    if (part === '{' || part === '[') {
      needIndent = true
      result += part
      continue
    }
    if (part === '}' || part === ']') {
      if (!needIndent) {
        depth--
        result += line()
      }
      result += part
    } else if (part === ',') result += part + line()
    else if (part === ':') result += ': '
    else result += part
    needIndent = false
  }
  return result
}
