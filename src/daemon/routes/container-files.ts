/** Files of containers: cp in both directions, stat, export. Paths and archives may be hostile: see the archive's worker. */
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  exportContainer,
  extractIntoContainer,
  readContainerPath,
  statContainerPath,
} from '../../containers/archive.ts'
import type { ContainerEngine } from '../../containers/contract.ts'
import type { ContainerPathStat } from '../../spec/container-types.ts'
import { EngineError } from '../../spec/errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'

/** Routes for archives of containers. */
export function containerFileRoutes(engine: ContainerEngine): Route[] {
  return [
    { method: 'HEAD', path: '/containers/{id}/archive', handle: (x) => stat(engine, x) },
    { method: 'GET', path: '/containers/{id}/archive', handle: (x) => read(engine, x) },
    { method: 'PUT', path: '/containers/{id}/archive', handle: (x) => write(engine, x) },
    { method: 'GET', path: '/containers/{id}/export', handle: (x) => exportAll(engine, x) },
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

async function stat(engine: ContainerEngine, x: Exchange): Promise<void> {
  const path = pathOf(x)

  setStat(x, await engine.withRootfs(x.name, (root) => statContainerPath({ root, reference: x.name }, path)))
  x.sendStatus(200)
}

async function read(engine: ContainerEngine, x: Exchange): Promise<void> {
  const path = pathOf(x)
  await engine.withRootfs(x.name, async (root) => {
    const found = await readContainerPath({ root, reference: x.name }, path)
    setStat(x, found.stat)
    await sendTar(x, found.content, 'application/x-tar')
  })
}

async function write(engine: ContainerEngine, x: Exchange): Promise<void> {
  const options = {
    path: pathOf(x),
    noOverwriteDirNonDir: x.flag('noOverwriteDirNonDir'),
    copyOwner: x.flag('copyUIDGID'),
    user: '',
  }
  if (options.copyOwner) {
    options.user = (await engine.inspect(x.name, { size: false })).Config.User ?? ''
  }
  await engine.withRootfs(x.name, (root) =>
    extractIntoContainer({ root, reference: x.name }, options, x.request),
  )
  x.sendStatus(200)
}

async function exportAll(engine: ContainerEngine, x: Exchange): Promise<void> {
  await engine.withRootfs(x.name, (root) => sendTar(x, exportContainer(root), 'application/octet-stream'))
}

/** A failure in the middle cuts the connection: the client sees an incomplete body. */
async function sendTar(x: Exchange, tar: Readable, contentType: string): Promise<void> {
  x.startStream(contentType)
  await pipeline(tar, x.response)
}
