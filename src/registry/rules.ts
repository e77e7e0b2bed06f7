/** Which user may do what with which repository: the rules of the configuration file. */
import type { AccessRule } from './config.ts'
import type { Action } from './exchange.ts'

/** What the rules are made of. */
export type RulesOptions = {
  rules: readonly AccessRule[]
  /** Members by group. */
  groups: Readonly<Record<string, readonly string[]>>
}

type CompiledRule = { pattern: RegExp; rule: AccessRule }

/** All actions. */
export const allActions: readonly Action[] = ['pull', 'push', 'delete']

/** See the file's head. Without any rule, whoever is signed in may do everything. */
export class Rules {
  readonly #rules: readonly CompiledRule[]
  readonly #groups: ReadonlyMap<string, readonly string[]>
  readonly #isEmpty: boolean

  constructor({ rules, groups }: RulesOptions) {
    this.#isEmpty = rules.length === 0
    this.#rules = rules.map((rule) => ({ pattern: globs(rule.repositories), rule }))
    const byUser = new Map<string, string[]>()
    for (const [group, members] of Object.entries(groups)) {
      for (const member of members) byUser.set(member, [...(byUser.get(member) ?? []), group])
    }
    this.#groups = byUser
  }

  /** Whether a user may; the empty name is somebody who is not signed in. */
  allows(user: string, action: Action, repository: string): boolean {
    if (this.#isEmpty) return user !== ''
    const groups = this.#groups.get(user) ?? []
    return this.#rules.some(
      ({ pattern, rule }) =>
        rule.actions.includes(action) &&
        (rule.anonymous ||
          (user !== '' &&
            (rule.users.includes(user) ||
              rule.users.includes('*') ||
              groups.some((group) => rule.groups.includes(group))))) &&
        pattern.test(repository),
    )
  }
}

/** A pattern for any of some globs: `*` is part of a component, `**` any number of components. */
export function globs(patterns: readonly string[]): RegExp {
  const source = patterns.map((pattern) =>
    pattern
      .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replace(/\*\*|\*|\?/g, (star) => (star === '**' ? '.*' : star === '*' ? '[^/]*' : '[^/]')),
  )
  return new RegExp(`^(?:${source.join('|')})$`)
}
