/** The OCI distribution specification over real HTTP: every endpoint, and what it says a registry must do. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
  type TestRegistry,
} from '../fixtures/test-registry.ts'

const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'
const missingDigest = digestOf('nobody has this')

let r: TestRegistry

before(async () => {
  r = await startTestRegistry()
})
after(() => r[Symbol.asyncDispose]())

// "Error Codes": a JSON body has no others.
const knownCodes = new Set([
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
])

async function http(method: string, path: string, init: RequestInit = {}) {
  const answer = await fetch(path.startsWith('http') ? path : `${r.url}${path}`, { method, ...init })
  const body = Buffer.from(await answer.arrayBuffer())
  if (answer.status >= 400 && body.length > 0) {
    assert.ok(answer.status < 500, body.toString())
    for (const code of codes(body.toString())) assert.ok(knownCodes.has(code), code)
  }
  return { status: answer.status, headers: answer.headers, body, text: body.toString() }
}

function codes(text: string): string[] {
  return (JSON.parse(text) as { errors: { code: string }[] }).errors.map(({ code }) => code)
}

async function startUpload(repository: string, query = ''): Promise<string> {
  const answer = await http('POST', `/v2/${repository}/blobs/uploads/${query}`)
  assert.equal(answer.status, 202)
  return answer.headers.get('location')!
}

/** `<location>?digest=<digest>`, whether or not the location has a query. */
function closing(location: string, digest: string): string {
  const url = new URL(location)
  url.searchParams.set('digest', digest)
  return url.href
}

async function pushImage(repository: string, reference: string, seed: string, more = {}) {
  const config = await pushBlob(r.url, repository, `{"seed":"${seed}"}`)
  const layer = await pushBlob(r.url, repository, `layer ${seed}`)
  const text = imageManifest(config, [layer], more)
  const answer = await pushManifest(r.url, { repository, reference }, text)
  assert.equal(answer.status, 201, answer.body)
  return { text, digest: digestOf(text), config, layer, answer }
}

describe('base', () => {
  test('GET /v2/ answers 200 and names the API', async () => {
    const answer = await http('GET', '/v2/')
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('docker-distribution-api-version'), 'registry/2.0')
  })

  test('an unknown path is 404, an unknown method 405 with Allow', async () => {
    assert.equal((await http('GET', '/v2/x/unknown/thing')).status, 404)
    const answer = await http('POST', '/v2/x/tags/list')
    assert.equal(answer.status, 405)
    assert.deepEqual(codes(answer.text), ['UNSUPPORTED'])
    assert.equal(answer.headers.get('allow'), 'GET')
  })

  test('names that are none are refused: upper case, dots, traversal, too long', async () => {
    for (const name of ['Upper', 'a//b', '..%2f..%2fetc', '-a', 'a%2F..%2Fb', 'a/.hidden', 'a'.repeat(256)]) {
      const answer = await http('POST', `/v2/${name}/blobs/uploads/`, { redirect: 'manual' })
      assert.ok([400, 404].includes(answer.status), `${name}: ${answer.status}`)
    }
    const long = `${'a'.repeat(127)}/${'b'.repeat(127)}`
    assert.equal((await http('POST', `/v2/${long}/blobs/uploads/`)).status, 202)
    const odd = 'a__b/c.d/e--f/blobs/uploads/tags/list/manifests'
    assert.equal((await http('POST', `/v2/${odd}/blobs/uploads/`)).status, 202)
  })
})

test('names and tags as long as they may be are stored and served, longer ones refused', async () => {
  const tag = 'T'.repeat(128)
  for (const name of ['a'.repeat(255), `${'a'.repeat(127)}/${'b'.repeat(127)}`]) {
    const { text } = await pushImage(name, tag, 'long')
    assert.equal((await http('GET', `/v2/${name}/manifests/${tag}`)).text, text)
    assert.deepEqual(JSON.parse((await http('GET', `/v2/${name}/tags/list`)).text), { name, tags: [tag] })
    const longer = await pushManifest(r.url, { repository: name, reference: `${tag}T` }, text)
    assert.deepEqual([longer.status, codes(longer.body)], [400, ['MANIFEST_INVALID']])
    const answer = await http('GET', `/v2/${name}c/manifests/${tag}`)
    assert.deepEqual([answer.status, codes(answer.text)], [400, ['NAME_INVALID']])
  }
  await r.registry.store.journal.settled()
  assert.equal(r.registry.store.journal.hasEntries, false)
})

