/** The folder tree of the reference registry: where blobs and links lie, relative to the storage root. */
import { createHash } from 'node:crypto'
import type { Digest } from '../spec/ids.ts'

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
