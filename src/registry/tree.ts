/** The folder tree of the reference registry: where blobs and links lie, relative to the storage root. */
import { createHash } from 'node:crypto'
import { dirname } from 'node:path/posix'
import { isDigest, type Digest } from '../spec/ids.ts'

// The root of everything.
const treeRoot = 'docker/registry/v2'
/** All blobs. */
export const blobsRoot = `${treeRoot}/blobs`
/** All repositories. */
export const repositoriesRoot = `${treeRoot}/repositories`

function split(digest: Digest): [algorithm: string, hex: string] {
  const colon = digest.indexOf(':')
  return [digest.slice(0, colon), digest.slice(colon + 1)]
}

/** A blob's bytes. */
export function blobPath(digest: Digest): string {
  const [algorithm, hex] = split(digest)
  return `${blobsRoot}/${algorithm}/${hex.slice(0, 2)}/${hex}/data`
}

/** The folder of a repository. */
export function repositoryPath(repository: string): string {
  return `${repositoriesRoot}/${repository}`
}

/** The link by which a repository has a blob. */
export function layerLinkPath(repository: string, digest: Digest): string {
  return `${repositoryPath(repository)}/_layers/${split(digest).join('/')}/link`
}

/** The link by which a repository has a manifest. */
export function revisionLinkPath(repository: string, digest: Digest): string {
  return `${repositoryPath(repository)}/_manifests/revisions/${split(digest).join('/')}/link`
}

/** The folder of a tag. */
export function tagPath(repository: string, tag: string): string {
  return `${repositoryPath(repository)}/_manifests/tags/${tag}`
}

/** What a tag names now. */
export function tagLinkPath(repository: string, tag: string): string {
  return `${tagPath(repository, tag)}/current/link`
}

/** What people say of a repository; the reference registry passes over the folder. */
export function cardPath(repository: string): string {
  return `${repositoryPath(repository)}/_wharf/card`
}

/** The folder of a repository's stars. */
export function starsPath(repository: string): string {
  return `${repositoryPath(repository)}/_wharf/stars`
}

/** A user's star; the file has the user's name, which may be longer than a file's. */
export function starPath(repository: string, user: string): string {
  return `${starsPath(repository)}/${createHash('sha256').update(user).digest('hex')}`
}

/** What a tag named at some time. */
export function tagIndexLinkPath(repository: string, tag: string, digest: Digest): string {
  return `${tagPath(repository, tag)}/index/${split(digest).join('/')}/link`
}

/** A thing in the tree that changes as one; `path` is its file or folder. */
export type TreeItem = { path: string } & (
  | { kind: 'repository' | 'card' | 'stars'; repository: string }
  | { kind: 'layer' | 'manifest'; repository: string; digest: Digest }
  | { kind: 'tag'; repository: string; tag: string }
  | { kind: 'blob'; digest: Digest }
)

const inRepository = new RegExp(`^(${repositoriesRoot}/(.+?))/(_layers|_manifests|_wharf)(?:/(.+))?$`)
const inBlobs = new RegExp(`^${blobsRoot}/(\\w+)/\\w+/(\\w+)$`)

/** Which thing a path belongs to; undefined for what has no part in the index by itself, as bytes have. */
export function parseTreePath(path: string): TreeItem | undefined {
  const blob = inBlobs.exec(path)
  if (blob !== null) {
    const digest = `${blob[1]}:${blob[2]}`
    return isDigest(digest) ? { kind: 'blob', digest, path: dirname(blobPath(digest)) } : undefined
  }
  const [, root = '', repository = '', folder, rest] = inRepository.exec(path) ?? []
  if (folder === undefined) return undefined
  if (rest === undefined) return { kind: 'repository', repository, path: root }
  const parts = rest.split('/')
  if (folder === '_wharf') {
    if (parts[0] === 'stars') return { kind: 'stars', repository, path: starsPath(repository) }
    return { kind: 'card', repository, path: cardPath(repository) }
  }
  const [first = '', second = '', third = ''] = parts
  if (folder === '_layers') return digestItem({ kind: 'layer', repository }, first, second)
  if (first === 'revisions') return digestItem({ kind: 'manifest', repository }, second, third)
  if (first === 'tags' && second !== '') {
    return { kind: 'tag', repository, tag: second, path: tagPath(repository, second) }
  }
  return undefined
}

function digestItem(
  item: { kind: 'layer' | 'manifest'; repository: string },
  algorithm: string,
  hex: string,
): TreeItem | undefined {
  const digest = `${algorithm}:${hex}`
  if (!isDigest(digest)) return undefined
  const link = item.kind === 'layer' ? layerLinkPath : revisionLinkPath
  return { ...item, digest, path: dirname(link(item.repository, digest)) }
}
