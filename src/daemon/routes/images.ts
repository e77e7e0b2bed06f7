/** Images: list, look at, name, remove, and the streams of pull, push, load, save and import. */
import { ContainerConfig } from '../../spec/container-config.ts'
import { EngineError, errorMessage } from '../../spec/errors.ts'
import type {
  ImageDeleted,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  Platform,
  ProgressMessage,
} from '../../spec/image-types.ts'
import { decodeJson } from '../../lib/http-json.ts'
import { sendAll } from '../../lib/output.ts'
import { released } from '../../lib/release-buffer.ts'
import type { EventJournal } from '../events.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'
import { adaptImageInspect, adaptImageList } from '../versions-image.ts'

type Filters = ReadonlyMap<string, readonly string[]>

/** Takes progress as it comes. */
export type ProgressSink = (message: ProgressMessage) => void

/** An import: what the image is called and says. Without a message it says where it came from. */
export type ImportOptions = {
  repository: string
  tag: string
  message: string
  source: string
  changes: string[]
  platform: string
}

/** What the image routes need. Implemented by images/. */
export interface ImageOperations {
  list(options: {
    all: boolean
    filters: Filters
    sharedSize: boolean
    manifests: boolean
  }): Promise<ImageSummary[]>
  inspect(reference: string, options: { platform?: Platform; manifests: boolean }): Promise<ImageInspect>
  history(reference: string, platform?: Platform): Promise<ImageHistoryItem[]>
  tag(source: string, repository: string, tag: string): Promise<void>
  remove(
    reference: string,
    options: { force: boolean; noPrune: boolean; platforms: readonly Platform[] },
  ): Promise<ImageDeleted[]>
  prune(filters: Filters): Promise<{ deleted: ImageDeleted[]; reclaimedBytes: number }>
  load(
    archive: AsyncIterable<Uint8Array>,
    request: { quiet: boolean; platforms: readonly Platform[]; report: (message: ProgressMessage) => void },
    signal: AbortSignal,
  ): Promise<void>
  save(references: string[], platforms: Platform[], signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  import(
    archive: AsyncIterable<Uint8Array>,
    options: ImportOptions,
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void>
}

/** Brings images in from registries. Implemented by images/. */
export interface Pulling {
  pull(
    query: { image: string; tag: string; platform: string; auth: string | undefined },
    report: ProgressSink,
    signal: AbortSignal,
  ): Promise<void>
  /** An archive at an address. */
  archive(source: string, report: ProgressSink, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
}

/** Makes an image of a container. */
export interface Committing {
  commit(request: {
    container: string
    repository: string
    tag: string
    comment: string
    author: string
    pause: boolean
    changes: string[]
    config: ContainerConfig | undefined
  }): Promise<string>
}

/** `docker-daemon:` of skopeo, podman and buildah speaks this, whatever the engine says of its versions. */
const transferVersion = 22

/** The route by which archives come in. */
export function imageLoadRoutes(images: Pick<ImageOperations, 'load'>): Route[] {
  return [{ method: 'POST', path: '/images/load', oldest: transferVersion, handle: (x) => load(images, x) }]
}

/** Routes of the API's "Image" area. */
export function imageRoutes(
  images: ImageOperations,
  commits: Committing | undefined,
  registry: Pulling,
  events: Pick<EventJournal, 'emit'>,
): Route[] {
  const notYet = (what: string) => () => {
    throw new EngineError('notImplemented', `${what} is not supported yet`)
  }
  return [
    { method: 'GET', path: '/images/json', handle: (x) => list(images, x) },
    {
      method: 'GET',
      path: '/images/get',
      oldest: transferVersion,
      handle: (x) => save(images, x, x.query.getAll('names')),
    },
    {
      method: 'GET',
      path: '/images/{name}/get',
      oldest: transferVersion,
      handle: (x) => save(images, x, [x.name]),
    },
    { method: 'GET', path: '/images/{name}/json', handle: (x) => inspect(images, x) },
    {
      method: 'GET',
      path: '/images/{name}/history',
      handle: async (x) =>
        x.sendJson(200, await images.history(x.name, x.version >= 48 ? platformOf(x) : undefined)),
    },
    { method: 'POST', path: '/images/create', handle: (x) => create(images, registry, x) },
    { method: 'POST', path: '/images/prune', handle: (x) => prune(images, x) },
    {
      method: 'POST',
      path: '/images/{name}/tag',
      handle: async (x) => {
        await images.tag(x.name, x.text('repo'), x.text('tag'))
        x.sendStatus(201)
      },
    },
    {
      method: 'DELETE',
      path: '/images/{name}',
      handle: async (x) => {
        const platforms = x.version >= 50 ? platformsOf(x, 'platforms') : []
        const options = { force: x.flag('force'), noPrune: x.flag('noprune'), platforms }
        x.sendJson(200, await images.remove(x.name, options))
      },
    },
    { method: 'POST', path: '/build', handle: notYet('building images') },
    {
      method: 'POST',
      path: '/build/prune',
      handle: (x) => {
        // Nothing is built here, so there is no cache; a prune is told of all the same.
        events.emit({ type: 'builder', action: 'prune', id: '', attributes: { reclaimed: '0' } })
        x.sendJson(200, { CachesDeleted: null, SpaceReclaimed: 0 })
      },
    },
    { method: 'POST', path: '/build/cancel', handle: notYet('building images') },
    { method: 'POST', path: '/commit', handle: (x) => commit(commits, x) },
  ]
}

async function list(images: ImageOperations, x: Exchange): Promise<void> {
  const manifests = x.version >= 47 && x.flag('manifests')
  if (x.version >= 54 && x.flag('identity') && !manifests) {
    throw new EngineError('invalid', 'conflicting options: identity requires manifests=1')
  }
  const filters = new Map(x.filters())
  // Before 1.41 a single name could be given beside the filters.
  if (x.version < 41 && x.text('filter') !== '') filters.set('reference', [x.text('filter')])
  const summaries = await images.list({
    all: x.flag('all'),
    filters,
    sharedSize: x.version >= 42 && x.flag('shared-size'),
    manifests,
  })
  x.sendJson(200, adaptImageList(summaries, x.version))
}

async function inspect(images: ImageOperations, x: Exchange): Promise<void> {
  const manifests = x.version >= 48 && x.flag('manifests')
  const platform = x.version >= 49 ? platformOf(x) : undefined
  if (manifests && platform !== undefined) {
    throw new EngineError('invalid', 'conflicting options: manifests and platform options cannot both be set')
  }
  const image = await images.inspect(x.name, platform === undefined ? { manifests } : { manifests, platform })
  x.sendJson(200, adaptImageInspect(image, x.version))
}

/** The `platform` parameter: a JSON object. Throws `invalid`. */
export function platformOf(x: Exchange): Platform | undefined {
  return platformsOf(x)[0]
}

function platformsOf(x: Exchange, parameter = 'platform'): Platform[] {
  return x.query
    .getAll(parameter)
    .filter((text) => text !== '')
    .map((text) => parsePlatform(text))
}

/** The platforms that an archive is to have: none could be chosen before 1.48, one alone before 1.52. Throws `invalid`. */
function archivePlatforms(x: Exchange): Platform[] {
  if (x.version < 48) return []
  if (x.version < 52 && x.query.getAll('platform').length > 1) {
    throw new EngineError(
      'invalid',
      'multiple platform parameters are not supported in this API version; use API version 1.52 or later',
    )
  }
  return platformsOf(x)
}

function parsePlatform(text: string): Platform {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new EngineError('invalid', `failed to parse platform: ${errorMessage(cause)}`, { cause })
  }
  const field = (name: string): string => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
    return typeof found === 'string' ? found : ''
  }
  if (field('os') === '' || field('architecture') === '') {
    throw new EngineError('invalid', 'both OS and Architecture must be provided')
  }
  const variant = field('variant')
  return { os: field('os'), architecture: field('architecture'), ...(variant === '' ? {} : { variant }) }
}

async function save(images: ImageOperations, x: Exchange, names: string[]): Promise<void> {
  const wanted = names.flatMap((name) => name.split(',')).filter((name) => name !== '')
  const tar = await images.save(wanted, archivePlatforms(x), x.signal)
  x.startStream('application/x-tar')
  await sendAll(tar, x.response)
}

/** Runs work that reports progress. A failure before the first message is an ordinary error. */
export async function withProgress(
  x: Exchange,
  work: (progress: ProgressSink) => Promise<void>,
): Promise<void> {
  const send = (message: ProgressMessage) => {
    if (!x.response.headersSent) x.startStream('application/json')
    // Progress is little: what a slow client has not read yet is kept.
    void x.writeJson(message, '\r\n')
  }
  try {
    await work(send)
  } catch (error) {
    if (!x.response.headersSent) throw error
    const message = errorMessage(error)
    send({ errorDetail: { message }, error: message })
  }
  if (!x.response.headersSent) x.startStream('application/json')
  x.response.end()
}

/**
 * The request's body in pieces whose memory is given back when the next is asked for. Whoever stops in the middle
 * leaves the connection, on which the client is to hear why.
 */
function bodyOf(x: Exchange): AsyncIterable<Buffer> {
  return released(x.request.iterator({ destroyOnReturn: false }))
}

async function load(images: Pick<ImageOperations, 'load'>, x: Exchange): Promise<void> {
  const options = { quiet: x.flag('quiet', true), platforms: archivePlatforms(x) }
  await withProgress(x, (report) => images.load(bodyOf(x), { ...options, report }, x.signal))
  // What was not wanted of the body must not be taken for the next request.
  x.request.resume()
}

async function create(images: ImageOperations, registry: Pulling, x: Exchange): Promise<void> {
  if (x.text('fromImage') !== '') {
    const query = {
      image: x.text('fromImage'),
      tag: x.text('tag'),
      platform: x.text('platform'),
      auth: registryAuth(x),
    }
    await withProgress(x, (progress) => registry.pull(query, progress, x.signal))
    return
  }
  const source = x.text('fromSrc')
  const options = {
    repository: x.text('repo'),
    tag: x.text('tag'),
    message: x.text('message'),
    source,
    changes: x.query.getAll('changes'),
    platform: x.text('platform'),
  }
  await withProgress(x, async (progress) => {
    const archive = source === '-' ? bodyOf(x) : await registry.archive(source, progress, x.signal)
    await images.import(archive, options, progress, x.signal)
  })
  x.request.resume()
}

/** Credentials of a request; see `decodeAuth`. */
export function registryAuth(x: Exchange): string | undefined {
  const header = x.request.headers['x-registry-auth']
  return typeof header === 'string' ? header : undefined
}

async function prune(images: ImageOperations, x: Exchange): Promise<void> {
  const { deleted, reclaimedBytes } = await images.prune(x.filters())
  x.sendJson(200, { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimedBytes })
}

async function commit(commits: Committing | undefined, x: Exchange): Promise<void> {
  if (commits === undefined)
    throw new EngineError('notImplemented', 'committing containers is not supported yet')
  const body = await x.jsonValue()
  const config = decodeJson(ContainerConfig, body, 'Config')
  const id = await commits.commit({
    container: x.text('container'),
    repository: x.text('repo'),
    tag: x.text('tag'),
    comment: x.text('comment'),
    author: x.text('author'),
    pause: x.flag('pause', true),
    changes: x.query.getAll('changes'),
    config: hasField(body, config) ? config : undefined,
  })
  x.sendJson(201, { Id: id })
}

/** Whether a body names any of a configuration's fields: one that doesn't is as good as none. */
function hasField(body: unknown, config: ContainerConfig): boolean {
  if (typeof body !== 'object' || body === null) return false
  const fields = new Set(Object.keys(config).map((key) => key.toLowerCase()))
  return Object.keys(body).some((key) => fields.has(key.toLowerCase()))
}
