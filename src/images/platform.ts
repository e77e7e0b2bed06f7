/** Which platforms a machine runs, best first, as containerd chooses (platforms.Default, platformVector). */
import { quoteGo } from '../lib/go-quote.ts'
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

const words = (text: string) => new Set(text.split(' '))
const systems = words(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux macos nacl netbsd openbsd plan9 solaris wasip1 windows zos',
)
const architectures = words(
  '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm',
)
const systemPattern = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)((?:\+[A-Za-z0-9_.-]+)*)\))?$/
const componentPattern = /^[A-Za-z0-9_.-]+$/

/** `linux/arm64/v8`, or a system or an architecture alone, as users write platforms. Throws invalid. */
export function parsePlatform(text: string, host: Platform): Platform {
  const refused = (why: string) => new EngineError('invalid', `${why}: invalid argument`)
  const whole = quoteGo(text)
  if (text.includes('*')) throw refused(`${whole}: wildcards not yet supported`)
  const parts = text.split('/')
  for (const [index, part] of parts.entries()) {
    const pattern = index === 0 ? systemPattern : componentPattern
    if (pattern.test(part)) continue
    const kind = index === 0 ? 'OS component' : 'component'
    const specifier = index === 0 ? 'OSAndVersion specifier' : 'platform specifier'
    throw refused(
      `${quoteGo(part)} is an invalid ${kind} of ${whole}: ${specifier} component must match ${quoteGo(pattern.source)}`,
    )
  }
  if (parts.length > 3) throw refused(`${whole}: cannot parse platform specifier`)
  const [first = '', architecture, variant] = parts
  const os = first.replace(/\(.*$/, '')
  if (architecture !== undefined) {
    return normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) })
  }
  if (systems.has(os.toLowerCase())) return normalizePlatform({ ...host, os })
  const platform = normalizePlatform({ os: 'linux', architecture: os })
  if (!architectures.has(platform.architecture)) {
    throw refused(`${whole}: unknown operating system or architecture`)
  }
  return platform
}

/** The platform that a new image is for: a variant that goes without saying isn't said. Throws invalid. */
export function parseNewPlatform(text: string, host: Platform): Platform {
  const { variant, ...platform } = parsePlatform(text, host)
  if (platform.os !== 'linux') throw new EngineError('invalid', 'operating system is not supported')
  const isSaid = text.split('/').length === 3 || (variant !== 'v7' && variant !== 'v8')
  return variant === undefined || !isSaid ? platform : { ...platform, variant }
}
