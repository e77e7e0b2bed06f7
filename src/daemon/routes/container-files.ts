/** Files of containers: cp in both directions, stat, export. Paths and archives may be hostile: see the archive's worker. */
import type { ArchiveOutput, ExtractOptions } from '../../containers/archive-job.ts'
import type { ContainerArchives } from '../../containers/archive.ts'
import type { ContainerEngine, ContainerRoot } from '../../containers/contract.ts'
import { sendAll } from '../../lib/output.ts'
import { released } from '../../lib/release-buffer.ts'
import type { ContainerPathStat } from '../../spec/container-types.ts'
import { EngineError } from '../../spec/errors.ts'
import type { Exchange } from '../exchange.ts'
import type { HijackedConnection } from '../hijack.ts'
import { lendAnswer, lendBody } from '../lent-connection.ts'
import type { Route } from '../router.ts'

/** What the routes work with. */
export type FileRoutesParts = { engine: ContainerEngine; archives: ContainerArchives }

/** Routes for archives of containers. */
export function containerFileRoutes(parts: FileRoutesParts): Route[] {
  const path = '/containers/{id}/archive'
  return [
    { method: 'HEAD', path, handle: (x) => stat(parts, x) },
    { method: 'GET', path, handle: (x) => read(parts, x), direct: (x, client) => read(parts, x, client) },
    { method: 'PUT', path, handle: (x) => write(parts, x), direct: (x, client) => write(parts, x, client) },
    {
      method: 'GET',
      path: '/containers/{id}/export',
      handle: (x) => exportAll(parts, x),
      direct: (x, client) => exportAll(parts, x, client),
    },
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

async function stat({ engine, archives }: FileRoutesParts, x: Exchange): Promise<void> {
  const path = pathOf(x)
  setStat(x, await engine.withRootfs(x.name, (root) => archives.stat({ root, reference: x.name }, path)))
  x.sendStatus(200)
}

async function read(
  { engine, archives }: FileRoutesParts,
  x: Exchange,
  client?: HijackedConnection,
): Promise<void> {
  const path = pathOf(x)
  await engine.withRootfs(x.name, async (root) => {
    const of = { root, reference: x.name }
    setStat(x, await archives.stat(of, path))
    engine.logEvent(x.name, 'archive-path')
    x.startStream('application/x-tar')
    await sendArchive(archives, x, client, (output) => archives.read(of, path, output))
  })
}

async function exportAll(
  { engine, archives }: FileRoutesParts,
  x: Exchange,
  client?: HijackedConnection,
): Promise<void> {
  await engine.withRootfs(x.name, async (root: ContainerRoot) => {
    engine.logEvent(x.name, 'export')
    x.startStream('application/octet-stream')
    await sendArchive(archives, x, client, (output) => archives.export(root, output))
  })
}

/** A failure in the middle cuts the connection: the client sees an incomplete body. */
async function sendArchive(
  archives: ContainerArchives,
  x: Exchange,
  client: HijackedConnection | undefined,
  pack: (output: ArchiveOutput) => Promise<void>,
): Promise<void> {
  if (client !== undefined) return lendAnswer(client, pack)
  const content = archives.stream(pack)
  try {
    await sendAll(released(content), x.response)
  } finally {
    content.destroy()
  }
}

async function write(
  { engine, archives }: FileRoutesParts,
  x: Exchange,
  client?: HijackedConnection,
): Promise<void> {
  const options: ExtractOptions = {
    path: pathOf(x),
    noOverwriteDirNonDir: x.flag('noOverwriteDirNonDir'),
    copyOwner: x.flag('copyUIDGID'),
    user: '',
  }
  if (options.copyOwner) {
    options.user = (await engine.inspect(x.name, { size: false })).Config.User ?? ''
  }
  await engine.withRootfs(x.name, async (root) => {
    const of = { root, reference: x.name }
    if (client !== undefined) await lendBody(client, (input) => archives.extract(of, options, input))
    else {
      // Whoever still has to be answered keeps the connection.
      const body = x.request.iterator({ destroyOnReturn: false })
      await archives.feed(body, (input) => archives.extract(of, options, input))
    }
    engine.logEvent(x.name, 'extract-to-dir')
  })
  x.sendStatus(200)
}
