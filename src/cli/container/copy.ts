/** The work of `cp`. */
import { lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, posix, resolve } from 'node:path'
import { readJson } from '../../client/engine-client.ts'
import type { ContainerPathStat } from '../../spec/container-types.ts'
import { errorCode } from '../../spec/errors.ts'
import { humanSize } from '../../lib/units.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../errors.ts'
import {
  keepEnding,
  meansDirectory,
  placeCopy,
  rebaseEntry,
  splitCopyArgument,
  splitEntry,
} from './copy-paths.ts'
import type { CopySide } from './copy-paths.ts'
import { packFiles, unpackFiles } from './local-archive.ts'

/** The flags of `cp`. */
export type CopyOptions = { archive: boolean; followLink: boolean; quiet: boolean }

// Bits of Go's os.FileMode, which the API sends.
const directoryBit = 0x8000_0000
const symlinkBit = 0x0800_0000
const has = (mode: number, bit: number) => Math.floor(mode / bit) % 2 === 1

const maxLinks = 40

/** What a path in a container is; undefined if that cannot be told: the request that needs it is told why. */
async function statPath(cli: Cli, container: string, path: string): Promise<ContainerPathStat | undefined> {
  const place = `/containers/${encodeURIComponent(container)}/archive`
  try {
    const response = await cli.client.request('HEAD', place, { query: { path } })
    return decodeStat(response.header('x-docker-container-path-stat') ?? '')
  } catch {
    return undefined
  }
}

function decodeStat(header: string): ContainerPathStat {
  return readJson<ContainerPathStat>(Buffer.from(header, 'base64').toString('utf8'))
}

async function* counted(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, count: { bytes: number }) {
  for await (const chunk of chunks) {
    count.bytes += chunk.length
    yield chunk
  }
}

function report(cli: Cli, options: CopyOptions, bytes: number, target: string): void {
  if (!options.quiet) cli.warn(`Successfully copied ${humanSize(bytes, 3)} to ${target}`)
}

/** The local destination, links followed, as far as it exists. */
function localDestination(path: string): CopySide {
  let current = keepEnding(resolve(path), path)
  for (let count = 0; count < maxLinks; count++) {
    try {
      const stats = lstatSync(current)
      if (!stats.isSymbolicLink())
        return { path: current, exists: true, isDirectory: stats.isDirectory(), rebaseName: '' }
      const target = readlinkSync(current)
      current = isAbsolute(target) ? target : join(dirname(current), target)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error
      const parent = dirname(current.replace(/\/+$/, ''))
      if (statSync(parent, { throwIfNoEntry: false })?.isDirectory() !== true) {
        throw new CliError(`invalid output path: directory ${JSON.stringify(parent)} does not exist`, {
          cause: error,
        })
      }
      return { path: current, exists: false, isDirectory: false, rebaseName: '' }
    }
  }
  throw new CliError(`too many symlinks in ${path}`)
}

/** Where a chain of links leads, there or not. */
function linkEnd(path: string): string {
  let end = path
  for (let count = 0; count < maxLinks; count++) {
    if (lstatSync(end, { throwIfNoEntry: false })?.isSymbolicLink() !== true) break
    end = resolve(dirname(end), readlinkSync(end))
  }
  return end
}

/** The local source; a link is copied itself unless it is to be followed or must be a directory. */
function localSource(path: string, followLink: boolean): CopySide & { root: string } {
  const absolute = keepEnding(resolve(path), path)
  let stats
  try {
    stats = lstatSync(absolute.replace(/\/\.?$/, '') || '/')
    if (stats.isSymbolicLink() && (followLink || meansDirectory(path))) stats = statSync(absolute)
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') throw new CliError('not a directory', { cause: error })
    if (errorCode(error) === 'ENOENT')
      throw new CliError(`lstat ${linkEnd(absolute)}: no such file or directory`, { cause: error })
    throw error
  }
  if (meansDirectory(path) && !stats.isDirectory()) throw new CliError('not a directory')
  const plain = absolute.replace(/(.)\/\.?$/, '$1')
  const isFollowed = lstatSync(plain).isSymbolicLink() && !stats.isSymbolicLink()
  return {
    path: absolute,
    exists: true,
    isDirectory: stats.isDirectory(),
    // The copy has the link's name, not its target's.
    rebaseName: '',
    root: isFollowed ? realpathSync(plain) : plain,
  }
}

