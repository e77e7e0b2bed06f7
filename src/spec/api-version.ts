/** Versions of the Engine API that Wharf speaks. */

/** Oldest and newest minor version of API 1. */
export const apiVersions = { minimum: 24, maximum: 55 } as const

/** `1.55` for 55. */
export function formatApiVersion(minor: number): string {
  return `1.${minor}`
}

/** Where a version that a client asked for stands; a minor number when it is spoken. */
export type ApiVersionMatch =
  | { kind: 'spoken'; minor: number }
  | { kind: 'tooOld'; text: string }
  | { kind: 'tooNew'; text: string }

/**
 * Compares dotted numbers part by part; a missing part is 0 (as moby's api/types/versions does). `minimum` is the
 * oldest minor version of what was asked for.
 */
export function matchApiVersion(text: string, minimum: number = apiVersions.minimum): ApiVersionMatch {
  const [major = 0, minor = 0, ...rest] = text.split('.').map((part) => Number(part))
  if (major < 1 || (major === 1 && minor < minimum)) return { kind: 'tooOld', text }
  const beyond = rest.some((part) => part > 0)
  if (major > 1 || minor > apiVersions.maximum || (minor === apiVersions.maximum && beyond)) {
    return { kind: 'tooNew', text }
  }
  return { kind: 'spoken', minor }
}
