/** Go's fmt verbs for the values that templates hold: Sprintf, Sprint, Sprintln. */
import { quoteGo } from './go-quote.ts'
import { GoStruct, floatOf, formatValue, goType, intOf } from './go-value.ts'
import { goFixed, goGeneral } from './units.ts'

type Flags = { minus: boolean; plus: boolean; sharp: boolean; space: boolean; zero: boolean }
type Spec = { flags: Flags; width: number | undefined; precision: number | undefined; verb: string }

function characters(text: string): string[] {
  return Array.from(text)
}

function pad(text: string, spec: Spec, numeric: boolean): string {
  const missing = (spec.width ?? 0) - characters(text).length
  if (missing <= 0) return text
  if (spec.flags.minus) return text + ' '.repeat(missing)
  if (!spec.flags.zero || !numeric) return ' '.repeat(missing) + text
  const sign = /^[+\- ]/.exec(text)?.[0] ?? ''
  return sign + '0'.repeat(missing) + text.slice(sign.length)
}

function signed(text: string, negative: boolean, flags: Flags): string {
  return (negative ? '-' : flags.plus ? '+' : flags.space ? ' ' : '') + text
}

const radix: Record<string, [number, string]> = {
  b: [2, '0b'],
  o: [8, '0'],
  O: [8, '0o'],
  x: [16, '0x'],
  X: [16, '0X'],
}

function formatInteger(value: number | bigint, spec: Spec): string | undefined {
  const { verb, flags } = spec
  const negative = value < 0
  const size = negative ? -BigInt(value) : BigInt(value)
  if (verb === 'd' || verb === 'v') {
    const digits = size.toString().padStart(spec.precision ?? 0, '0')
    return pad(signed(digits, negative, flags), spec, true)
  }
  const base = radix[verb]
  if (base !== undefined) {
    let digits = size.toString(base[0]).padStart(spec.precision ?? 0, '0')
    if (verb === 'X') digits = digits.toUpperCase()
    return pad(signed((flags.sharp || verb === 'O' ? base[1] : '') + digits, negative, flags), spec, true)
  }
  const code = Number(value)
  const character = code >= 0 && code <= 0x10_ff_ff ? String.fromCodePoint(code) : '\ufffd'
  if (verb === 'c') return pad(character, spec, false)
  if (verb === 'q')
    return pad(`'${character === "'" ? "\\'" : quoteGo(character).slice(1, -1)}'`, spec, false)
  if (verb === 'U') return pad(`U+${code.toString(16).toUpperCase().padStart(4, '0')}`, spec, false)
  return undefined
}

function formatReal(value: number, spec: Spec): string | undefined {
  const size = Math.abs(value)
  const negative = value < 0 || Object.is(value, -0)
  const exponent = (text: string) => text.replace(/e([+-])(\d)$/, 'e$10$2')
  let text: string
  switch (spec.verb.toLowerCase()) {
    case 'f':
      text = goFixed(size, Math.min(spec.precision ?? 6, 100))
      break
    case 'e':
      text = exponent(size.toExponential(Math.min(spec.precision ?? 6, 100)))
      break
    case 'g':
      text =
        spec.precision === undefined
          ? formatValue(size)
          : goGeneral(size, Math.max(1, Math.min(spec.precision, 100)))
      break
    case 'v':
      text = formatValue(size)
      break
    default:
      return undefined
  }
  if (/^[EG]$/.test(spec.verb)) text = text.toUpperCase()
  return pad(signed(text, negative, spec.flags), spec, true)
}

