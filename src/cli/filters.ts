/** The `--filter key=value` flag of lists and prunes. */
import { flag } from '../lib/flags.ts'
import type { Flag } from '../lib/flags.ts'

/** Filters in the order given. */
export type Filters = readonly (readonly [string, string])[]

/** A `-f, --filter` flag. Keys are lower-cased and trimmed as Docker does. */
export function filterFlag(
  help = 'Show only what meets these conditions',
  short: string | null = 'f',
): Flag<Filters> {
  return flag.custom<Filters>(
    {
      type: 'filter',
      initial: [],
      parse: (text, previous) => {
        if (text === '') return previous
        const at = text.indexOf('=')
        if (at < 0) throw new Error('bad format of filter (expected name=value)')
        return [...previous, [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()]]
      },
    },
    help,
    short === null ? {} : { short },
  )
}
