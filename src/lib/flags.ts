/**
 * Command line flags with the semantics and error texts of Go's pflag, which Docker's CLI is made of: clusters of
 * short flags, `-e=VALUE`, `--flag=value`, `--`, flags after arguments (or not). A command declares its flags as
 * a record of `Flag` values; `parseFlags` returns their values, typed by that record.
 */
import { parseDuration } from './duration.ts'
import { quoteGo } from './go-quote.ts'
import { ramInBytes } from './units.ts'

/** One flag. `parse` throws an Error whose message is the reason shown; lists build on `previous`. */
export type Flag<T> = {
  /** What help shows after the name; empty for booleans. */
  readonly type: string
  readonly short?: string
  readonly help: string
  readonly initial: T
  /** What help shows as `(default ...)`; nothing is shown when absent. */
  readonly shownDefault?: string
  /** The value when the flag stands alone (`--rm`); absent when it needs an argument. */
  readonly alone?: string
  readonly hidden?: boolean
  /** Printed as a warning when the flag is used; implies hidden. */
  readonly deprecated?: string
  // A method, so that a Flag of any value can stand in a record of flags.
  parse(text: string, previous: T, first: boolean): T
}

/** What a flag constructor takes beside its kind. */
export type FlagOptions = {
  short?: string
  hidden?: boolean
  deprecated?: string
  shownDefault?: string
  type?: string
}

/** The flags of a command, by long name. */
export type Flags = Readonly<Record<string, Flag<unknown>>>
/** Values of a command's flags, by long name. */
export type FlagValues<F> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never }

/** What was found on a command line. */
export type ParsedFlags<F> = {
  values: FlagValues<F>
  args: string[]
  /** Long names of the flags that were given. */
  given: Set<string>
  /** `Flag --x has been deprecated` lines for stderr. */
  warnings: string[]
  help: boolean
}

/** A boolean as Go's strconv.ParseBool reads it. */
export function parseBool(text: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw new Error(`strconv.ParseBool: parsing ${quoteGo(text)}: invalid syntax`)
}

/** An integer as Go's ParseInt with base 0 reads it: decimal, 0x, 0o, 0b, leading 0. */
export function parseInteger(
  text: string,
  options: { bits?: number; unsigned?: boolean; name?: string } = {},
): number {
  const { bits = 64, unsigned = false } = options
  const name = options.name ?? (unsigned ? 'ParseUint' : 'ParseInt')
  const pattern = /^([+-]?)(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)$/
  const match = pattern.exec(text)
  if (match === null || (unsigned && match[1] !== '')) {
    throw new Error(`strconv.${name}: parsing ${quoteGo(text)}: invalid syntax`)
  }
  const digits = (match[2] ?? '').replace(/^0(?=[0-7])/, '0o')
  const value = BigInt(digits) * (match[1] === '-' ? -1n : 1n)
  const least = unsigned ? 0n : -(1n << BigInt(bits - 1))
  const most = unsigned ? (1n << BigInt(bits)) - 1n : (1n << BigInt(bits - 1)) - 1n
  if (value < least || value > most) {
    throw new Error(`strconv.${name}: parsing ${quoteGo(text)}: value out of range`)
  }
  return Number(value)
}

const make = <T>(base: Flag<T>, options: FlagOptions): Flag<T> => ({ ...base, ...options })
const text = (value: string) => value

/** Constructors of flags, by the type name that help shows. */
export const flag = {
  bool: (help: string, options: FlagOptions & { initial?: boolean } = {}): Flag<boolean> => {
    const { initial = false, ...rest } = options
    const shown = initial ? { shownDefault: 'true' } : {}
    return make({ type: '', help, initial, alone: 'true', parse: parseBool, ...shown }, rest)
  },
  string: (help: string, options: FlagOptions & { initial?: string } = {}): Flag<string> => {
    const { initial = '', ...rest } = options
    const shown = initial === '' ? {} : { shownDefault: quoteGo(initial) }
    return make({ type: 'string', help, initial, parse: text, ...shown }, rest)
  },
  int: (help: string, options: FlagOptions & { initial?: number } = {}): Flag<number> => {
    const { initial = 0, ...rest } = options
    const shown = initial === 0 ? {} : { shownDefault: String(initial) }
    return make({ type: 'int', help, initial, parse: (value) => parseInteger(value), ...shown }, rest)
  },
  uint: (bits: 16 | 64, help: string, options: FlagOptions = {}): Flag<number> =>
    make(
      {
        type: bits === 64 ? 'uint' : `uint${bits}`,
        help,
        initial: 0,
        parse: (value) => parseInteger(value, { bits, unsigned: true }),
      },
      options,
    ),
  bytes: (help: string, options: FlagOptions = {}): Flag<number> =>
    make({ type: 'bytes', help, initial: 0, parse: ramInBytes }, options),
  /** Nanoseconds; undefined when not given and no initial value is named. */
  duration: (help: string, options: FlagOptions = {}): Flag<number> =>
    make({ type: 'duration', help, initial: 0, parse: parseDuration, shownDefault: '0s' }, options),
  /** Repeatable; `check` may rewrite a value or throw the reason why it is refused. */
  list: (help: string, options: FlagOptions = {}, check: (value: string) => string = text): Flag<string[]> =>
    make<string[]>(
      { type: 'list', help, initial: [], parse: (value, previous) => [...previous, check(value)] },
      options,
    ),
  /** Repeatable `key=value`. */
  map: (help: string, options: FlagOptions = {}): Flag<Record<string, string>> =>
    make<Record<string, string>>(
      {
        type: 'map',
        help,
        initial: {},
        shownDefault: 'map[]',
        parse: (value, previous) => {
          const at = value.indexOf('=')
          return { ...previous, [at < 0 ? value : value.slice(0, at)]: at < 0 ? '' : value.slice(at + 1) }
        },
      },
      options,
    ),
  /** A flag of another kind. */
  custom: <T>(
    kind: { type: string; initial: T; parse: (value: string, previous: T, first: boolean) => T },
    help: string,
    options: FlagOptions = {},
  ): Flag<T> => make({ ...kind, help }, options),
}

