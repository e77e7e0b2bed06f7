/**
 * Sizes as Docker reads and prints them (behaviour of its go-units package): decimal for what is stored,
 * binary for memory; numbers are rounded to significant digits as Go's `%.4g`.
 */

const decimalSuffixes = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB']
const binarySuffixes = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB']
const powers = ['k', 'm', 'g', 't', 'p']

/** `toFixed` that rounds exact ties to the even digit, as Go does. */
export function goFixed(value: number, digits: number): string {
  const scaled = Math.abs(value) * 10 ** digits
  const below = Math.floor(scaled)
  // Halfway cases are the ones whose denominator is a small power of two; others only look so.
  const isTie = scaled - below === 0.5 && Number.isInteger(value * 2 ** (digits + 1))
  if (!isTie || below % 2 === 1) return value.toFixed(digits)
  return ((Math.sign(value) * below) / 10 ** digits).toFixed(digits)
}

/** Go's `%.Ng` for a number: N significant digits, no trailing zeros, an exponent where Go writes one. */
export function goGeneral(value: number, digits: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa = '', exponentText = '0'] = value.toExponential(digits - 1).split('e')
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= digits) {
    const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
    const size = Math.abs(exponent)
    return `${short}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`
  }
  const fixed = goFixed(value, Math.max(0, digits - 1 - exponent))
  return fixed.includes('.') ? fixed.replace(/\.?0+$/, '') : fixed
}

function scaled(bytes: number, base: number, suffixes: readonly string[]): [number, string] {
  let value = bytes
  let index = 0
  while (value >= base && index < suffixes.length - 1) {
    value /= base
    index++
  }
  return [value, suffixes[index] ?? 'B']
}

/** Decimal size, `1.21MB`; `digits` significant ones (Docker uses 4, for images 3). */
export function humanSize(bytes: number, digits = 4): string {
  const [value, suffix] = scaled(bytes, 1000, decimalSuffixes)
  return goGeneral(value, digits) + suffix
}

/** Binary size, `1.5MiB`. */
export function bytesSize(bytes: number): string {
  const [value, suffix] = scaled(bytes, 1024, binarySuffixes)
  return goGeneral(value, 4) + suffix
}

const floatPattern = /^[+-]?(\d+(_?\d+)*\.?\d*|\.\d+)([eE][+-]?\d+)?$/

function parseSize(text: string, base: number): number {
  let split = -1
  for (let i = text.length - 1; i >= 0 && split < 0; i--) if (/[0-9. ]/.test(text.charAt(i))) split = i
  if (split < 0) throw new Error(`invalid size: '${text}'`)
  const number = text.charAt(split) === ' ' ? text.slice(0, split) : text.slice(0, split + 1)
  const suffix = text.slice(split + 1).toLowerCase()
  if (!floatPattern.test(number)) {
    throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`)
  }
  const value = Number(number)
  if (value < 0) throw new Error(`invalid size: '${text}'`)
  if (suffix === '' || suffix === 'b') return Math.trunc(value)
  const power = powers.indexOf(suffix.charAt(0))
  const rest = suffix.slice(1)
  if (power < 0 || (rest !== '' && rest !== 'b' && rest !== 'ib'))
    throw new Error(`invalid suffix: '${suffix}'`)
  return Math.trunc(value * base ** (power + 1))
}

/** Bytes of a size like `512m` or `1.5GiB`, binary units. Throws Docker's text. */
export function ramInBytes(text: string): number {
  return parseSize(text, 1024)
}

/** Bytes of a size like `10GB`, decimal units. Throws Docker's text. */
export function fromHumanSize(text: string): number {
  return parseSize(text, 1000)
}
