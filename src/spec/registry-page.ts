/**
 * What the registry's web page and the registry say to each other, below `/console/api/`. The page and the registry
 * come from one build, so there is one version of it and no other client has to understand it.
 */

/** Every request that changes something carries this header: no other site can make a browser send it. */
export const pageRequestHeader = 'X-Wharf-Page'

/** The registry, and who is looking. */
export type PageStatus = {
  /** `HOST[:PORT]`, as the names of images begin. */
  host: string
  /** Empty for somebody who is not signed in. */
  user: string
  /** How to sign in: with a password; not at all, since everybody may do everything; with somebody else's tokens. */
  signIn: 'password' | 'open' | 'elsewhere'
  isAdmin: boolean
  readOnly: boolean
  allowDelete: boolean
  /** Whether any rule of retention is set. */
  hasRetention: boolean
}

/** A name and its password. */
export type PageSignIn = { name: string; password: string }

/** A repository as the list and its own page show it. */
export type PageRepository = {
  name: string
  description: string
  stars: number
  starred: boolean
  official: boolean
  automated: boolean
  /** How many tags it has. */
  tags: number
  /** When the newest of them was pushed; 0 without any. */
  updatedMs: number
  /** Whether it comes from another registry. */
  isCached: boolean
  mayDescribe: boolean
  mayDelete: boolean
}

/** Some repositories in order of their names; more after the last where there are more. */
export type PageRepositories = { repositories: PageRepository[]; more: boolean }

/** A tag as the list shows it. */
export type PageTag = {
  name: string
  digest: string
  mediaType: string
  updatedMs: number
  /** Bytes of all different blobs that it needs, as they are stored. */
  sizeBytes: number
  /** `linux/amd64` and so on; empty for what runs nowhere. */
  platforms: string[]
  /** What it is when it is no image: an artifact's media type. */
  artifactType: string
}

/** What tags can be ordered by; with a minus: backwards. */
export type PageTagOrder = 'name' | '-name' | 'updated' | '-updated'

/** Some of a repository's tags, from a place in their order. */
export type PageTags = { total: number; offset: number; tags: PageTag[] }

/** Names alone, for a selection of all. */
export type PageTagNames = { names: string[]; more: boolean }

/** A manifest with what is known of it. Its text and its configuration's are exactly what was pushed. */
export type PageManifest = {
  digest: string
  mediaType: string
  sizeBytes: number
  pushedMs: number
  artifactType: string
  /** The first of the tags that name it. */
  tags: string[]
  tagCount: number
  manifest: string
  /** Absent where it has none, or one that is no JSON text. */
  config?: string
  /** Bytes of all different blobs that it needs. */
  contentBytes: number
  referrers: number
  mayDelete: boolean
}

/** A manifest whose subject is the one looked at. */
export type PageReferrer = {
  digest: string
  mediaType: string
  artifactType: string
  sizeBytes: number
  pushedMs: number
  annotations: Record<string, string>
}

/** Some referrers in order of their digests. */
export type PageReferrers = { referrers: PageReferrer[]; more: boolean }

/** Tags and manifests to be deleted. A digest takes its tags with it. */
export type PageDeletion = { repository: string; tags?: string[]; digests?: string[] }

/** What became of a deletion. */
export type PageDeletionResult = { deleted: number; failed: { reference: string; message: string }[] }

/** What rules of retention would remove now, of what the caller may see. */
export type PageRetention = {
  rules: PageRetentionRule[]
  tags: { repository: string; name: string; updatedMs: number }[]
  total: number
}

/** A rule of retention, as the configuration has it. */
export type PageRetentionRule = {
  repositories: string[]
  tags: string[]
  keepLast?: number
  keepWithinMs?: number
}

/** What a collection took away, or would. */
export type PageCollection = { tags: number; manifests: number; blobs: number; bytes: number }

/** The longest lists that one request may name. */
export const pageLimits = {
  deletions: 1000,
  tagNames: 10_000,
  tags: 200,
  repositories: 1000,
  description: 1000,
}
