/**
 * Where this machine gets Debian's packages: what apt is configured with, in both of its forms (sources.list(5)), as
 * lines of the older one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../../spec/errors.ts'
import { CliError } from '../errors.ts'

/** Packages of some suites at some addresses. */
export type AptSource = {
  uris: string[]
  suites: string[]
  components: string[]
  /** File of the keys that sign it; empty for apt's own. */
  signedBy: string
}

/** All sources below a directory like `/etc/apt`. */
export function readAptSources(directory: string): AptSource[] {
  const parts = join(directory, 'sources.list.d')
  const files = [join(directory, 'sources.list'), ...namesIn(parts).map((name) => join(parts, name))]
  return files.flatMap((path) => {
    if (path.endsWith('.sources')) return parseDeb822(textOf(path))
    return path.endsWith('.list') ? parseLines(textOf(path)) : []
  })
}

/** Lines for the packages of a suite, with its updates and security fixes where these are configured. Throws without any. */
export function linesForSuite(sources: readonly AptSource[], suite: string): string[] {
  const debian = sources.filter(({ components }) => components.includes('main'))
  const own = linesOf(debian, (name) => (isOf(name, suite) ? name : undefined))
  if (own.length > 0) return own
  // The machine runs another release: the same archive has this one too.
  const [first] = debian.flatMap(({ suites }) => suites).filter((name) => !/[-/]/.test(name))
  const others = linesOf(debian, (name) => (name === first ? suite : undefined))
  if (others.length > 0) return others
  throw new CliError(`no package source for ${suite}: apt is configured with none of Debian's`)
}

function isOf(name: string, suite: string): boolean {
  return name === suite || name.startsWith(`${suite}-`) || name.startsWith(`${suite}/`)
}

function linesOf(sources: readonly AptSource[], choose: (suite: string) => string | undefined): string[] {
  return sources.flatMap(({ uris, suites, components, signedBy }) => {
    const option = signedBy === '' ? '' : `[signed-by=${signedBy}] `
    const chosen = suites.map(choose).filter((name) => name !== undefined)
    return uris.flatMap((uri) => chosen.map((name) => `deb ${option}${uri} ${name} ${components.join(' ')}`))
  })
}

function parseLines(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line)
    if (match === null) return []
    const [, options = '', uri = '', suite = '', components = ''] = match
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1] ?? ''
    return [{ uris: [uri], suites: [suite], components: words(components), signedBy }]
  })
}

function parseDeb822(text: string): AptSource[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'))
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const fields = new Map<string, string>()
      for (const [, name = '', value = ''] of stanza.matchAll(/^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)/gm)) {
        fields.set(name.toLowerCase(), value.trim())
      }
      const list = (name: string) => words(fields.get(name) ?? '')
      if (!list('types').includes('deb') || fields.get('enabled')?.toLowerCase() === 'no') return []
      const signed = fields.get('signed-by') ?? ''
      return [
        {
          uris: list('uris'),
          suites: list('suites'),
          components: list('components'),
          // A key may stand here itself; then apt's own have to do.
          signedBy: signed.startsWith('/') ? (words(signed)[0] ?? '') : '',
        },
      ]
    })
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean)
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  }
}
