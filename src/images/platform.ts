/** Which platforms a machine runs, best first, as containerd chooses (platforms.Default, platformVector). */
import { EngineError } from '../spec/errors.ts'
import type { Platform } from '../spec/image-types.ts'

/** The platform with the spellings that mean the same brought to one (containerd platforms/database.go). */
function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase()
  let architecture = platform.architecture.toLowerCase()
  let variant = (platform.variant ?? '').toLowerCase()
  if (architecture === 'i386') architecture = '386'
  if (architecture === 'x86_64' || architecture === 'x86-64') architecture = 'amd64'
  if (architecture === 'aarch64') architecture = 'arm64'
  if (architecture === 'armhf') [architecture, variant] = ['arm', 'v7']
  if (architecture === 'armel') [architecture, variant] = ['arm', 'v6']
  if (architecture === 'amd64' && variant === 'v1') variant = ''
  if (architecture === '386') variant = ''
  if (architecture === 'arm64' && (variant === '' || variant === '8')) variant = 'v8'
  if (architecture === 'arm' && (variant === '' || variant === '7')) variant = 'v7'
  if (architecture === 'arm' && /^[5-8]$/.test(variant)) variant = `v${variant}`
  return { os: os === '' ? 'linux' : os, architecture, ...(variant === '' ? {} : { variant }) }
}

/** How well a machine of platform `host` runs `candidate`: 0 is best, undefined not at all. */
export function platformRank(host: Platform, candidate: Platform): number | undefined {
  const wanted = normalizePlatform(candidate)
  const rank = alternatives(normalizePlatform(host)).findIndex(
    (platform) =>
      platform.os === wanted.os &&
      platform.architecture === wanted.architecture &&
      (platform.variant ?? '') === (wanted.variant ?? ''),
  )
  return rank === -1 ? undefined : rank
}

function alternatives(host: Platform): Platform[] {
  const { os, architecture, variant = '' } = host
  const of = (name: string, ...variants: string[]): Platform[] =>
    variants.map((text) => ({ os, architecture: name, ...(text === '' ? {} : { variant: text }) }))
  const version = Number(variant.replace(/^v/, '').split('.')[0] ?? '')
  const downTo = (lowest: number): string[] =>
    Array.from({ length: Math.max(0, version - lowest + 1) }, (_, index) => `v${version - index}`)
  if (architecture === 'amd64') {
    return [...of('amd64', ...(version > 1 ? downTo(2) : []), ''), ...of('386', '')]
  }
  if (architecture === 'arm') return of('arm', ...downTo(5))
  if (architecture === 'arm64') {
    return [...of('arm64', ...(version > 8 ? downTo(9) : []), 'v8'), ...of('arm', 'v8', 'v7', 'v6', 'v5')]
  }
  return of(architecture, variant)
}

/** `linux/arm64/v8`, as Docker prints a platform. */
export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/')
}

const systems = ['linux', 'windows', 'darwin', 'freebsd', 'wasip1']
const specifier = /^[A-Za-z0-9_.-]+$/

/** `linux/arm64/v8`, or a system or an architecture alone, as users write platforms. Throws invalid. */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.split('/')
  if (parts.length > 3 || !parts.every((part) => specifier.test(part))) {
    throw new EngineError(
      'invalid',
      `${JSON.stringify(text)} is an invalid OS component of ${JSON.stringify(text)}: OSAndVersion specifier component must match "^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.-]*)((?:\\+[A-Za-z0-9_.-]+)*)\\))?$": invalid argument`,
    )
  }
  const [first = '', architecture, variant] = parts
  if (architecture !== undefined) {
    return normalizePlatform({ os: first, architecture, ...(variant === undefined ? {} : { variant }) })
  }
  return systems.includes(first.toLowerCase())
    ? normalizePlatform({ ...host, os: first })
    : normalizePlatform({ os: 'linux', architecture: first })
}
