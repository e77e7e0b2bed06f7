/** Flags that a command only knows of, or passes on as they are: each by its type as help shows it, and its help. */
import { flag } from '../lib/flags.ts'
import type { Flag, Flags } from '../lib/flags.ts'

/** Type, help, and the short name if there is one. An empty type is a switch. */
export type PlainFlag = readonly [type: string, help: string, short?: string]

/** See the file's head. */
export function plainFlags(specs: Readonly<Record<string, PlainFlag>>): Flags {
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, plainFlag(spec)]))
}

function plainFlag([type, help, short]: PlainFlag): Flag<unknown> {
  const options = short === undefined ? {} : { short }
  if (type === '') return flag.bool(help, options)
  if (type === 'string') return flag.string(help, options)
  if (type === 'int') return flag.int(help, options)
  if (type === 'uint') return flag.uint(64, help, options)
  if (type === 'duration') {
    const { shownDefault: _zero, ...duration } = flag.duration(help, options)
    return duration
  }
  if (type === 'bytes') return flag.bytes(help, options)
  return { ...flag.list(help, options), type }
}
