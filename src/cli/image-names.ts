/** Image references as the command line reads them: enough to tell repository, tag and digest apart. */
import { CliError } from './errors.ts'

/** Parts of a reference. */
export type ImageName = { repository: string; tag: string; digest: string }

const domain = String.raw`(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`
const component = String.raw`[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*`
const referencePattern = new RegExp(
  `^((?:${domain}/)?${component}(?:/${component})*)(?::([\\w][\\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
)

const maxRepositoryLength = 255

/** Splits a reference. Throws Docker's texts for what is none. */
export function parseImageName(text: string): ImageName {
  if (/^[0-9a-f]{64}$/.test(text)) {
    throw new CliError(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  }
  const match = referencePattern.exec(text)
  if (match === null) {
    if (referencePattern.test(text.toLowerCase())) {
      const [name = ''] = text.split(/[:@](?=[^/]*$)/)
      const path = name.includes('/')
        ? name.replace(/^(?:[^/]*[.:][^/]*|localhost)\//, '')
        : `library/${name}`
      throw new CliError(`invalid reference format: repository name (${path}) must be lowercase`)
    }
    throw new CliError('invalid reference format')
  }
  const [, repository = '', tag = '', digest = ''] = match
  const path = canonicalName(repository).replace(/^[^/]*\//, '')
  if (path.length > maxRepositoryLength) {
    throw new CliError(
      `invalid reference format: repository name must not be more than ${maxRepositoryLength} characters`,
    )
  }
  return { repository, tag, digest }
}

/** The `platform` query parameter of an `os[/arch[/variant]]` text: JSON of its parts. */
export function platformQuery(text: string): string | undefined {
  if (text === '') return undefined
  const [os = '', architecture = '', variant = ''] = text.toLowerCase().split('/')
  return JSON.stringify({ architecture, os, ...(variant === '' ? {} : { variant }) })
}

/** A repository with its registry: `docker.io/library/busybox`. */
export function canonicalName(repository: string): string {
  const [first = '', ...rest] = repository.split('/')
  const isDomain =
    rest.length > 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)
  const domain = isDomain && first !== 'index.docker.io' ? first : 'docker.io'
  const path = isDomain ? rest.join('/') : repository
  return domain === 'docker.io' && !path.includes('/') ? `${domain}/library/${path}` : `${domain}/${path}`
}