/** A command line that its flags do not allow; the message is pflag's. */
export class FlagError extends Error {}

type Parsing = {
  flags: Readonly<Record<string, Flag<unknown>>>
  shorts: Map<string, string>
  values: Record<string, unknown>
  given: Set<string>
  warnings: string[]
  rest: string[]
}

function invalidArgument(shown: string, value: string, error: unknown): FlagError {
  const reason = error instanceof Error ? error.message : String(error)
  return new FlagError(`invalid argument ${quoteGo(value)} for ${quoteGo(shown)} flag: ${reason}`, {
    cause: error,
  })
}

function setFlag(state: Parsing, name: string, value: string): void {
  const spec = state.flags[name]
  if (spec === undefined) return
  try {
    state.values[name] = spec.parse(value, state.values[name], !state.given.has(name))
  } catch (error) {
    const shown = spec.short === undefined ? `--${name}` : `-${spec.short}, --${name}`
    throw invalidArgument(shown, value, error)
  }
  state.given.add(name)
  if (spec.deprecated !== undefined)
    state.warnings.push(`Flag --${name} has been deprecated, ${spec.deprecated}`)
}

/** Reads one `--name[=value]`. Returns true for a plea for help. */
function parseLong(state: Parsing, word: string): boolean {
  const body = word.slice(2)
  if (/^[-=]/.test(body)) throw new FlagError(`bad flag syntax: ${word}`)
  const at = body.indexOf('=')
  const name = at < 0 ? body : body.slice(0, at)
  // A command may list --help among its flags; it means the same there.
  if (name === 'help') {
    try {
      return at < 0 || parseBool(body.slice(at + 1))
    } catch (error) {
      throw invalidArgument('--help', body.slice(at + 1), error)
    }
  }
  const spec = Object.hasOwn(state.flags, name) ? state.flags[name] : undefined
  if (spec === undefined) throw new FlagError(`unknown flag: --${name}`)
  if (at >= 0) setFlag(state, name, body.slice(at + 1))
  else if (spec.alone !== undefined) setFlag(state, name, spec.alone)
  else {
    const next = state.rest.shift()
    if (next === undefined) throw new FlagError(`flag needs an argument: ${word}`)
    setFlag(state, name, next)
  }
  return false
}

/** Reads a cluster of short flags. Returns true for a plea for help. */
function parseShort(state: Parsing, cluster: string): boolean {
  let letters = cluster
  while (letters !== '') {
    const letter = letters.charAt(0)
    const name = state.shorts.get(letter)
    const spec = name === undefined ? undefined : state.flags[name]
    if (name === undefined || spec === undefined) {
      if (letter === 'h') {
        state.warnings.push('Flag shorthand -h has been deprecated, use --help')
        return true
      }
      throw new FlagError(`unknown shorthand flag: '${letter}' in -${letters}`)
    }
    if (letters.length > 2 && letters.charAt(1) === '=') {
      setFlag(state, name, letters.slice(2))
      return false
    }
    if (spec.alone !== undefined) {
      setFlag(state, name, spec.alone)
      letters = letters.slice(1)
      continue
    }
    const value = letters.length > 1 ? letters.slice(1) : state.rest.shift()
    if (value === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${letters}`)
    setFlag(state, name, value)
    return false
  }
  return false
}

/**
 * Parses `words`. Without `interspersed`, everything from the first argument on is an argument. `-h` and `--help`
 * end parsing with `help` set, unless a flag of the command claims the name. Throws FlagError.
 */
export function parseFlags<F extends Flags>(
  flags: F,
  words: readonly string[],
  interspersed = true,
): ParsedFlags<F> {
  const specs: Flags = flags
  const shorts = new Map<string, string>()
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(specs)) {
    values[name] = spec.initial
    if (spec.short !== undefined) shorts.set(spec.short, name)
  }
  const state: Parsing = { flags: specs, shorts, values, given: new Set(), warnings: [], rest: [...words] }
  const args: string[] = []
  let help = false
  while (!help) {
    const word = state.rest.shift()
    if (word === undefined) break
    if (!word.startsWith('-') || word === '-') {
      args.push(word)
      if (!interspersed) break
    } else if (word === '--') break
    else help = word.startsWith('--') ? parseLong(state, word) : parseShort(state, word.slice(1))
  }
  if (!help) args.push(...state.rest)
  return { values: typed<F>(values), args, given: state.given, warnings: state.warnings, help }
}

// The one place where the values get the type that their flags declare.
function typed<F>(values: Record<string, unknown>): FlagValues<F> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each value came from its flag's initial or parse
  return values as FlagValues<F>
}
