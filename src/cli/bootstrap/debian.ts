/**
 * The root file system of a Debian release, made by mmdebstrap of the packages that this machine's apt has. The same
 * packages give the same bytes: times beyond the release's date are set to that.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { errorCode } from '../../spec/errors.ts'
import { CliError } from '../errors.ts'
import { linesForSuite, readAptSources } from './apt-sources.ts'
import { architectures } from './busybox.ts'
import type { BaseImage } from './archive.ts'

/** What is wanted of it. */
export type DebianRequest = {
  /** A release's name: `bookworm`. */
  suite: string
  variant: string
  /** Further packages. */
  include: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  /** Takes what mmdebstrap says. */
  log: (text: string) => void
}

/** Days on which releases came out, in seconds since 1970. */
const releaseDays: Readonly<Record<string, number>> = {
  buster: 1_562_371_200,
  bullseye: 1_628_899_200,
  bookworm: 1_686_355_200,
  trixie: 1_754_697_600,
}
const newestDay = 1_754_697_600

/** Writes the layer's tar to a new file and answers the image's configuration. Throws with mmdebstrap's words. */
export async function debianBase(request: DebianRequest, target: string): Promise<BaseImage> {
  const { suite, variant, include, env, log } = request
  const lines = linesForSuite(readAptSources('/etc/apt'), suite)
  const seconds = Number(env['SOURCE_DATE_EPOCH'] ?? releaseDays[suite] ?? newestDay)
  const args = [
    `--variant=${variant}`,
    '--format=tar',
    ...(include.length === 0 ? [] : [`--include=${include.join(',')}`]),
    suite,
    target,
    '-',
  ]
  const child = spawn('mmdebstrap', args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...env, SOURCE_DATE_EPOCH: String(seconds) },
  })
  const said: string[] = []
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    said.push(text)
    log(text)
  })
  const feeding = pipeline(Readable.from([`${lines.join('\n')}\n`]), child.stdin).catch(() => {})
  const [status] = await once(child, 'close').catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new CliError('mmdebstrap is not installed: apt-get install mmdebstrap', { cause: error })
  })
  await feeding
  if (status !== 0) throw new CliError(`mmdebstrap failed: ${lastLine(said.join(''))}`)
  return { config: configOf(suite, seconds) }
}

function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.findLast((line) => line.startsWith('E:')) ?? lines.at(-1) ?? 'it said nothing'
}

function configOf(suite: string, seconds: number): Record<string, unknown> {
  const created = new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
  return {
    ...(architectures[process.arch] ?? { architecture: process.arch }),
    os: 'linux',
    created,
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: ['bash'],
    },
    history: [
      { created, created_by: `mmdebstrap ${suite}` },
      { created, created_by: 'CMD ["bash"]', empty_layer: true },
    ],
  }
}
