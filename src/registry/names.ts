/** Names as the distribution specification allows them, parsed once at the edge. */
import { isDigest, type Digest } from '../spec/ids.ts'
import { RegistryError } from './errors.ts'

const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/** The longest repository name, as the reference registry has it. */
const longestName = 255

/** Whether the text is a repository's name. Never true for anything that could leave a folder. */
export function isRepositoryName(text: string): boolean {
  return text.length <= longestName && text.split('/').every((part) => component.test(part))
}

/** Throws NAME_INVALID for what is no repository's name. */
export function checkRepositoryName(text: string): string {
  if (isRepositoryName(text)) return text
  throw new RegistryError('NAME_INVALID', { detail: { name: text.slice(0, 300) } })
}

/** Whether the text is a tag. */
export function isTag(text: string): boolean {
  return tagPattern.test(text)
}

/** A manifest's address: a digest or a tag. */
export type Reference = { digest: Digest } | { tag: string }

/** Parses the last part of a manifest's address. What has a colon is meant as a digest. */
export function parseReference(text: string): Reference {
  if (text.includes(':')) return { digest: parseDigest(text) }
  if (isTag(text)) return { tag: text }
  throw new RegistryError('MANIFEST_INVALID', {
    message: 'invalid tag name',
    detail: { tag: text.slice(0, 300) },
  })
}

/** Throws DIGEST_INVALID for what is no digest of an algorithm that is verified here. */
export function parseDigest(text: string | null): Digest {
  if (text !== null && isDigest(text)) return text
  throw new RegistryError('DIGEST_INVALID', {
    message: 'invalid or unsupported digest',
    detail: { digest: (text ?? '').slice(0, 300) },
  })
}

/** Algorithms that are verified. */
export type DigestAlgorithm = 'sha256' | 'sha512'

/** The algorithm of a digest. */
export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The algorithm that a client names. Throws DIGEST_INVALID for others. */
export function parseAlgorithm(text: string | null): DigestAlgorithm {
  if (text === null || text === 'sha256') return 'sha256'
  if (text === 'sha512') return 'sha512'
  throw new RegistryError('DIGEST_INVALID', {
    message: `unsupported digest algorithm`,
    detail: { algorithm: text },
  })
}
