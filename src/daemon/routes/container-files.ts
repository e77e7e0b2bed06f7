/** Files of containers: cp in both directions, stat, export. */
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ContainerEngine, ContainerRoot } from '../../containers/contract.ts'
import type { ContainerPathStat } from '../../spec/container-types.ts'
import { EngineError } from '../../spec/errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'

/** Reads and writes file trees of containers as tar streams. Paths may be hostile. */
export interface ContainerFiles {
  stat(root: ContainerRoot, path: string): Promise<ContainerPathStat>
  /** A tar stream of a path, named as its last segment. */
  read(root: ContainerRoot, path: string): Promise<{ stat: ContainerPathStat; tar: Readable }>
  /** Unpacks into an existing directory. */
  write(root: ContainerRoot, path: string, tar: Readable, options: WriteOptions): Promise<void>
  /** A tar stream of the whole root, without its mounts. */
  exportAll(root: ContainerRoot): Readable
}

/** Options of an unpack. */
export type WriteOptions = { overwriteDirectoryWithFile: boolean; copyOwner: boolean; signal: AbortSignal }

/** What the file routes need. */
export type FileRoutesDeps = { engine: ContainerEngine; files: ContainerFiles }

/** Routes for archives of containers. */
export function containerFileRoutes(deps: FileRoutesDeps): Route[] {
  return [
    { method: 'HEAD', path: '/containers/{id}/archive', handle: (x) => stat(deps, x) },
    { method: 'GET', path: '/containers/{id}/archive', handle: (x) => read(deps, x) },
    { method: 'PUT', path: '/containers/{id}/archive', handle: (x) => write(deps, x) },
    { method: 'GET', path: '/containers/{id}/export', handle: (x) => exportAll(deps, x) },
  ]
}

function pathOf(x: Exchange): string {
  const path = x.text('path')
  if (path === '') throw new EngineError('invalid', 'bad parameter: path cannot be empty')
  return path
}

function setStat(x: Exchange, found: ContainerPathStat): void {
  const text = Buffer.from(JSON.stringify(found)).toString('base64')
  x.response.setHeader('X-Docker-Container-Path-Stat', text)
}

async function stat({ engine, files }: FileRoutesDeps, x: Exchange): Promise<void> {
  const path = pathOf(x)
  setStat(x, await engine.withRootfs(x.name, (root) => files.stat(root, path)))
  x.sendStatus(200)
}

async function read({ engine, files }: FileRoutesDeps, x: Exchange): Promise<void> {
  const path = pathOf(x)
  await engine.withRootfs(x.name, async (root) => {
    const found = await files.read(root, path)
    setStat(x, found.stat)
    await sendTar(x, found.tar, 'application/x-tar')
  })
}

async function write({ engine, files }: FileRoutesDeps, x: Exchange): Promise<void> {
  const path = pathOf(x)
  const options = {
    overwriteDirectoryWithFile: !x.flag('noOverwriteDirNonDir'),
    copyOwner: x.flag('copyUIDGID'),
    signal: x.signal,
  }
  await engine.withRootfs(x.name, (root) => files.write(root, path, x.request, options))
  x.sendStatus(200)
}

async function exportAll({ engine, files }: FileRoutesDeps, x: Exchange): Promise<void> {
  await engine.withRootfs(x.name, (root) => sendTar(x, files.exportAll(root), 'application/octet-stream'))
}

/** A failure in the middle cuts the connection: the client sees an incomplete body. */
async function sendTar(x: Exchange, tar: Readable, contentType: string): Promise<void> {
  x.startStream(contentType)
  await pipeline(tar, x.response)
}
