/** Flags whose value is a comma-separated list and which may be repeated, as pflag's `strings`. */
import { flag } from '../lib/flags.ts'
import type { Flag, FlagOptions } from '../lib/flags.ts'

/** A repeatable flag of comma-separated values. */
export function commaListFlag(help: string, options: FlagOptions = {}): Flag<string[]> {
  return flag.custom<string[]>(
    {
      type: 'strings',
      initial: [],
      parse: (text, previous, first) => [...(first ? [] : previous), ...(text === '' ? [] : text.split(','))],
    },
    help,
    options,
  )
}
