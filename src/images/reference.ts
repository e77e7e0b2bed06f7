/**
 * Image references as Docker writes and reads them (the grammar and the normalised form of distribution/reference):
 * `busybox` stands for `docker.io/library/busybox:latest`. Kept and compared in the canonical form, shown in the
 * familiar one.
 */
import { EngineError } from '../spec/errors.ts'
import { digest, isDigest, type Digest } from '../spec/ids.ts'

/** A parsed reference. `repository` is canonical: `docker.io/library/busybox`. */
export type Reference = {
  repository: string
  tag?: string
  digest?: Digest
}

const component = '[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*'
const path = `${component}(?:/${component})*`
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const domain = `(?:${label}(?:\\.${label})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`
const digestText = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}'
const pattern = new RegExp(
  `^(?:(${domain})/)?(${path})(?::([a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}))?(?:@(${digestText}))?$`,
)
const identifier = /^[a-f0-9]{64}$/
const maxNameLength = 255

const defaultDomain = 'docker.io'
const legacyDomain = 'index.docker.io'
const official = 'library'

const invalidReference = () => new EngineError('invalid', 'invalid reference format')

/** Parses what a user typed. Throws invalid, in the words of distribution/reference. */
export function parseReference(text: string): Reference {
  if (identifier.test(text)) {
    throw new EngineError(
      'invalid',
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    )
  }
  const { domain: host, remainder } = splitDomain(text)
  const remote = /^[^:@]*/.exec(remainder)?.[0] ?? ''
  if (remote.toLowerCase() !== remote) {
    throw new EngineError(
      'invalid',
      `invalid reference format: repository name (${remote}) must be lowercase`,
    )
  }
  const match = pattern.exec(`${host}/${remainder}`)
  if (match === null) {
    if (text === '')
      throw new EngineError(
        'invalid',
        'invalid reference format: repository name must have at least one component',
      )
    throw invalidReference()
  }
  const [, matchedHost = '', name = '', tag, digestPart] = match
  const repository = matchedHost === '' ? name : `${matchedHost}/${name}`
  if (repository.length > maxNameLength) {
    throw new EngineError(
      'invalid',
      `invalid reference format: repository name must not be more than ${maxNameLength} characters`,
    )
  }
  return {
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digestPart === undefined ? {} : { digest: checkedDigest(digestPart) }),
  }
}

function checkedDigest(text: string): Digest {
  if (!isDigest(text)) {
    const known = text.startsWith('sha256:') || text.startsWith('sha512:')
    throw new EngineError(
      'invalid',
      known ? 'invalid checksum digest length' : 'unsupported digest algorithm',
    )
  }
  return digest(text)
}

function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf('/')
  const first = slash === -1 ? '' : text.slice(0, slash)
  const isDomain =
    slash !== -1 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)
  const host = isDomain ? (first === legacyDomain ? defaultDomain : first) : defaultDomain
  const rest = isDomain ? text.slice(slash + 1) : text
  const needsOfficial = host === defaultDomain && !rest.includes('/')
  return { domain: host, remainder: needsOfficial ? `${official}/${rest}` : rest }
}

/** The reference with `latest` where neither tag nor digest is given. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference
  return { ...reference, tag: 'latest' }
}

/** Canonical text: `docker.io/library/busybox:latest`. */
export function canonicalText({ repository, tag, digest: id }: Reference): string {
  return `${repository}${tag === undefined ? '' : `:${tag}`}${id === undefined ? '' : `@${id}`}`
}

/** Text as users see it: `busybox:latest`. */
export function familiarText(reference: Reference): string {
  return canonicalText({ ...reference, repository: familiarRepository(reference.repository) })
}

/** A repository's name as users see it: `busybox`, `user/app`, `registry:5000/app`. */
export function familiarRepository(repository: string): string {
  const hub = `${defaultDomain}/`
  if (!repository.startsWith(hub)) return repository
  const name = repository.slice(hub.length)
  const short = name.startsWith(`${official}/`) ? name.slice(official.length + 1) : name
  return short.includes('/') ? name : short
}

/** A canonical text taken apart again; for what has been stored. */
export function parseCanonical(text: string): Reference {
  const at = text.indexOf('@')
  const name = at === -1 ? text : text.slice(0, at)
  const colon = name.lastIndexOf(':')
  const hasTag = colon > name.lastIndexOf('/')
  return {
    repository: hasTag ? name.slice(0, colon) : name,
    ...(hasTag ? { tag: name.slice(colon + 1) } : {}),
    ...(at === -1 ? {} : { digest: digest(text.slice(at + 1)) }),
  }
}