describe('blobs', () => {
  test('POST then PUT', async () => {
    const data = randomBytes(100_000)
    const location = await startUpload('blobs/put')
    assert.match(location, /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/)
    const answer = await http('PUT', closing(location, digestOf(data)), { body: data })
    assert.equal(answer.status, 201)
    const pulled = await http('GET', answer.headers.get('location')!)
    assert.equal(pulled.status, 200)
    assert.equal(pulled.headers.get('docker-content-digest'), digestOf(data))
    assert.ok(pulled.body.equals(data))
    assert.equal((await http('GET', location)).status, 404)
  })

  test('a single POST', async () => {
    const digest = digestOf('single')
    const answer = await http('POST', `/v2/blobs/post/blobs/uploads/?digest=${digest}`, { body: 'single' })
    assert.equal(answer.status, 201)
    assert.equal(answer.headers.get('docker-content-digest'), digest)
    assert.equal((await http('GET', answer.headers.get('location')!)).text, 'single')
  })

  test('the empty blob', async () => {
    const digest = await pushBlob(r.url, 'blobs/empty', '')
    const head = await http('HEAD', `/v2/blobs/empty/blobs/${digest}`)
    assert.equal(head.status, 200)
    assert.equal(head.headers.get('content-length'), '0')
    assert.equal((await http('GET', `/v2/blobs/empty/blobs/${digest}`)).text, '')
  })

  test('chunks in order, with status in between', async () => {
    let location = await startUpload('blobs/chunks')
    const chunks = ['first ', 'second ', 'third']
    let at = 0
    for (const chunk of chunks.slice(0, 2)) {
      const answer = await http('PATCH', location, {
        body: chunk,
        headers: { 'Content-Range': `${at}-${at + chunk.length - 1}` },
      })
      assert.equal(answer.status, 202)
      at += chunk.length
      assert.equal(answer.headers.get('range'), `0-${at - 1}`)
      location = answer.headers.get('location')!
      const status = await http('GET', location)
      assert.equal(status.status, 204)
      assert.equal(status.headers.get('range'), `0-${at - 1}`)
      assert.ok(status.headers.get('location'))
    }
    const answer = await http('PUT', closing(location, digestOf(chunks.join(''))), {
      body: chunks[2]!,
      headers: { 'Content-Range': `${at}-${at + 4}` },
    })
    assert.equal(answer.status, 201)
    assert.equal((await http('GET', answer.headers.get('location')!)).text, chunks.join(''))
  })

  test('chunks out of order, overlapping or with a gap are 416, and the upload goes on from its status', async () => {
    const location = await startUpload('blobs/order')
    const patch = (range: string, body: string) =>
      http('PATCH', location, { body, headers: { 'Content-Range': range } })
    assert.equal((await patch('5-9', 'world')).status, 416)
    assert.equal((await patch('0-4', 'hello')).status, 202)
    assert.equal((await patch('0-4', 'hello')).status, 416)
    assert.equal((await patch('6-10', 'world')).status, 416)
    const last = await http('PUT', closing(location, digestOf('helloworld')), {
      body: 'world',
      headers: { 'Content-Range': '9-13' },
    })
    assert.equal(last.status, 416)
    assert.equal((await http('GET', location)).headers.get('range'), '0-4')
    assert.equal((await patch('5-9', 'world')).status, 202)
    assert.equal((await http('PUT', closing(location, digestOf('helloworld')))).status, 201)
  })

  test('a range that does not fit its length is refused', async () => {
    const location = await startUpload('blobs/length')
    const bad = await http('PATCH', location, { body: 'abc', headers: { 'Content-Range': '0-9' } })
    assert.equal(bad.status, 400)
    assert.deepEqual(codes(bad.text), ['SIZE_INVALID'])
    assert.equal(
      (await http('PATCH', location, { body: 'abc', headers: { 'Content-Range': 'nonsense' } })).status,
      416,
    )
  })

  test('OCI-Chunk-Min-Length tells the smallest chunk where the registry has one', async () => {
    const silent = await http('POST', '/v2/blobs/min/blobs/uploads/')
    assert.equal(silent.headers.get('oci-chunk-min-length'), null)
    await using own = await startTestRegistry({ limits: { minChunk: '1m' } })
    const told = await http('POST', `${own.url}/v2/blobs/min/blobs/uploads/`)
    assert.equal(told.headers.get('oci-chunk-min-length'), String(1 << 20))
  })

  test('a wrong digest stores nothing and ends the upload', async () => {
    const location = await startUpload('blobs/wrong')
    const answer = await http('PUT', closing(location, missingDigest), { body: 'other bytes' })
    assert.equal(answer.status, 400)
    assert.deepEqual(codes(answer.text), ['DIGEST_INVALID'])
    assert.equal((await http('GET', location)).status, 404)
    assert.equal((await http('GET', `/v2/blobs/wrong/blobs/${missingDigest}`)).status, 404)
  })

  test('digests that are none, or of unknown algorithms, are 400', async () => {
    for (const bad of ['sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'nonsense']) {
      const answer = await http('PUT', closing(await startUpload('blobs/bad'), bad), { body: 'x' })
      assert.equal(answer.status, 400, bad)
      assert.deepEqual(codes(answer.text), ['DIGEST_INVALID'])
    }
    const missing = await http('PUT', await startUpload('blobs/bad'), { body: 'x' })
    assert.equal(missing.status, 400)
    const algorithm = await http('POST', '/v2/blobs/bad/blobs/uploads/?digest-algorithm=md5')
    assert.equal(algorithm.status, 400)
  })

  test('sha512, announced and not', async () => {
    for (const query of ['?digest-algorithm=sha512', '']) {
      const location = await startUpload('blobs/sha512', query)
      assert.equal((await http('PATCH', location, { body: `data${query}` })).status, 202)
      const digest = digestOf(`data${query}`, 'sha512')
      const answer = await http('PUT', closing(location, digest))
      assert.equal(answer.status, 201)
      assert.equal(answer.headers.get('docker-content-digest'), digest)
      assert.equal((await http('GET', `/v2/blobs/sha512/blobs/${digest}`)).text, `data${query}`)
    }
  })

  test('a cancelled upload is gone', async () => {
    const location = await startUpload('blobs/cancel')
    await http('PATCH', location, { body: 'abc' })
    assert.equal((await http('DELETE', location)).status, 204)
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const answer = await http(method, location)
      assert.equal(answer.status, 404)
      assert.deepEqual(codes(answer.text), ['BLOB_UPLOAD_UNKNOWN'])
    }
  })

  test('an upload belongs to its repository', async () => {
    const location = await startUpload('blobs/mine')
    assert.equal((await http('GET', location.replace('/mine/', '/yours/'))).status, 404)
  })

  test('mount with from, without it, and of what nobody has', async () => {
    const digest = await pushBlob(r.url, 'mount/a', 'mounted')
    for (const query of [`mount=${digest}&from=mount/a`, `mount=${digest}`]) {
      const answer = await http('POST', `/v2/mount/b${query.length}/blobs/uploads/?${query}`)
      assert.equal(answer.status, 201)
      assert.equal((await http('GET', answer.headers.get('location')!)).text, 'mounted')
    }
    for (const query of [`mount=${digest}&from=mount/empty`, `mount=${missingDigest}&from=mount/a`]) {
      const answer = await http('POST', `/v2/mount/c/blobs/uploads/?${query}`)
      assert.equal(answer.status, 202)
      assert.ok(answer.headers.get('location'))
    }
  })

  test('a blob of another repository is not found', async () => {
    const digest = await pushBlob(r.url, 'private/a', 'kept apart')
    const answer = await http('GET', `/v2/private/b/blobs/${digest}`)
    assert.equal(answer.status, 404)
    assert.deepEqual(codes(answer.text), ['BLOB_UNKNOWN'])
  })

  test('HEAD tells size and digest; 404 for what is not there', async () => {
    const digest = await pushBlob(r.url, 'blobs/head', 'twelve bytes')
    const answer = await http('HEAD', `/v2/blobs/head/blobs/${digest}`)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-length'), '12')
    assert.equal(answer.headers.get('docker-content-digest'), digest)
    assert.equal((await http('HEAD', `/v2/blobs/head/blobs/${missingDigest}`)).status, 404)
  })

  test('ranges', async () => {
    const digest = await pushBlob(r.url, 'blobs/range', '0123456789')
    const get = (range: string) =>
      http('GET', `/v2/blobs/range/blobs/${digest}`, { headers: { Range: range } })
    for (const [range, want, shown] of [
      ['bytes=2-4', '234', 'bytes 2-4/10'],
      ['bytes=7-', '789', 'bytes 7-9/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
      ['bytes=8-100', '89', 'bytes 8-9/10'],
      ['bytes=0-0', '0', 'bytes 0-0/10'],
    ] as const) {
      const answer = await get(range)
      assert.equal(answer.status, 206, range)
      assert.equal(answer.text, want)
      assert.equal(answer.headers.get('content-range'), shown)
    }
    const beyond = await get('bytes=10-')
    assert.equal(beyond.status, 416)
    assert.equal(beyond.headers.get('content-range'), 'bytes */10')
    for (const whole of ['bytes=0-1,3-4', 'lines=1-2', 'bytes=4-2']) {
      assert.equal((await get(whole)).text, '0123456789', whole)
    }
  })

  test('DELETE of a blob, once', async () => {
    const digest = await pushBlob(r.url, 'blobs/delete', 'to be deleted')
    assert.equal((await http('DELETE', `/v2/blobs/delete/blobs/${digest}`)).status, 202)
    assert.equal((await http('GET', `/v2/blobs/delete/blobs/${digest}`)).status, 404)
    assert.equal((await http('DELETE', `/v2/blobs/delete/blobs/${digest}`)).status, 404)
  })
})

describe('manifests', () => {
  test('PUT by tag; GET and HEAD by tag and digest give the exact bytes', async () => {
    const { text, digest, answer } = await pushImage('manifests/a', 'v1', 'one')
    assert.equal(answer.headers.get('docker-content-digest'), digest)
    for (const path of [
      answer.headers.get('location')!,
      '/v2/manifests/a/manifests/v1',
      `/v2/manifests/a/manifests/${digest}`,
    ]) {
      const got = await http('GET', path)
      assert.equal(got.status, 200)
      assert.equal(got.text, text)
      assert.equal(got.headers.get('content-type'), ociManifest)
      assert.equal(got.headers.get('docker-content-digest'), digest)
      const head = await http('HEAD', path)
      assert.equal(head.headers.get('content-length'), String(text.length))
      assert.equal(head.headers.get('docker-content-digest'), digest)
    }
  })

  test('PUT by digest with several tags names them in OCI-Tag', async () => {
    const { text, digest } = await pushImage('manifests/tags', 'first', 'tags')
    const tags = Array.from({ length: 12 }, (_, index) => `t${index}`)
    const query = tags.map((tag) => `tag=${tag}`).join('&')
    const answer = await pushManifest(
      r.url,
      { repository: 'manifests/tags', reference: `${digest}?${query}` },
      text,
    )
    assert.equal(answer.status, 201)
    assert.deepEqual(answer.headers.get('oci-tag')!.split(', '), tags)
    for (const tag of tags)
      assert.equal((await http('HEAD', `/v2/manifests/tags/manifests/${tag}`)).status, 200)
    const bad = await pushManifest(
      r.url,
      { repository: 'manifests/tags', reference: `${digest}?tag=-bad` },
      text,
    )
    assert.equal(bad.status, 400)
    const many = Array.from({ length: 200 }, (_, index) => `tag=m${index}`).join('&')
    const tooMany = await pushManifest(
      r.url,
      { repository: 'manifests/tags', reference: `${digest}?${many}` },
      text,
    )
    assert.equal(tooMany.status, 414)
  })

  test('PUT by a digest that is another is DIGEST_INVALID', async () => {
    const { text } = await pushImage('manifests/digest', 'x', 'digest')
    const answer = await pushManifest(
      r.url,
      { repository: 'manifests/digest', reference: missingDigest },
      text,
    )
    assert.equal(answer.status, 400)
    assert.deepEqual(codes(answer.body), ['DIGEST_INVALID'])
  })

  test('PUT by a sha512 digest', async () => {
    const { text } = await pushImage('manifests/sha512', 'x', 'sha512')
    const digest = digestOf(text, 'sha512')
    const answer = await pushManifest(r.url, { repository: 'manifests/sha512', reference: digest }, text)
    assert.equal(answer.status, 201)
    assert.equal(answer.headers.get('docker-content-digest'), digest)
    assert.equal((await http('GET', `/v2/manifests/sha512/manifests/${digest}`)).text, text)
  })

  test('missing blobs and manifests are each named as MANIFEST_BLOB_UNKNOWN', async () => {
    const other = digestOf('nor this')
    const answer = await pushManifest(
      r.url,
      { repository: 'manifests/missing', reference: 'x' },
      imageManifest(missingDigest, [other]),
    )
    assert.deepEqual(codes(answer.body), ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [{ mediaType: ociManifest, digest: missingDigest, size: 3 }],
    })
    const second = await pushManifest(
      r.url,
      { repository: 'manifests/missing', reference: 'x', type: ociIndex },
      index,
    )
    assert.deepEqual(codes(second.body), ['MANIFEST_BLOB_UNKNOWN'])
    assert.equal((await http('GET', '/v2/manifests/missing/tags/list')).status, 404)
  })

  test('what is no manifest is MANIFEST_INVALID', async () => {
    const good = imageManifest(missingDigest, [])
    const cases: [string, string][] = [
      ['', ociManifest],
      ['{', ociManifest],
      ['[]', ociManifest],
      ['null', ociManifest],
      ['{"schemaVersion":1}', ociManifest],
      ['{"schemaVersion":2,"config":{"digest":"sha256:x","size":1}}', ociManifest],
      [good, ociIndex],
      [good, 'text/plain'],
      ['\xff\xfe', ociManifest],
    ]
    for (const [text, type] of cases) {
      const answer = await pushManifest(
        r.url,
        { repository: 'manifests/invalid', reference: 'x', type },
        text,
      )
      assert.equal(answer.status, 400, `${text} ${type}`)
      assert.deepEqual(codes(answer.body), ['MANIFEST_INVALID'])
    }
  })

  test('parameters of Content-Type do not matter', async () => {
    const { text } = await pushImage('manifests/type', 'x', 'type')
    const type = `${ociManifest}; charset=utf-8`
    assert.equal(
      (await pushManifest(r.url, { repository: 'manifests/type', reference: 'y', type }, text)).status,
      201,
    )
    assert.equal(
      (await http('GET', '/v2/manifests/type/manifests/y')).headers.get('content-type'),
      ociManifest,
    )
  })

  test('4 MiB are taken, more is 413', async () => {
    const config = await pushBlob(r.url, 'manifests/big', '{}')
    const sized = (size: number) => {
      const bare = imageManifest(config, [], { annotations: { pad: '' } })
      return imageManifest(config, [], { annotations: { pad: 'x'.repeat(size - bare.length) } })
    }
    const limit = 4 * 1024 * 1024
    const target = { repository: 'manifests/big', reference: 'x' }
    assert.equal((await pushManifest(r.url, target, sized(limit))).status, 201)
    assert.equal((await pushManifest(r.url, target, sized(limit + 1))).status, 413)
  })

  test('unknown tags, digests and repositories are 404', async () => {
    await pushImage('manifests/known', 'x', 'known')
    for (const path of ['known/manifests/y', `known/manifests/${missingDigest}`, 'stranger/manifests/x']) {
      assert.equal((await http('GET', `/v2/manifests/${path}`)).status, 404)
      assert.equal((await http('HEAD', `/v2/manifests/${path}`)).status, 404)
      assert.equal((await http('DELETE', `/v2/manifests/${path}`)).status, 404)
    }
    const bad = await http('GET', '/v2/manifests/known/manifests/.bad')
    assert.equal(bad.status, 400)
  })

  test('DELETE of a tag leaves the manifest and other tags', async () => {
    const { text, digest } = await pushImage('manifests/untag', 'a', 'untag')
    await pushManifest(r.url, { repository: 'manifests/untag', reference: 'b' }, text)
    assert.equal((await http('DELETE', '/v2/manifests/untag/manifests/a')).status, 202)
    assert.equal((await http('GET', '/v2/manifests/untag/manifests/a')).status, 404)
    assert.equal((await http('GET', '/v2/manifests/untag/manifests/b')).status, 200)
    assert.equal((await http('DELETE', '/v2/manifests/untag/manifests/b')).status, 202)
    assert.equal((await http('GET', `/v2/manifests/untag/manifests/${digest}`)).status, 200)
    assert.deepEqual(JSON.parse((await http('GET', '/v2/manifests/untag/tags/list')).text).tags, [])
  })

  test('DELETE of a manifest takes its tags along', async () => {
    const { digest } = await pushImage('manifests/delete', 'a', 'delete')
    assert.equal((await http('DELETE', `/v2/manifests/delete/manifests/${digest}`)).status, 202)
    assert.equal((await http('GET', `/v2/manifests/delete/manifests/${digest}`)).status, 404)
    assert.equal((await http('GET', '/v2/manifests/delete/manifests/a')).status, 404)
  })

  test('an index is served as it is to those who know indexes, its linux/amd64 image to others', async () => {
    const { digest, text } = await pushImage('manifests/index', 'image', 'index')
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [
        {
          mediaType: ociManifest,
          digest,
          size: text.length,
          platform: { os: 'linux', architecture: 'amd64' },
        },
      ],
    })
    const answer = await pushManifest(
      r.url,
      { repository: 'manifests/index', reference: 'all', type: ociIndex },
      index,
    )
    assert.equal(answer.status, 201)
    const get = (accept: string) =>
      http('GET', '/v2/manifests/index/manifests/all', { headers: { Accept: accept } })
    assert.equal((await get(`${ociIndex}, ${ociManifest}`)).text, index)
    assert.equal((await get('*/*')).text, index)
    assert.equal((await get(ociManifest)).text, text)
  })

  test('If-None-Match of the digest answers 304', async () => {
    const { digest } = await pushImage('manifests/etag', 'x', 'etag')
    const headers = { 'If-None-Match': `"${digest}"` }
    assert.equal((await http('GET', '/v2/manifests/etag/manifests/x', { headers })).status, 304)
  })
})

