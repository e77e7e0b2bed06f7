/** Which tags go by the rules of retention. A tag that several rules are about stays when one of them keeps it. */
import { textColumn } from '../store/database.ts'
import type { RetentionRule } from './config.ts'
import type { RegistryIndex } from './registry-index.ts'
import { globs } from './rules.ts'

/** Tags of a repository that no rule keeps, though at least one is about them. */
export function planRetention(
  index: RegistryIndex,
  repository: { id: number; name: string },
  { rules, nowMs }: { rules: readonly RetentionRule[]; nowMs: number },
): string[] {
  const about = rules.filter((rule) => globs(rule.repositories).test(repository.name))
  if (about.length === 0) return []
  const newestFirst = index.database
    .all(
      'SELECT name, updated_ms FROM tags WHERE repository = ? ORDER BY updated_ms DESC, name DESC',
      repository.id,
    )
    .map((row) => ({ name: textColumn(row, 'name'), updatedMs: Number(row['updated_ms']) }))
  const going = new Set<string>()
  const kept = new Set<string>()
  for (const rule of about) {
    const pattern = rule.tags.length === 0 ? undefined : globs(rule.tags)
    const matching = newestFirst.filter(({ name }) => pattern?.test(name) ?? true)
    for (const [place, { name, updatedMs }] of matching.entries()) {
      // A rule that names neither keeps everything.
      const stays =
        (rule.keepLast === undefined && rule.keepWithin === undefined) ||
        (rule.keepLast !== undefined && place < rule.keepLast) ||
        (rule.keepWithin !== undefined && nowMs - updatedMs <= rule.keepWithin)
      if (stays) kept.add(name)
      else going.add(name)
    }
  }
  return newestFirst.map(({ name }) => name).filter((name) => going.has(name) && !kept.has(name))
}