function formatString(value: string, spec: Spec): string | undefined {
  const text = spec.precision === undefined ? value : characters(value).slice(0, spec.precision).join('')
  switch (spec.verb) {
    case 's':
    case 'v':
      return pad(spec.verb === 'v' && spec.flags.sharp ? quoteGo(text) : text, spec, false)
    case 'q':
      return pad(spec.flags.sharp && !/[`\n]/.test(text) ? `\`${text}\`` : quoteGo(text), spec, false)
    case 'x':
    case 'X': {
      const pairs = Array.from(Buffer.from(text), (byte) => byte.toString(16).padStart(2, '0'))
      const hex = (spec.flags.sharp ? '0x' : '') + pairs.join(spec.flags.space ? ' ' : '')
      return pad(spec.verb === 'X' ? hex.toUpperCase() : hex, spec, false)
    }
    default:
      return undefined
  }
}

function formatOne(value: unknown, spec: Spec): string {
  const { verb, flags } = spec
  if (verb === 'T') return pad(goType(value), spec, false)
  const bad = () => `%!${verb}(${goType(value)}=${formatValue(value)})`
  if (value === null || value === undefined)
    return verb === 'v' ? pad('<nil>', spec, false) : `%!${verb}(<nil>)`
  if (typeof value === 'string') return formatString(value, spec) ?? bad()
  if (typeof value === 'boolean')
    return verb === 't' || verb === 'v' ? pad(String(value), spec, false) : bad()
  const float = floatOf(value)
  if (float !== undefined) return formatReal(float, spec) ?? bad()
  const integer = intOf(value)
  if (integer !== undefined) return formatInteger(integer, spec) ?? bad()
  if (verb === 'v') return pad(formatValue(value, flags.sharp ? '#v' : flags.plus ? '+v' : 'v'), spec, false)
  if (Array.isArray(value)) return `[${value.map((item) => formatOne(item, spec)).join(' ')}]`
  if (value instanceof GoStruct || typeof value !== 'object') return bad()
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `map[${entries.map(([key, item]) => `${formatOne(key, spec)}:${formatOne(item, spec)}`).join(' ')}]`
}

const directive = /%([-+# 0]*)(?:(\*)|(\d+))?(?:(\.)(?:(\*)|(\d+))?)?(?:\[(\d+)\])?([\s\S])?/gu

/** fmt.Sprintf. */
export function goSprintf(format: string, args: readonly unknown[]): string {
  let next = 0
  let reordered = false
  const star = (): number | undefined => {
    const value = intOf(args[next++])
    return value === undefined ? undefined : Number(value)
  }
  const result = format.replaceAll(directive, (...found: (string | undefined)[]) => {
    const [, flagText = '', widthStar, widthText, dot, precisionStar, precisionText, index, verb] = found
    const flags: Flags = {
      minus: flagText.includes('-'),
      plus: flagText.includes('+'),
      sharp: flagText.includes('#'),
      space: flagText.includes(' '),
      zero: flagText.includes('0') && !flagText.includes('-'),
    }
    let width = widthStar === undefined ? (widthText === undefined ? undefined : Number(widthText)) : star()
    if (width !== undefined && width < 0) {
      flags.minus = true
      width = -width
    }
    if (width !== undefined && width > 1e6) return '%!(BADWIDTH)'
    const precision =
      dot === undefined ? undefined : precisionStar === undefined ? Number(precisionText ?? 0) : star()
    if (verb === undefined) return '%!(NOVERB)'
    if (verb === '%') return '%'
    if (index !== undefined) {
      next = Number(index) - 1
      reordered = true
    }
    if (next >= args.length || next < 0)
      return index === undefined ? `%!${verb}(MISSING)` : `%!${verb}(BADINDEX)`
    return formatOne(args[next++], { flags, width, precision, verb })
  })
  if (reordered || next >= args.length) return result
  const extra = args
    .slice(next)
    .map((value) => (value === null ? '<nil>' : `${goType(value)}=${formatValue(value)}`))
  return `${result}%!(EXTRA ${extra.join(', ')})`
}

/** fmt.Sprint: a space between operands when neither is a string. */
export function goSprint(args: readonly unknown[]): string {
  let text = ''
  args.forEach((value, index) => {
    if (index > 0 && typeof value !== 'string' && typeof args[index - 1] !== 'string') text += ' '
    text += formatValue(value)
  })
  return text
}

/** fmt.Sprintln. */
export function goSprintln(args: readonly unknown[]): string {
  return `${args.map((value) => formatValue(value)).join(' ')}\n`
}
