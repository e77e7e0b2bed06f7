/**
 * What `cp` makes of paths: whether a name asks for a directory (`x/`), or for its contents (`x/.`), and under which
 * name what is copied arrives. The rules are those of `docker cp` (reference: commandline/container_cp.md).
 */
import { basename, dirname, posix } from 'node:path'

/** One side of a copy. */
export type CopySide = { path: string; exists: boolean; isDirectory: boolean; rebaseName: string }

/** `x/.` means the contents of x. */
function meansContents(path: string): boolean {
  return basename(path) === '.' && (path === '.' || path.endsWith('/.'))
}

/** `x/` and `x/.` can only be directories. */
export function meansDirectory(path: string): boolean {
  return path.endsWith('/') || meansContents(path)
}

/** Cleans a path but keeps a trailing `/` or `/.` of the original, which have a meaning. */
export function keepEnding(cleaned: string, original: string): string {
  if (meansContents(original) && basename(cleaned) !== '.')
    return cleaned.endsWith('/') ? `${cleaned}.` : `${cleaned}/.`
  if (original.endsWith('/') && !cleaned.endsWith('/')) return `${cleaned}/`
  return cleaned
}

/** Directory and last part; the last part of `x/.` is `.`. */
export function splitEntry(path: string): { directory: string; base: string } {
  const cleaned = posix.normalize(path).replace(/(.)\/+$/, '$1')
  if (meansContents(path)) return { directory: cleaned, base: '.' }
  return { directory: dirname(cleaned), base: basename(cleaned) }
}

/** Where to unpack an archive of `source`, and how its entries' first part changes. Throws Docker's texts. */
export function placeCopy(
  source: CopySide,
  destination: CopySide,
): { directory: string; from: string; to: string } {
  const { directory, base } = splitEntry(destination.path)
  const from = source.rebaseName === '' ? splitEntry(source.path).base : source.rebaseName
  if (destination.exists && destination.isDirectory) return { directory: destination.path, from, to: from }
  if (destination.exists && source.isDirectory) throw new Error('cannot copy directory')
  if (!destination.exists && !source.isDirectory && meansDirectory(destination.path)) {
    throw new Error('no such directory')
  }
  return { directory, from, to: base }
}

/** An entry's name with its first part changed. */
export function rebaseEntry(name: string, from: string, to: string): string {
  if (from === to) return name
  if (from === '/' || from === '') return posix.join(to, name)
  if (from === '.')
    return name === '.' || name === './' ? to : name.startsWith('./') ? to + name.slice(1) : `${to}/${name}`
  return name === from || name.startsWith(`${from}/`) ? to + name.slice(from.length) : name
}

/** Splits `CONTAINER:PATH`; a path alone has no container. An absolute path, or one that begins with a dot, is local. */
export function splitCopyArgument(argument: string): { container: string; path: string } {
  if (argument.startsWith('/')) return { container: '', path: argument }
  const at = argument.indexOf(':')
  if (at < 0 || argument.startsWith('.')) return { container: '', path: argument }
  return { container: argument.slice(0, at), path: argument.slice(at + 1) }
}