async function fromContainer(
  cli: Cli,
  source: { container: string; path: string },
  target: string,
  options: CopyOptions,
): Promise<void> {
  const { container } = source
  let { path } = source
  const destination = target === '-' ? undefined : localDestination(target)
  let rebaseName = ''
  if (options.followLink) {
    const stat = await statPath(cli, container, path)
    if (stat !== undefined && has(stat.mode, symlinkBit)) {
      rebaseName = splitEntry(path).base
      path = isAbsolute(stat.linkTarget) ? stat.linkTarget : posix.join(posix.dirname(path), stat.linkTarget)
    }
  }
  const response = await cli.client.request('GET', `/containers/${encodeURIComponent(container)}/archive`, {
    query: { path },
  })
  const count = { bytes: 0 }
  if (destination === undefined) {
    for await (const chunk of response) cli.stdout.write(chunk)
    return
  }
  const stat = decodeStat(response.header('x-docker-container-path-stat') ?? '')
  const sourceBase = splitEntry(path).base
  const side: CopySide = { path, exists: true, isDirectory: has(stat.mode, directoryBit), rebaseName }
  const place = placeCopy(side, destination)
  await unpackFiles(place.directory, counted(response, count), (name) =>
    rebaseEntry(rebaseName === '' ? name : rebaseEntry(name, sourceBase, rebaseName), place.from, place.to),
  )
  report(cli, options, count.bytes, keepEnding(resolve(target), target))
}

/** The destination in a container, links followed. One that is not there may still be made. */
async function containerDestination(cli: Cli, container: string, given: string): Promise<CopySide> {
  let path = given
  for (let count = 0; count < 2; count++) {
    const stat = await statPath(cli, container, path)
    // Its directory may be there: the engine decides.
    if (stat === undefined) break
    if (!has(stat.mode, symlinkBit)) {
      return { path, exists: true, isDirectory: has(stat.mode, directoryBit), rebaseName: '' }
    }
    path = isAbsolute(stat.linkTarget) ? stat.linkTarget : posix.join(posix.dirname(path), stat.linkTarget)
  }
  return { path, exists: false, isDirectory: false, rebaseName: '' }
}

async function toContainer(
  cli: Cli,
  source: string,
  target: { container: string; path: string },
  options: CopyOptions,
): Promise<void> {
  const { container } = target
  const destination = await containerDestination(cli, container, target.path)
  const count = { bytes: 0 }
  let path: string
  let body: AsyncIterable<Buffer>
  if (source === '-') {
    if (destination.exists && !destination.isDirectory) {
      throw new CliError(`destination "${container}:${target.path}" must be a directory`)
    }
    path = destination.path
    body = process.stdin
  } else {
    const local = localSource(source, options.followLink)
    const place = placeCopy(local, destination)
    path = place.directory
    body = counted(packFiles({ root: local.root, name: place.to }), count)
  }
  await cli.client.send('PUT', `/containers/${encodeURIComponent(container)}/archive`, {
    query: { path, noOverwriteDirNonDir: 'true', copyUIDGID: options.archive ? 'true' : undefined },
    body,
    headers: { 'Content-Type': 'application/x-tar' },
  })
  if (source !== '-') report(cli, options, count.bytes, `${container}:${destination.path}`)
}

/** Copies between a container and here. Throws Docker's texts. */
export async function copy(cli: Cli, from: string, to: string, options: CopyOptions): Promise<void> {
  const source = splitCopyArgument(from)
  const target = splitCopyArgument(to)
  if (source.container === '' && target.container === '') {
    throw new CliError('must specify at least one container source')
  }
  if (source.container !== '' && target.container !== '') {
    throw new CliError('copying between containers is not supported')
  }
  if (source.container !== '') {
    const path = source.path === '' ? '' : keepEnding(posix.normalize(`/${source.path}`), source.path)
    await fromContainer(cli, { container: source.container, path }, target.path, options)
    return
  }
  const path = keepEnding(posix.normalize(`/${target.path}`), target.path)
  await toContainer(cli, source.path, { container: target.container, path }, options)
}
