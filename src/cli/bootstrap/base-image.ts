/**
 * Base images out of Debian's archive, for where no registry is at hand: mmdebstrap makes the files, this the image
 * around them. The same packages give the same bytes, and so the same digest.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { tarHeader } from '../../lib/tar-format.ts'
import { denseContent, readTar, writeTar, type TarSource } from '../../lib/tar-stream.ts'
import { errorCode } from '../../spec/errors.ts'
import { CliError } from '../errors.ts'
import { busyboxRoot } from './busybox-root.ts'

/** What to make. */
export type BaseImageRequest = {
  name: 'busybox' | 'debian'
  tag: string
  /** Release that packages come from. */
  suite: string
  /** Where the archive is, in the forms mmdebstrap takes; its own choice where there is none. */
  mirrors: readonly string[]
  /** How much of a system, as mmdebstrap calls it. */
  variant: string
  /** Packages beside those of the variant. */
  packages: readonly string[]
  /** Seconds since 1970: nothing in the image is newer. */
  epoch: number
  /** For what is written on the way; removed by the caller. */
  directory: string
  env: Readonly<Record<string, string | undefined>>
}

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const architectures: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  x64: { architecture: 'amd64' },
  arm64: { architecture: 'arm64', variant: 'v8' },
  arm: { architecture: 'arm', variant: 'v7' },
}

/** The image as an archive that the engine loads. Throws what mmdebstrap says when it fails. */
export async function baseImage(request: BaseImageRequest): Promise<AsyncIterable<Uint8Array>> {
  const layer = request.name === 'busybox' ? await busyboxLayer(request) : await debianLayer(request)
  const digest = await sha256OfFile(layer)
  const created = new Date(request.epoch * 1000).toISOString().replace('.000Z', 'Z')
  const config = Buffer.from(
    JSON.stringify({
      ...(architectures[process.arch] ?? { architecture: process.arch }),
      config: { Cmd: [request.name === 'busybox' ? 'sh' : 'bash'], Env: [path] },
      created,
      history: [{ created, created_by: `${request.name} ${request.suite} from Debian packages` }],
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    }),
  )
  const configName = `${createHash('sha256').update(config).digest('hex')}.json`
  const manifest = [
    { Config: configName, RepoTags: [`${request.name}:${request.tag}`], Layers: ['layer.tar'] },
  ]
  const header = tarHeader({ name: 'layer.tar', type: 'file', size: statSync(layer).size })
  return writeTar([
    { header, content: createReadStream(layer, { highWaterMark: 1 << 20 }) },
    document(configName, config),
    document('manifest.json', Buffer.from(JSON.stringify(manifest))),
  ])
}

function document(name: string, data: Buffer): TarSource {
  return { header: tarHeader({ name, type: 'file', size: data.length }), content: [data] }
}

async function debianLayer(request: BaseImageRequest): Promise<string> {
  return mmdebstrap(request, request.variant, request.packages)
}

/** Of the package only the program is taken. */
async function busyboxLayer(request: BaseImageRequest): Promise<string> {
  const tree = await mmdebstrap(request, 'extract', ['busybox-static'])
  const program = join(request.directory, 'busybox')
  for await (const entry of readTar(createReadStream(tree))) {
    if (!/^(\.\/)?(usr\/)?bin\/busybox$/.test(entry.header.name) || entry.header.type !== 'file') continue
    const busybox = Buffer.concat(await Array.fromAsync(denseContent(entry)))
    writeFileSync(program, busybox, { mode: 0o755 })
    const listed = execFileSync(program, ['--list'], { encoding: 'utf8' }).split('\n')
    const applets = listed.filter((name) => name !== '' && name !== 'busybox').sort()
    const layer = join(request.directory, 'busybox.tar')
    await pipeline(Readable.from(writeTar(busyboxRoot(busybox, applets))), createWriteStream(layer))
    return layer
  }
  throw new CliError('the package busybox-static has no program busybox')
}

/** Runs it; answers the tar of the files. What it says goes to the terminal. */
async function mmdebstrap(
  { suite, mirrors, epoch, directory, env }: BaseImageRequest,
  variant: string,
  packages: readonly string[],
): Promise<string> {
  const target = join(directory, 'root.tar')
  const include = packages.length === 0 ? [] : [`--include=${packages.join(',')}`]
  const child = spawn(
    'mmdebstrap',
    ['--quiet', '--format=tar', `--variant=${variant}`, ...include, suite, target, ...mirrors],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...env, SOURCE_DATE_EPOCH: String(epoch) } },
  )
  try {
    const [code] = await once(child, 'close')
    if (code !== 0) throw new CliError(`mmdebstrap failed with exit code ${String(code)}`)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new CliError('image bootstrap needs mmdebstrap, which Debian has as a package of that name', {
      cause: error,
    })
  }
  return target
}

async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}
