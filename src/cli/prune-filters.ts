/** Filters of prune commands: the command line's, and the configuration's `pruneFilters`. */
import type { Cli } from './cli.ts'
import type { Filters } from './filters.ts'

/** The filters of a prune; those of the configuration hold unless the command line says the opposite. */
export function pruneFilters(cli: Cli, given: Filters): Filters {
  const opposite = (key: string) => (key === 'label' ? 'label!' : key === 'label!' ? 'label' : undefined)
  const configured = (cli.config.pruneFilters ?? []).flatMap((filter): [string, string][] => {
    const at = filter.indexOf('=')
    if (at < 0) return []
    const [key, value] = [filter.slice(0, at), filter.slice(at + 1)]
    const other = opposite(key)
    if (other !== undefined && given.some(([name, text]) => name === other && text === value)) return []
    return [[key, value]]
  })
  return [...given, ...configured]
}
