/**
 * The part `registry`: our registry against Debian's docker-registry, in one run, on the same content, both syncing
 * what they acknowledge. Samples of the two alternate; a figure is the median. Beside it stands the processor time
 * that the server took for one operation. wrk asks for manifests, curl pulls, this process pushes.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { median, pause } from './measure.ts'
import { referenceConfig, startOurs, startReference, type RegistryServer } from './registry-servers.ts'

const run = promisify(execFile)
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const agent = new Agent({ keepAlive: true, maxSockets: 16 })
const big = 200 * 1024 * 1024
const repositories = 2000
const tags = 10_000

/** What one sample found: the figure, and how many operations it stands for. */
type Sample = { figure: number; operations: number }
type Figures = { value: number; cpuMs: number }

/** A line of the report; `better` says which way the ratio goes, so that more is always better. */
type Part = {
  what: string
  unit: string
  better: 'more' | 'less'
  target: number
  runs: number
  sample: (server: RegistryServer) => Promise<Sample>
}

async function ask(url: string, method: string, body?: Buffer | string, type = 'application/octet-stream') {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; location: string }>()
  const headers = {
    Accept: manifestType,
    'Content-Type': type,
    'Content-Length': String(body === undefined ? 0 : Buffer.byteLength(body)),
  }
  const outgoing = request(url, { method, headers, agent }, (answer) => {
    answer.resume()
    answer.once('error', reject)
    answer.once('end', () =>
      resolve({ status: answer.statusCode ?? 0, location: answer.headers.location ?? '' }),
    )
  })
  outgoing.once('error', reject)
  outgoing.end(body)
  return await promise
}

async function must(status: number, ...call: Parameters<typeof ask>): Promise<string> {
  const answer = await ask(...call)
  if (answer.status !== status) throw new Error(`${call[1]} ${call[0]}: ${answer.status}`)
  return answer.location
}

