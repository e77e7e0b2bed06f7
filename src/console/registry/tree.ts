/** Repositories as a tree: names have slashes, and what stands before a slash is a folder. */
import type { PageRepository } from '../../spec/registry-page.ts'

/** A line of the tree. */
export type TreeRow =
  | {
      kind: 'folder'
      name: string
      label: string
      level: number
      count: number
      isOpen: boolean
      updatedMs: number
    }
  | { kind: 'repository'; name: string; label: string; level: number; repository: PageRepository }

type Folder = {
  folders: Map<string, Folder>
  repositories: PageRepository[]
  count: number
  updatedMs: number
}

/** The tree's visible lines, depth first, folders before repositories. Repositories come in order of their names. */
export function treeRows(
  repositories: readonly PageRepository[],
  prefix: string,
  isOpen: (folder: string) => boolean,
): TreeRow[] {
  const top = emptyFolder()
  for (const repository of repositories) {
    if (!repository.name.startsWith(prefix)) continue
    const parts = repository.name.slice(prefix.length).split('/')
    let folder = top
    for (const part of parts.slice(0, -1)) {
      const below = folder.folders.get(part) ?? emptyFolder()
      folder.folders.set(part, below)
      below.count += 1
      below.updatedMs = Math.max(below.updatedMs, repository.updatedMs)
      folder = below
    }
    folder.repositories.push(repository)
  }
  const rows: TreeRow[] = []
  addRows(rows, top, { path: prefix, level: 1, isOpen })
  return rows
}

/** Repositories without the tree: those that have every word of a search, in an order. */
export function flatRows(repositories: readonly PageRepository[], search: string, order: string): TreeRow[] {
  const words = search
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  const found = repositories.filter(({ name, description }) => {
    const text = `${name} ${description.toLowerCase()}`
    return words.every((word) => text.includes(word))
  })
  const by: Record<string, (left: PageRepository, right: PageRepository) => number> = {
    updated: (left, right) => right.updatedMs - left.updatedMs,
    stars: (left, right) => right.stars - left.stars,
    tags: (left, right) => right.tags - left.tags,
  }
  // Of those that match a search, names that begin with it are meant most often.
  const rank = ({ name }: PageRepository) =>
    words[0] !== undefined && leafOf(name).startsWith(words[0]) ? 0 : 1
  const compare = by[order] ?? ((left: PageRepository, right: PageRepository) => rank(left) - rank(right))
  return found.toSorted(compare).map((repository) => ({
    kind: 'repository',
    name: repository.name,
    label: repository.name,
    level: 1,
    repository,
  }))
}

function addRows(
  rows: TreeRow[],
  folder: Folder,
  at: { path: string; level: number; isOpen: (folder: string) => boolean },
): void {
  const { path, level, isOpen } = at
  for (const [part, below] of folder.folders) {
    const name = `${path}${part}/`
    const open = isOpen(name)
    const { count, updatedMs } = below
    rows.push({ kind: 'folder', name, label: `${part}/`, level, count, isOpen: open, updatedMs })
    if (open) addRows(rows, below, { path: name, level: level + 1, isOpen })
  }
  for (const repository of folder.repositories) {
    const { name } = repository
    rows.push({ kind: 'repository', name, label: name.slice(path.length), level, repository })
  }
}

function leafOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

function emptyFolder(): Folder {
  return { folders: new Map(), repositories: [], count: 0, updatedMs: 0 }
}
