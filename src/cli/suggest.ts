/** What somebody who mistyped a command may have meant. */
import { entries, groups } from './registry.ts'

/** Fewest insertions, deletions, changes and swaps of neighbours that make one word the other. */
export function editDistance(one: string, other: string): number {
  let older: number[] = []
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const change = (previous[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1)
      let best = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, change)
      const swapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      if (i > 1 && j > 1 && swapped) best = Math.min(best, (older[j - 2] ?? 0) + 1)
      row.push(best)
    }
    older = previous
    previous = row
  }
  return previous.at(-1) ?? 0
}

/** Full names near the mistyped last word of a path (`['container', 'rnu']`), the nearest first; at most three. */
export function suggestions(path: readonly string[]): string[] {
  const before = path.slice(0, -1).join(' ')
  const word = path.at(-1) ?? ''
  const names = [
    ...entries.flatMap((entry) => (entry.hidden === true ? [] : entry.names)),
    ...groups.map((group) => group.name),
  ]
  const most = word.length <= 3 ? 1 : 2
  return names
    .filter((name) => name.split(' ').slice(0, -1).join(' ') === before)
    .map((name) => ({ name, distance: editDistance(word, name.split(' ').at(-1) ?? '') }))
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name)
}