function digestOf(data: Buffer | string): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`
}

/** POST, PATCH and PUT, as docker pushes. The digest is made before. */
async function pushBlob(
  url: string,
  repository: string,
  blob: { data: Buffer; digest: string },
): Promise<void> {
  const started = await must(202, `${url}/v2/${repository}/blobs/uploads/`, 'POST')
  const location = new URL(await must(202, new URL(started, url).href, 'PATCH', blob.data), url)
  location.searchParams.set('digest', blob.digest)
  await must(201, location.href, 'PUT')
}

function blobOf(data: Buffer): { data: Buffer; digest: string } {
  return { data, digest: digestOf(data) }
}

function manifest(config: string, layer: string, note: string): string {
  const descriptor = (mediaType: string, digest: string) => ({ mediaType, digest, size: 2 })
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)],
    annotations: { note },
  })
}

/** Runs work on many things over eight connections. */
async function eightAtOnce(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: 8 }, lane))
}

const config = blobOf(Buffer.from('{}'))

/** Fills our registry, then gives the reference registry a copy of the folder. */
async function fill(root: string): Promise<void> {
  const ours = await startOurs(root)
  await pushBlob(ours.url, 'bench/app', config)
  const text = manifest(config.digest, config.digest, 'app')
  for (let at = 0; at < tags; at += 100) {
    const names = Array.from({ length: 100 }, (_, n) => `tag=v${String(at + n).padStart(5, '0')}`).join('&')
    await must(
      201,
      `${ours.url}/v2/bench/app/manifests/${digestOf(text)}?${names}`,
      'PUT',
      text,
      manifestType,
    )
  }
  await eightAtOnce(repositories, async (n) => {
    const name = `many/repository-${String(n).padStart(4, '0')}`
    await must(201, `${ours.url}/v2/${name}/blobs/uploads/?mount=${config.digest}&from=bench/app`, 'POST')
    await pushManifest(ours.url, name, `repository ${n}`)
  })
  await ours.stop()
  cpSync(join(root, 'wharf/docker'), join(root, 'reference/docker'), { recursive: true })
}

async function pushManifest(url: string, repository: string, note: string): Promise<void> {
  const text = manifest(config.digest, config.digest, note)
  await must(201, `${url}/v2/${repository}/manifests/latest`, 'PUT', text, manifestType)
}

/** Requests a second that wrk counts in four seconds over eight connections. */
async function requestRate(root: string, url: string, page: string): Promise<Sample> {
  const script = join(root, 'headers.lua')
  writeFileSync(script, `wrk.headers["Accept"] = "${manifestType}"\n`)
  const { stdout } = await run('wrk', ['-t1', '-c8', '-d4s', '-s', script, `${url}${page}`])
  if (/Non-2xx/.test(stdout)) throw new Error(stdout)
  const figure = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
  return { figure, operations: Number(/(\d+) requests in/.exec(stdout)?.[1]) }
}

async function seconds(operations: number, work: () => Promise<unknown>): Promise<Sample> {
  const before = performance.now()
  await work()
  return { figure: (performance.now() - before) / 1000, operations }
}

let serial = 0

function parts(root: string, pulled: { data: Buffer; digest: string }): Part[] {
  const rate = (what: string, page: string, target: number): Part => ({
    what,
    unit: '1/s',
    better: 'more',
    target,
    runs: 3,
    sample: ({ url }) => requestRate(root, url, page),
  })
  const time = (what: string, target: number, runs: number, sample: Part['sample']): Part => ({
    what,
    unit: 's',
    better: 'less',
    target,
    runs,
    sample,
  })
  return [
    rate('GET of a manifest by tag', '/v2/bench/app/manifests/v00042', 5),
    // Asked from here: wrk waits for the body that a HEAD has not.
    time('1000 HEAD of a manifest by tag, 8 at once', 5, 3, ({ url }) =>
      seconds(1000, () =>
        eightAtOnce(1000, async () => {
          await must(200, `${url}/v2/bench/app/manifests/v00042`, 'HEAD')
        }),
      ),
    ),
    time('400 new manifests, 8 at once', 2, 3, async ({ url }) => {
      const first = (serial += 1000)
      return await seconds(400, () =>
        eightAtOnce(400, (n) => pushManifest(url, 'bench/new', `new ${first + n}`)),
      )
    }),
    rate('100 of 10,000 tags', '/v2/bench/app/tags/list?n=100&last=v05000', 10),
    rate('catalog, a page of 100', '/v2/_catalog?n=100&last=many/repository-0999', 5),
    time('push of 200 MB', 1.3, 5, async ({ url }) => {
      randomBytes(64).copy(pulled.data)
      const blob = blobOf(pulled.data)
      return await seconds(1, () => pushBlob(url, 'bench/push', blob))
    }),
    time('pull of 200 MB', 1, 5, ({ url }) =>
      seconds(1, () =>
        run('curl', ['-sSf', '-o', '/dev/null', `${url}/v2/bench/pull/blobs/${pulled.digest}`]),
      ),
    ),
    time('200 pushes of 1 MB, 8 at once', 1.3, 3, async ({ url }) => {
      const blobs = Array.from({ length: 200 }, () => blobOf(randomBytes(1024 * 1024)))
      return await seconds(200, () =>
        eightAtOnce(200, async (n) => {
          const blob = blobs[n]
          if (blob !== undefined) await pushBlob(url, `bench/small-${n % 8}`, blob)
        }),
      )
    }),
  ]
}

async function measure(part: Part, servers: readonly RegistryServer[]): Promise<Map<string, Figures>> {
  const found = new Map(servers.map(({ name }) => [name, { values: [] as number[], cpu: [] as number[] }]))
  for (let round = -1; round < part.runs; round++) {
    for (const server of servers) {
      await pause(300)
      const before = server.cpuMs()
      const { figure, operations } = await part.sample(server)
      if (round < 0) continue
      found.get(server.name)?.values.push(figure)
      found.get(server.name)?.cpu.push((server.cpuMs() - before) / operations)
    }
  }
  return new Map(
    [...found].map(([name, { values, cpu }]) => [name, { value: median(values), cpuMs: median(cpu) }]),
  )
}

function row(part: Part, figures: Map<string, Figures>): string {
  const [ours, theirs] = [figures.get('wharf'), figures.get('reference')]
  if (ours === undefined || theirs === undefined) return ''
  const ratio = part.better === 'more' ? ours.value / theirs.value : theirs.value / ours.value
  const cells = [
    part.what,
    part.unit,
    short(ours.value),
    short(theirs.value),
    short(ratio),
    `at least ${part.target}`,
    ratio >= part.target ? 'met' : 'NOT MET',
    short(ours.cpuMs),
    short(theirs.cpuMs),
  ]
  return `| ${cells.join(' | ')} |`
}

function short(value: number): string {
  return value.toFixed(value < 1 ? 3 : value < 10 ? 2 : 0)
}

/** Peak memory under eight pulls of 200 MB at once, in MiB. */
async function memory(servers: readonly RegistryServer[], digest: string): Promise<string> {
  const peaks: number[] = []
  for (const server of servers) {
    server.peakMebibytes()
    const pull = () => run('curl', ['-sSf', '-o', '/dev/null', `${server.url}/v2/bench/pull/blobs/${digest}`])
    await Promise.all(Array.from({ length: 8 }, pull))
    peaks.push(server.peakMebibytes())
  }
  const [ours = Number.NaN, theirs = Number.NaN] = peaks
  const verdict = ours <= 150 ? 'met' : 'NOT MET'
  return `Memory under 8 parallel pulls of 200 MB: wharf ${short(ours)} MiB, reference ${short(theirs)} MiB (at most 150: ${verdict})`
}

/** Collects all repositories while eight clients push and pull; then lets the reference registry do it, alone. */
async function collection(ours: RegistryServer, root: string): Promise<string> {
  let answered = 0
  let refused = 0
  const over = new AbortController()
  const client = async (n: number) => {
    for (let turn = 0; !over.signal.aborted; turn++) {
      const name = `${ours.url}/v2/many/repository-${String((turn * 8 + n) % repositories).padStart(4, '0')}`
      const text = manifest(config.digest, config.digest, `turn ${turn} ${n}`)
      const answers = [
        await ask(`${name}/manifests/latest`, 'GET'),
        await ask(`${name}/blobs/${config.digest}`, 'HEAD'),
        await ask(`${name}/manifests/latest`, 'PUT', text, manifestType),
      ]
      answered += answers.length
      refused += answers.filter(({ status }) => status >= 300).length
    }
  }
  const clients = Array.from({ length: 8 }, (_, n) => client(n))
  const took = await seconds(1, () => must(200, `${ours.url}/_wharf/collect?untagged=1`, 'POST'))
  over.abort()
  await Promise.all(clients)
  const port = 1
  const alone = await seconds(1, () =>
    run('docker-registry', ['garbage-collect', '--delete-untagged', referenceConfig(root, port)], {
      maxBuffer: 1 << 28,
    }),
  )
  const verdict = refused === 0 ? 'met' : 'NOT MET'
  return [
    `Collection of ${repositories} repositories: ${short(took.figure)} s, ${answered} requests meanwhile,`,
    `${refused} refused (none: ${verdict}); the reference registry, which may not serve meanwhile: ${short(alone.figure)} s`,
  ].join(' ')
}

/** Runs the part; prints its report line by line. */
export async function benchRegistry(base: string): Promise<void> {
  const root = join(base, 'registry')
  rmSync(root, { recursive: true, force: true })
  await fill(root)
  const pulled = blobOf(randomBytes(big))
  const [ours, reference] = [await startOurs(root), await startReference(root)]
  const servers = [ours, reference]
  try {
    for (const { url } of servers) {
      await pushBlob(url, 'bench/pull', pulled)
      await pushBlob(url, 'bench/new', config)
    }
    const head = [
      'what',
      'unit',
      'wharf',
      'reference',
      'ratio',
      'target',
      '',
      'wharf CPU ms/op',
      'reference CPU ms/op',
    ]
    console.log(`| ${head.join(' | ')} |\n|${head.map(() => '---|').join('')}`)
    for (const part of parts(root, { data: Buffer.from(pulled.data), digest: pulled.digest })) {
      console.log(row(part, await measure(part, servers)))
    }
    console.log(`\n${await memory(servers, pulled.digest)}`)
    await reference.stop()
    console.log(`\n${await collection(ours, root)}\n`)
  } finally {
    for (const server of servers) await server.stop()
    agent.destroy()
    rmSync(root, { recursive: true, force: true })
  }
}
