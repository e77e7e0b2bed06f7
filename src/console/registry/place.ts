/**
 * Places in the page, as its address names them behind `#`. They read like the names of images:
 * `#/team/` (a folder), `#/team/app`, `#/team/app:1.2`, `#/team/app@sha256:...`.
 */

/** Where one is, and what is set there (filter, order, tab). */
export type Place = {
  view: 'folder' | 'repository' | 'image' | 'retention' | 'unknown'
  /** A folder with its slash, or a repository; empty for the top. */
  name: string
  /** A tag or a digest. */
  reference: string
  settings: Readonly<Record<string, string>>
}

const retentionPath = '_retention'
const namePattern = /^[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*$/

/** The place that an address names. */
export function parsePlace(address: string): Place {
  const text = address.replace(/^#?\/?/, '')
  const mark = text.indexOf('?')
  const path = decode(mark < 0 ? text : text.slice(0, mark))
  const settings = Object.fromEntries(new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1)))
  return { ...parsePath(path), settings }
}

/** The address of a place. */
export function placeAddress(place: Partial<Place>): string {
  const { view = 'folder', name = '', reference = '', settings = {} } = place
  const set = Object.entries(settings).filter(([, value]) => value !== '')
  const query = set.length === 0 ? '' : `?${new URLSearchParams(set).toString()}`
  if (view === 'retention') return `#/${retentionPath}${query}`
  if (view !== 'image') return `#/${name}${query}`
  return `#/${imageName(name, reference)}${query}`
}

/** `NAME:TAG` or `NAME@DIGEST`. */
export function imageName(name: string, reference: string): string {
  return `${name}${isDigest(reference) ? '@' : ':'}${reference}`
}

/** Whether a reference is a digest. */
export function isDigest(reference: string): boolean {
  return reference.includes(':')
}

/** The folders that lead to a name, each with its slash. */
export function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1)
  return parts.map((_, place) => `${parts.slice(0, place + 1).join('/')}/`)
}

function parsePath(path: string): Omit<Place, 'settings'> {
  if (path === '' || (path.endsWith('/') && namePattern.test(path.slice(0, -1)))) {
    return { view: 'folder', name: path, reference: '' }
  }
  if (path === retentionPath) return { view: 'retention', name: '', reference: '' }
  const at = path.indexOf('@')
  const split = at < 0 ? path.indexOf(':') : at
  const name = split < 0 ? path : path.slice(0, split)
  if (!namePattern.test(name)) return { view: 'unknown', name: path, reference: '' }
  if (split < 0) return { view: 'repository', name, reference: '' }
  return { view: 'image', name, reference: path.slice(split + 1) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A broken escape is a name that nothing has.
    return text
  }
}
