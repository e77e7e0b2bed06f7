/** What a local S3 server does not show: pages of listings, busy answers, hosts of buckets, broken connections. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { S3Client } from './s3-client.ts'
import { S3Driver } from './s3-driver.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** Runs `work` with a driver whose service answers with `answer`. */
async function withService(
  answer: Answer,
  work: (driver: S3Driver) => Promise<void>,
  virtualHosted = false,
): Promise<void> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = new S3Client({
    endpoint: new URL(`http://127.0.0.1:${port}`),
    region: 'eu-1',
    bucket: 'images',
    credentials: { accessKey: 'key', secretKey: 'secret', sessionToken: '' },
    virtualHosted,
    ca: undefined,
    verify: true,
    clock: systemClock,
  })
  const options = { client, identity: 'test', prefix: 'a/', partBytes: 1 << 24, redirectSeconds: 60 }
  const driver = new S3Driver(options)
  try {
    await work(driver)
  } finally {
    await driver[Symbol.asyncDispose]()
    server.close()
    server.closeAllConnections()
  }
}

test('a listing goes on through all pages, with its query', async () => {
  const page = (names: string, token: string) =>
    `<?xml version="1.0"?><ListBucketResult><IsTruncated>${token !== ''}</IsTruncated>${names}${
      token === '' ? '' : `<NextContinuationToken>${token}</NextContinuationToken>`
    }</ListBucketResult>`
  const asked: string[] = []
  await withService(
    (request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://x')
      asked.push(`${searchParams.get('start-after')} ${searchParams.get('continuation-token')}`)
      const isFirst = searchParams.get('continuation-token') === null
      response.end(
        isFirst
          ? page('<Contents><Key>a/f/x&amp;y</Key></Contents>', 'next/+=')
          : page('<CommonPrefixes><Prefix>a/f/sub/</Prefix></CommonPrefixes>', ''),
      )
    },
    async (driver) => {
      assert.deepEqual(await driver.list('f', 'b'), [
        { name: 'x&y', isDirectory: false },
        { name: 'sub', isDirectory: true },
      ])
    },
  )
  assert.deepEqual(asked, ['a/f/b null', 'a/f/b next/+='])
})

test('a busy service is asked again, one that refuses is not', async () => {
  let requests = 0
  await withService(
    (_request, response) => {
      requests += 1
      response.writeHead(requests < 3 ? 503 : 200, { 'Content-Length': '5' }).end('there')
    },
    async (driver) => assert.equal((await driver.read('x'))?.toString(), 'there'),
  )
  assert.equal(requests, 3)
  await withService(
    (_request, response) => {
      requests += 1
      response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>')
    },
    (driver) => assert.rejects(driver.read('x'), { code: 'UNAVAILABLE', status: 503 }),
  )
  assert.equal(requests, 4)
})

test('a bucket that may not be used is said at the start', async () => {
  await withService(
    (_request, response) => response.writeHead(403).end(),
    (driver) =>
      assert.rejects(driver.setUp(), { kind: 'invalid', message: 'test: the bucket may not be used' }),
  )
})

test('a bucket may be in the host name', async () => {
  await withService(
    (request, response) => response.end(`${request.headers.host} ${request.url}`),
    async (driver) => {
      const text = (await driver.read('x'))?.toString() ?? ''
      assert.match(text, /^images\.127\.0\.0\.1:\d+ \/a\/x$/)
      assert.match((await driver.redirect('x')) ?? '', /^http:\/\/images\.127\.0\.0\.1:\d+\/a\/x\?X-Amz-/)
    },
    true,
  )
})

test('an object whose connection breaks is read on from where it broke', async () => {
  const data = Buffer.alloc(1_000_000, 'abcdefg')
  const ranges: string[] = []
  await withService(
    (request, response) => {
      ranges.push(request.headers.range ?? '')
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1])
      response.writeHead(206, { 'Content-Length': String(data.length - start) })
      // All but the last answer end early.
      if (ranges.length < 3) response.write(data.subarray(start, start + 300_000), () => response.destroy())
      else response.end(data.subarray(start))
    },
    async (driver) => {
      await using source = await driver.open('x', { start: 0, end: data.length - 1 })
      const output = new PassThrough()
      const read = buffer(output)
      await source.sendTo(output)
      output.end()
      assert.ok((await read).equals(data))
    },
  )
  assert.equal(ranges.length, 3)
})
