/**
 * `image bootstrap`: makes a base image of Debian's packages where no registry is at hand. An addition to Docker's
 * commands. The same packages give the same image.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonLines } from '../../client/ndjson.ts'
import { flag } from '../../lib/flags.ts'
import { errorMessage } from '../../spec/errors.ts'
import type { ProgressMessage } from '../../spec/image-types.ts'
import { baseArchive, type BaseImage, type BaseLayer } from '../bootstrap/archive.ts'
import { busyboxBase } from '../bootstrap/busybox.ts'
import { debianBase } from '../bootstrap/debian.ts'
import type { Cli } from '../cli.ts'
import { commaListFlag } from '../comma-list.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { parseImageName } from '../image-names.ts'
import { showProgress } from '../progress.ts'

const suitePattern = /^[a-z][a-z0-9.-]*$/

/** See the file's description. */
export const command = defineCommand({
  flags: {
    include: commaListFlag('Debian packages to install beside the essential ones'),
    tag: flag.string('Name of the image, in place of the base it is made of', { short: 't' }),
    variant: flag.string('What mmdebstrap puts in: essential, apt, minbase, standard ...', {
      initial: 'minbase',
    }),
  },
  count: { min: 1, max: 1 },
  run: async (cli, { flags, args: [base = ''] }) => {
    const { repository, tag } = parseImageName(base)
    const wanted = parseImageName(flags.tag === '' ? base : flags.tag)
    const name = `${wanted.repository}:${wanted.tag === '' ? 'latest' : wanted.tag}`
    const work = mkdtempSync(join(tmpdir(), 'wharf-bootstrap-'))
    try {
      const { image, layer } =
        repository === 'busybox' && tag === ''
          ? await busybox(work)
          : await debian(cli, { repository, tag, variant: flags.variant, include: flags.include }, work)
      const response = await cli.client.request('POST', '/images/load', {
        query: { quiet: true },
        headers: { 'Content-Type': 'application/x-tar' },
        body: baseArchive(image, layer, name),
      })
      await showProgress(jsonLines<ProgressMessage>(response), { output: cli.stdout, width: cli.columns })
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  },
})

type Base = { image: BaseImage; layer: BaseLayer }

/** Of the busybox that is installed, or of the package that apt fetches. */
async function busybox(work: string): Promise<Base> {
  const installed = '/bin/busybox'
  const image = await busyboxBase(isStatic(installed) ? installed : fetchBusybox(work))
  return { image, layer: image.layer }
}

function isStatic(path: string): boolean {
  if (!existsSync(path)) return false
  try {
    const owner = execFileSync('dpkg-query', ['-S', path], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return owner.startsWith('busybox-static:')
  } catch {
    // Not from a package: nobody knows how it was linked.
    return false
  }
}

function fetchBusybox(work: string): string {
  const run = (program: string, args: string[]) => execFileSync(program, args, { cwd: work, stdio: 'pipe' })
  try {
    run('apt-get', ['download', '-qq', 'busybox-static'])
    const archive = readdirSync(work).find((name) => name.endsWith('.deb')) ?? ''
    run('dpkg-deb', ['-x', archive, 'files'])
  } catch (error) {
    throw new CliError(`busybox-static is not installed and cannot be fetched: ${errorMessage(error)}`, {
      cause: error,
    })
  }
  const places = ['files/bin/busybox', 'files/usr/bin/busybox'].map((path) => join(work, path))
  return places.find((path) => existsSync(path)) ?? ''
}

async function debian(
  cli: Cli,
  request: { repository: string; tag: string; variant: string; include: readonly string[] },
  work: string,
): Promise<Base> {
  const { repository, tag: suite, variant, include } = request
  if (repository !== 'debian' || !suitePattern.test(suite)) {
    throw new CliError('nothing to make this of: try busybox, or debian:RELEASE such as debian:bookworm')
  }
  const path = join(work, 'layer.tar')
  const log = (text: string) => cli.stderr.write(text)
  return { image: await debianBase({ suite, variant, include, env: cli.env, log }, path), layer: { path } }
}
