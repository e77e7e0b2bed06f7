/**
 * What the configuration says of single registries, an addition to Docker's settings: mirrors, another place, or
 * that they must not be used. A rule is for a registry, for repositories of one below a path, or with `*.` in front
 * for all registries below a domain; the longest one counts.
 */
import { z } from 'zod'
import { EngineError } from '../spec/errors.ts'

/** One rule. */
export type RegistryRule = {
  /** `registry.example.test`, `docker.io/library` or `*.example.test`. */
  prefix: string
  /** Addresses to pull from first: `https://HOST[:PORT][/PATH]`, the path being put before repositories' names. */
  mirrors: readonly string[]
  /** `HOST[:PORT][/PATH]` that takes the place of the prefix; empty to leave it. */
  location: string
  blocked: boolean
}

const Rules = z.record(
  z.string(),
  z.strictObject({
    mirrors: z.array(z.string()).default([]),
    location: z.string().default(''),
    blocked: z.boolean().default(false),
  }),
)

const place = /^[a-zA-Z0-9.-]+(?::[0-9]+)?(?:\/[a-z0-9._/-]*[a-z0-9])?$/

/** Reads the rules of `registries` in daemon.json. Throws invalid. */
export function parseRegistryRules(value: Record<string, unknown>): RegistryRule[] {
  const parsed = Rules.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new EngineError('invalid', `registries: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`)
  }
  return Object.entries(parsed.data).map(([prefix, rule]) => {
    const isWild = prefix.startsWith('*.')
    if (!place.test(isWild ? prefix.slice(2) : prefix)) throw wrong(prefix, 'not a registry')
    if (rule.location !== '' && (isWild || !place.test(rule.location))) {
      throw wrong(prefix, `invalid location ${JSON.stringify(rule.location)}`)
    }
    for (const mirror of rule.mirrors) mirrorAddress(mirror)
    return { prefix, ...rule }
  })
}

function wrong(prefix: string, what: string): EngineError {
  return new EngineError('invalid', `registries: ${prefix}: ${what}`)
}

/** The rule for a repository (`docker.io/library/busybox`) or a registry alone. Throws forbidden where it is blocked. */
export function ruleFor(name: string, rules: readonly RegistryRule[]): RegistryRule | undefined {
  const [rule] = rules
    .filter((candidate) => matches(candidate.prefix, name))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)
  if (rule?.blocked === true) {
    throw new EngineError('forbidden', `registry ${rule.prefix} is blocked by the daemon's configuration`)
  }
  return rule
}

function matches(prefix: string, name: string): boolean {
  if (prefix.startsWith('*.')) return name.replace(/[:/].*$/, '').endsWith(prefix.slice(1))
  return name === prefix || name.startsWith(`${prefix}/`)
}

/** Where a repository is by a rule: its registry and the name there. */
export function locationOf(
  { domain, path }: { domain: string; path: string },
  rule: RegistryRule | undefined,
): { domain: string; path: string } {
  if (rule === undefined || rule.location === '') return { domain, path }
  const name = path === '' ? domain : `${domain}/${path}`
  const [host = '', ...parts] = `${rule.location}${name.slice(rule.prefix.length)}`.split('/')
  return { domain: host, path: parts.join('/') }
}

/** A mirror's address, and what it puts before names. Throws invalid. */
export function mirrorAddress(text: string): { base: URL; prefix: string } {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new EngineError('invalid', `invalid mirror: unsupported scheme in ${JSON.stringify(text)}`)
  }
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '')
  return { base: new URL(url.origin), prefix: prefix === '' ? '' : `${prefix}/` }
}
