/** Forms of images, platforms, mirrors, and peers that are not ours. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import {
  buildImage,
  buildIndex,
  indexType,
  sha256,
  startDockerRegistry,
  uploadImage,
  uploadManifest,
  type DockerRegistry,
} from '../../fixtures/docker-registry.ts'
import { runCommand } from '../../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { tarOf } from './tars.ts'

let daemon: TestDaemon
let registry: DockerRegistry

before(async () => {
  registry = await startDockerRegistry()
  const registries = {
    'mirrored.invalid': { mirrors: [`${registry.url}/copies`] },
    'moved.invalid/team': { location: `${registry.host}/teams` },
    '*.blocked.invalid': { blocked: true },
    'fine.blocked.invalid': { location: registry.host },
  }
  daemon = await startDaemon({ config: { 'registry-mirrors': [registry.url], registries } })
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

async function pull(image: string, query = ''): Promise<{ status: number; body: string }> {
  return daemon.api('POST', `/v1.44/images/create?fromImage=${image}${query}`)
}

async function idOf(name: string): Promise<string> {
  const { json } = await daemon.api('GET', `/v1.44/images/${name}/json`)
  return (json as { Id?: string }).Id ?? ''
}

test('of an index the image for the platform is taken, and the index names it', async () => {
  const variants = await Promise.all(
    ['amd64', 'arm64'].map(async (architecture) => {
      const layer = await tarOf({ [architecture]: randomBytes(100) })
      return {
        ...buildImage([layer], { architecture, kind: 'oci' }),
        platform: { os: 'linux', architecture },
      }
    }),
  )
  for (const image of variants) await uploadImage(registry.url, 'multi', image.digest, image)
  const list = buildIndex(variants)
  await uploadManifest(registry.url, 'multi/manifests/v1', list)
  const name = `${registry.host}/multi`
  const native = variants[process.arch === 'arm64' ? 1 : 0]
  const foreign = variants[process.arch === 'arm64' ? 0 : 1]
  assert.match((await pull(name, '&tag=v1')).body, new RegExp(`Digest: ${list.digest}`))
  assert.equal(await idOf(`${name}:v1`), native?.id)
  assert.equal(await idOf(`${name}@${list.digest}`), native?.id)
  const platform = `linux/${process.arch === 'arm64' ? 'amd64' : 'arm64'}`
  assert.match((await pull(name, `&tag=v1&platform=${platform}`)).body, /Downloaded newer image/)
  // Both are here: without a word about the platform the name means the one for this machine.
  assert.equal(await idOf(`${name}:v1`), native?.id)
  assert.match((await pull(name, `&tag=v1&platform=${platform}`)).body, /Image is up to date/)
  const wanted = encodeURIComponent(JSON.stringify(foreign?.platform))
  const inspected = await daemon.api('GET', `/v1.49/images/${name}:v1/json?platform=${wanted}`)
  assert.equal((inspected.json as { Id: string }).Id, foreign?.id)
  const none = await pull(name, '&tag=v1&platform=linux/s390x')
  assert.match(none.body, /no matching manifest for linux\/s390x in the manifest list entries/)
  const looked = await daemon.api('GET', `/v1.44/distribution/${name}:v1/json`)
  const { Descriptor, Platforms } = looked.json as {
    Descriptor: { digest: string }
    Platforms: { architecture: string }[]
  }
  assert.equal(Descriptor.digest, list.digest)
  assert.deepEqual(
    Platforms.map(({ architecture }) => architecture),
    ['amd64', 'arm64'],
  )
})

for (const [kind, compress] of [
  [
    'gzip of two members',
    (tar: Buffer) => Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
  ],
  ['zstd', (tar: Buffer) => zstdCompressSync(tar)],
  ['plain', (tar: Buffer) => tar],
] as const) {
  test(`layers as ${kind} are pulled, and pushed as they came`, async () => {
    const same = await tarOf({ same: randomBytes(2000) })
    const image = buildImage([same, await tarOf({ [kind]: randomBytes(2000) }), same], {
      kind: 'oci',
      compress,
    })
    const name = `${registry.host}/kind-${kind.replaceAll(' ', '-')}`
    await uploadImage(registry.url, name.split('/')[1] ?? '', 'v1', image)
    assert.match((await pull(name, '&tag=v1')).body, /Status: Downloaded newer image/)
    await daemon.docker(['tag', `${name}:v1`, `${name}:v2`])
    const pushed = await daemon.docker(['push', `${name}:v2`])
    assert.match(pushed.stdout, new RegExp(`digest: ${image.digest} `), pushed.stderr)
  })
}

test('by digest, by tag and digest, and all tags', async () => {
  const image = buildImage([await tarOf({ d: randomBytes(100) })])
  await uploadImage(registry.url, 'many', 'one', image)
  await uploadImage(registry.url, 'many', 'two', image)
  const name = `${registry.host}/many`
  const byDigest = await daemon.docker(['pull', `${name}@${image.digest}`])
  assert.equal(byDigest.code, 0, byDigest.stderr)
  assert.ok(byDigest.stdout.endsWith(`${name}@${image.digest}\n`), byDigest.stdout)
  assert.equal((await daemon.docker(['pull', '-q', `${name}:one@${image.digest}`])).code, 0)
  const listed = await daemon.docker(['images', '--format', '{{.Tag}}', name])
  assert.equal(listed.stdout, '<none>\n', 'a digest gives no tag')
  const all = await daemon.wharf(['pull', '-a', name])
  assert.equal(all.code, 0, all.stderr)
  assert.match(all.stdout, /one: Pulling from many\n[^]*two: Pulling from many\n/)
  assert.equal(await idOf(`${name}:one`), image.id)
  assert.equal(await idOf(`${name}:two`), image.id)
  assert.equal((await daemon.wharf(['tags', name])).stdout, 'one\ntwo\n')
})

test('what is no image is refused clearly and leaves nothing', async () => {
  const other = await daemon.api('GET', '/v1.44/images/json')
  const before_ = (other.json as object[]).length
  const missing = await pull(`${registry.host}/nothing`, '&tag=v1')
  assert.equal(missing.status, 404)
  const expected = `manifest for ${registry.host}/nothing:v1 not found: manifest unknown: manifest unknown`
  assert.deepEqual(JSON.parse(missing.body), { message: expected })
  // What the registry would not take is served by one that takes anything.
  const answers = new Map<string, { type: string; body: string }>()
  const server = createServer((request, response) => {
    const found = answers.get((request.url ?? '').split('/').at(-1) ?? '')
    if (request.url === '/v2/') response.end('{}')
    else if (found === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': found.type }).end(found.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const docker = 'application/vnd.docker.distribution.manifest'
  const id = sha256(Buffer.from('x'))
  const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }
  const cyclic = JSON.stringify({
    schemaVersion: 2,
    manifests: [{ mediaType: indexType, digest: id, size: 1, platform }],
  })
  answers.set('old', { type: `${docker}.v1+prettyjws`, body: '{"schemaVersion":1}' })
  answers.set('broken', { type: `${docker}.v2+json`, body: '{"schemaVersion":' })
  answers.set('strange', { type: 'application/json', body: '{"schemaVersion":2}' })
  answers.set('cyclic', { type: indexType, body: cyclic })
  answers.set(id, { type: indexType, body: cyclic })
  answers.set('huge', { type: indexType, body: `{"pad":"${'x'.repeat(5 << 20)}"}` })
  const config = JSON.stringify({ os: 'linux', rootfs: { diff_ids: [id] } })
  const configId = sha256(Buffer.from(config))
  answers.set(configId, { type: 'application/json', body: config })
  answers.set('short', {
    type: `${docker}.v2+json`,
    body: JSON.stringify({ schemaVersion: 2, config: { digest: configId, size: config.length }, layers: [] }),
  })
  try {
    const refused: [string, RegExp][] = [
      ['old', /schema 1 support has been removed/],
      ['broken', /invalid image manifest/],
      ['strange', /unsupported manifest media type: application\/json/],
      ['cyclic', /manifest verification failed for digest/],
      ['huge', /larger than/],
      ['short', /layers from manifest don't match image configuration/],
      ['gone', /error parsing HTTP 404 response body/],
    ]
    for (const [tag, text] of refused) assert.match((await pull(`${host}/x`, `&tag=${tag}`)).body, text)
  } finally {
    server.closeAllConnections()
    server.close()
  }
  const { json } = await daemon.api('GET', '/v1.44/images/json')
  assert.equal((json as object[]).length, before_)
})

test('a mirror stands in for the Hub', async () => {
  const image = buildImage([await tarOf({ m: randomBytes(100) })], { config: { Cmd: ['/m'] } })
  await uploadImage(registry.url, 'library/mirrored', 'latest', image)
  const pulled = await daemon.docker(['pull', 'mirrored'])
  assert.equal(pulled.code, 0, pulled.stderr)
  assert.match(pulled.stdout, /^Using default tag: latest\nlatest: Pulling from library\/mirrored\n/)
  assert.match(
    pulled.stdout,
    /Status: Downloaded newer image for mirrored:latest\ndocker.io\/library\/mirrored:latest\n$/,
  )
})

test('any registry can have mirrors and another place, or be blocked', async () => {
  const image = buildImage([await tarOf({ ruled: randomBytes(100) })])
  await uploadImage(registry.url, 'copies/some/app', 'latest', image)
  await uploadImage(registry.url, 'teams/app', 'latest', image)
  await uploadImage(registry.url, 'app', 'latest', image)
  for (const name of ['mirrored.invalid/some/app', 'moved.invalid/team/app', 'fine.blocked.invalid/app']) {
    const pulled = await pull(name, '&tag=latest')
    assert.match(pulled.body, new RegExp(`Digest: ${image.digest}`), name)
    assert.equal(await idOf(`${name}:latest`), image.id)
  }
  const blocked = await pull('other.blocked.invalid/app', '&tag=latest')
  assert.equal(blocked.status, 403)
  assert.match(blocked.body, /registry \*\.blocked\.invalid is blocked by the daemon's configuration/)
  await daemon.api(
    'POST',
    '/v1.44/images/mirrored.invalid%2Fsome%2Fapp/tag?repo=moved.invalid/team/copy&tag=v2',
  )
  const pushed = await daemon.api('POST', '/v1.44/images/moved.invalid%2Fteam%2Fcopy/push?tag=v2')
  assert.match(pushed.body, new RegExp(`digest: ${image.digest}`))
  const there = await fetch(`${registry.url}/v2/teams/copy/manifests/v2`, {
    headers: { accept: image.mediaType },
  })
  assert.equal(there.headers.get('docker-content-digest'), image.digest)
})

test('--pull says when run asks the registry', async () => {
  const image = buildImage([await tarOf({ p: randomBytes(100) })])
  await uploadImage(registry.url, 'policy', 'v1', image)
  const name = `${registry.host}/policy:v1`
  for (const cli of ['docker', 'wharf'] as const) {
    const never = await daemon[cli](['create', '--pull', 'never', name])
    assert.match(never.stderr, new RegExp(`No such image: ${name}`))
    const missing = await daemon[cli](['create', name])
    assert.match(
      missing.stderr,
      new RegExp(`^Unable to find image '${name}' locally\nv1: Pulling from policy\n`),
    )
    const always = await daemon[cli](['create', '--pull', 'always', name])
    assert.match(always.stderr, /Status: Image is up to date/)
    for (const { stdout } of [missing, always]) await daemon.docker(['rm', stdout.trim()])
    await daemon.docker(['rmi', name])
  }
})

test('credential helpers and stores hold credentials', async () => {
  const programs = join(daemon.names.root, 'programs')
  mkdirSync(programs, { recursive: true })
  const notes = join(programs, 'notes')
  const helper = join(programs, 'docker-credential-tests')
  writeFileSync(
    helper,
    `#!/bin/sh\ninput=$(cat)\necho "$1 $input" >>${notes}\nif [ "$1" = get ]; then echo '{"ServerURL":"x","Username":"bob","Secret":"secret"}'; fi\n`,
  )
  chmodSync(helper, 0o755)
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization ?? '')
    const isKnown = request.headers.authorization === `Basic ${Buffer.from('bob:secret').toString('base64')}`
    if (isKnown) response.writeHead(request.url === '/v2/' ? 200 : 404).end('{}')
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="tests"' }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const directory = join(daemon.names.root, 'helped')
  mkdirSync(directory)
  const file = join(directory, 'config.json')
  writeFileSync(file, JSON.stringify({ credHelpers: { [host]: 'tests' }, kept: 1 }))
  const env = { DOCKER_CONFIG: directory, PATH: `${programs}:${process.env['PATH'] ?? ''}` }
  try {
    const input = 'secret'
    const login = await daemon.wharf(['login', '-u', 'bob', '--password-stdin', host], { env, input })
    assert.equal(login.stdout, 'Login Succeeded\n', login.stderr)
    assert.equal(login.stderr, '')
    await daemon.wharf(['pull', `${host}/x`], { env })
    assert.ok(seen.at(-1)?.startsWith('Basic '), 'the pull had no credentials')
    await daemon.wharf(['logout', host], { env })
    const [stored, got, erased] = readFileSync(notes, 'utf8').trim().split('\n')
    assert.equal(stored, `store {"ServerURL":"${host}","Username":"bob","Secret":"secret"}`)
    assert.equal(got, `get ${host}`)
    assert.equal(erased, `erase ${host}`)
    assert.equal((JSON.parse(readFileSync(file, 'utf8')) as { kept: number }).kept, 1)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('search shows what the index finds, in both clients alike', async () => {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://index')
    if (url.pathname !== '/v1/search') {
      response.writeHead(404).end()
      return
    }
    const row = (name: string, stars: number, official: boolean, automated = false) => ({
      name,
      description: `${name} with a description that goes on and on and on, é`,
      star_count: stars,
      is_official: official,
      is_automated: automated,
    })
    const results = [row('first', 100, true), row('second', 5, false), row('third', 0, false, true)]
    response.end(JSON.stringify({ query: url.searchParams.get('q'), num_results: 3, results }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const term = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/some`
  try {
    for (const more of [
      [],
      ['--no-trunc'],
      ['--filter', 'stars=3'],
      ['--filter', 'is-official=true'],
      ['--format', '{{json .}}'],
      ['--format', 'table {{.Name}}\t{{.IsAutomated}}'],
      ['--filter', 'is-official=false'],
      ['--filter', 'is-official=maybe'],
      ['--filter', 'is-automated=true'],
      ['--filter', 'is-automated=false', '--filter', 'stars=1'],
      ['--filter', 'stars=many'],
      ['--filter', 'nosuch=1'],
      ['--limit', '1'],
      ['--limit', '101'],
      ['--limit', '-1'],
    ]) {
      const ours = await daemon.wharf(['search', ...more, term])
      assert.deepEqual(ours, await daemon.docker(['search', ...more, term]))
    }
    const official = await daemon.wharf([
      'search',
      '--filter',
      'is-official=true',
      '--format',
      '{{.Name}}',
      term,
    ])
    assert.equal(official.stdout, 'first\n')
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('image outdated says what the registry has newer, and pulls nothing', async () => {
  const versions = await Promise.all(
    [1, 2].map(async (n) => buildImage([await tarOf({ [`o${n}`]: randomBytes(100) })])),
  )
  const [first, second] = versions
  assert.ok(first !== undefined && second !== undefined)
  const name = `${registry.host}/moving`
  await uploadImage(registry.url, 'moving', 'latest', first)
  await daemon.wharf(['pull', '-q', name])
  const format = '{{.Image}} {{.Status}} {{.Remote}}'
  const current = await daemon.wharf(['image', 'outdated', '-a', '--format', format, name])
  assert.equal(current.stdout, `${name}:latest current ${first.digest}\n`, current.stderr)
  await uploadImage(registry.url, 'moving', 'latest', second)
  const outdated = await daemon.wharf(['image', 'outdated', '--format', format, name])
  assert.equal(outdated.stdout, `${name}:latest outdated ${second.digest}\n`)
  assert.equal(await idOf(`${name}:latest`), first.id)
})

test('skopeo finds what we pushed to be what it copied', async () => {
  const image = buildImage([await tarOf({ s: randomBytes(5000) })], { kind: 'oci' })
  await uploadImage(registry.url, 'peer', 'v1', image)
  const name = `${registry.host}/peer`
  await daemon.docker(['pull', '-q', `${name}:v1`])
  await daemon.docker(['tag', `${name}:v1`, `${name}:v2`])
  await daemon.docker(['push', '-q', `${name}:v2`])
  const inspected = await runCommand('skopeo', [
    'inspect',
    '--tls-verify=false',
    '--format',
    '{{.Digest}}',
    `docker://${name}:v2`,
  ])
  assert.equal(inspected.stdout.trim(), image.digest, inspected.stderr)
})