describe('listings', () => {
  test('tags in the order of their bytes, by pages, with Link', async () => {
    const { text } = await pushImage('list/tags', 'b', 'list')
    for (const reference of ['a', 'B', '1', '_x', 'a.1', 'a-1']) {
      await pushManifest(r.url, { repository: 'list/tags', reference }, text)
    }
    const all = ['1', 'B', '_x', 'a', 'a-1', 'a.1', 'b']
    const list = async (query: string) => http('GET', `/v2/list/tags/tags/list${query}`)
    const whole = await list('')
    assert.deepEqual(JSON.parse(whole.text), { name: 'list/tags', tags: all })
    assert.equal(whole.headers.get('link'), null)
    const seen: string[] = []
    let next: string | undefined = '/v2/list/tags/tags/list?n=3'
    for (let pages = 0; next !== undefined; pages++) {
      assert.ok(pages < 5)
      const page = await http('GET', next)
      seen.push(...JSON.parse(page.text).tags)
      next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
    }
    assert.deepEqual(seen, all)
    assert.deepEqual(JSON.parse((await list('?last=a')).text).tags, ['a-1', 'a.1', 'b'])
    assert.deepEqual(JSON.parse((await list('?n=2&last=a')).text).tags, ['a-1', 'a.1'])
    assert.deepEqual(JSON.parse((await list('?n=7')).text).tags, all)
    assert.equal((await list('?n=7')).headers.get('link'), null)
    const none = await list('?n=0')
    assert.deepEqual(JSON.parse(none.text).tags, [])
    assert.equal(none.headers.get('link'), null)
    const bad = await list('?n=-1')
    assert.equal(bad.status, 400)
    assert.deepEqual(codes(bad.text), ['UNSUPPORTED'])
  })

  test('tags of an unknown repository are NAME_UNKNOWN', async () => {
    const answer = await http('GET', '/v2/list/none/tags/list')
    assert.equal(answer.status, 404)
    assert.deepEqual(codes(answer.text), ['NAME_UNKNOWN'])
  })

  test('the catalog by pages', async () => {
    for (const name of ['catalog/c', 'catalog/a', 'catalog/b']) await pushBlob(r.url, name, 'x')
    const page = await http('GET', '/v2/_catalog?n=2&last=catalog/')
    assert.deepEqual(JSON.parse(page.text).repositories, ['catalog/a', 'catalog/b'])
    const link = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
    assert.equal(JSON.parse((await http('GET', link!)).text).repositories[0], 'catalog/c')
  })

  test('search as the docker daemon asks it', async () => {
    await pushBlob(r.url, 'search/needle-image', 'x')
    assert.equal((await http('GET', '/v1/_ping')).status, 200)
    const found = JSON.parse((await http('GET', '/v1/search?q=needle&n=10')).text)
    assert.equal(found.num_results, 1)
    assert.deepEqual(found.results[0], {
      name: 'search/needle-image',
      description: '',
      star_count: 0,
      is_official: false,
      is_automated: false,
      is_trusted: false,
    })
    assert.equal(JSON.parse((await http('GET', '/v1/search?q=100%25_nothing')).text).num_results, 0)
  })
})

