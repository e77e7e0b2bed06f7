/** Commands that do the same to every name they are given. */
import type { Cli } from './cli.ts'
import { CliError, failureOf } from './errors.ts'

/**
 * Does `action` for each name, at most 50 at a time, and prints its result (the name for none, nothing for null) in the order given.
 * Throws the failures' messages together when all are done.
 */
export async function forEachName(
  cli: Cli,
  names: readonly string[],
  action: (name: string) => Promise<string | null | void>,
): Promise<void> {
  const limit = 50
  const failures: string[] = []
  for (let from = 0; from < names.length; from += limit) {
    const part = names.slice(from, from + limit)
    const results = await Promise.allSettled(
      part.map(async (name) => {
        const shown = await action(name)
        return shown === undefined ? name : shown
      }),
    )
    for (const result of results) {
      if (result.status === 'fulfilled') {
        if (result.value !== null) cli.print(result.value)
      } else failures.push(failureOf(result.reason).message)
    }
  }
  if (failures.length > 0) throw new CliError(failures.join('\n'))
}