describe('referrers', () => {
  test('list, filter, subject before and after, and artifact types', async () => {
    const repository = 'refer/a'
    const subject = await pushImage(repository, 'subject', 'subject')
    const descriptor = { mediaType: ociManifest, digest: subject.digest, size: subject.text.length }
    const typed = await pushImage(repository, 'typed', 'typed', {
      subject: descriptor,
      artifactType: 'application/vnd.example.sbom',
      annotations: { 'org.example.key': 'value' },
    })
    assert.equal(typed.answer.headers.get('oci-subject'), subject.digest)
    const plain = await pushImage(repository, 'plain', 'plain', { subject: descriptor })
    const indexText = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [],
      subject: descriptor,
    })
    const index = await pushManifest(r.url, { repository, reference: 'index', type: ociIndex }, indexText)
    assert.equal(index.headers.get('oci-subject'), subject.digest)
    const answer = await http('GET', `/v2/${repository}/referrers/${subject.digest}`)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), ociIndex)
    const list = JSON.parse(answer.text)
    assert.equal(list.schemaVersion, 2)
    const byDigest = new Map(list.manifests.map((entry: { digest: string }) => [entry.digest, entry]))
    assert.equal(byDigest.size, 3)
    assert.deepEqual(byDigest.get(typed.digest), {
      mediaType: ociManifest,
      size: typed.text.length,
      digest: typed.digest,
      artifactType: 'application/vnd.example.sbom',
      annotations: { 'org.example.key': 'value' },
    })
    assert.equal(
      (byDigest.get(plain.digest) as { artifactType: string }).artifactType,
      'application/vnd.oci.image.config.v1+json',
    )
    assert.ok(!('artifactType' in (byDigest.get(digestOf(indexText)) as object)))
    const type = encodeURIComponent('application/vnd.example.sbom')
    const filtered = await http('GET', `/v2/${repository}/referrers/${subject.digest}?artifactType=${type}`)
    assert.equal(filtered.headers.get('oci-filters-applied'), 'artifactType')
    assert.deepEqual(
      JSON.parse(filtered.text).manifests.map((entry: { digest: string }) => entry.digest),
      [typed.digest],
    )
    await http('DELETE', `/v2/${repository}/manifests/${typed.digest}`)
    assert.equal(
      JSON.parse((await http('GET', `/v2/${repository}/referrers/${subject.digest}`)).text).manifests.length,
      2,
    )
  })

  test('a subject that is not there is no obstacle', async () => {
    const subject = { mediaType: ociManifest, digest: missingDigest, size: 5 }
    const { answer, digest } = await pushImage('refer/early', 'x', 'early', { subject })
    assert.equal(answer.headers.get('oci-subject'), missingDigest)
    const list = JSON.parse((await http('GET', `/v2/refer/early/referrers/${missingDigest}`)).text)
    assert.deepEqual(
      list.manifests.map((entry: { digest: string }) => entry.digest),
      [digest],
    )
  })

  test('nothing refers: an empty list, never 404; bad digests are 400', async () => {
    const answer = await http('GET', `/v2/refer/nobody/referrers/${missingDigest}`)
    assert.equal(answer.status, 200)
    assert.deepEqual(JSON.parse(answer.text).manifests, [])
    assert.equal((await http('GET', '/v2/refer/nobody/referrers/sha256:zz')).status, 400)
  })

  test('long lists come in pages', async () => {
    const repository = 'refer/pages'
    const subject = { mediaType: ociManifest, digest: missingDigest, size: 5 }
    const config = await pushBlob(r.url, repository, '{}')
    const pad = 'x'.repeat(1_000_000)
    const want = new Set<string>()
    for (let index = 0; index < 5; index++) {
      const text = imageManifest(config, [], { subject, annotations: { pad, index: String(index) } })
      assert.equal((await pushManifest(r.url, { repository, reference: digestOf(text) }, text)).status, 201)
      want.add(digestOf(text))
    }
    const seen: string[] = []
    let next: string | undefined = `/v2/${repository}/referrers/${missingDigest}`
    let pages = 0
    for (; next !== undefined && pages < 9; pages++) {
      const page = await http('GET', next)
      assert.ok(page.text.length <= 4 * 1024 * 1024)
      seen.push(...JSON.parse(page.text).manifests.map((entry: { digest: string }) => entry.digest))
      next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
    }
    assert.ok(pages > 1)
    assert.deepEqual(new Set(seen), want)
    assert.equal(seen.length, want.size)
  })
})
