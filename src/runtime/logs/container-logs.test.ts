import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { silentLog } from '../../lib/log.ts'
import { ContainerLogFiles } from './container-logs.ts'
import type { LogQuery, LogRequest } from './container-logs.ts'

let root = ''
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'wharf-container-logs-'))
})
after(async () => {
  await rm(root, { recursive: true })
})

const id = 'ab'.repeat(32)

function logs(): ContainerLogFiles {
  return new ContainerLogFiles({ log: silentLog, daemonName: 'wharf' })
}

function request(driver: string, options: Record<string, string> = {}, name = 'box'): LogRequest {
  return {
    id,
    name,
    directory: join(root, name),
    driver,
    options,
    imageId: `sha256:${'12'.repeat(32)}`,
    imageName: 'busybox:latest',
    createdAt: '2026-01-02T03:04:05Z',
    command: 'sh -c true',
    labels: { tier: 'web', zone: 'a', other: 'no' },
    env: ['PATH=/bin', 'TIER=1', 'X=a=b'],
  }
}

const query: LogQuery = {
  stdout: true,
  stderr: true,
  since: '',
  until: '',
  tail: 'all',
  timestamps: false,
  details: false,
  tty: true,
}

async function text(source: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts).toString()
}

const accepted: [string, Record<string, string>][] = [
  ['', {}],
  [
    'json-file',
    {
      'max-size': '10m',
      'max-file': '3',
      compress: 'true',
      tag: '{{.Name}}',
      labels: 'a',
      'env-regex': '^X',
    },
  ],
  ['local', { mode: 'non-blocking', 'max-buffer-size': '4m', compress: 'false', 'max-file': '1' }],
  [
    'syslog',
    { 'syslog-address': 'udp://127.0.0.1', 'syslog-facility': 'local3', 'syslog-format': 'rfc5424micro' },
  ],
  ['journald', { tag: 'x', labels: 'tier' }],
  ['none', { whatever: 'x' }],
]
const refused: [string, Record<string, string>, string][] = [
  ['nope', {}, 'error looking up logging plugin nope: plugin "nope" not found'],
  ['json-file', { colour: 'x' }, "unknown log opt 'colour' for json-file log driver"],
  ['local', { colour: 'x' }, "unknown log opt 'colour' for log driver local"],
  ['syslog', { 'max-size': '1' }, "unknown log opt 'max-size' for syslog log driver"],
  ['json-file', { mode: 'odd' }, 'logger: logging mode not supported: odd'],
  [
    'json-file',
    { 'max-buffer-size': '1m' },
    "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
  ],
  ['json-file', { 'max-size': 'x' }, "invalid size: 'x'"],
  ['json-file', { 'max-size': '0' }, 'max-size must be a positive number'],
  ['json-file', { 'max-file': '0' }, 'max-file cannot be less than 1'],
  ['json-file', { 'max-file': 'x' }, 'strconv.Atoi: parsing "x": invalid syntax'],
  ['json-file', { compress: 'ja' }, 'strconv.ParseBool: parsing "ja": invalid syntax'],
  [
    'json-file',
    { 'max-size': '1m', compress: 'true' },
    'compress cannot be true when max-file is less than 2 or max-size is not set',
  ],
  [
    'syslog',
    { 'syslog-address': '127.0.0.1' },
    'syslog-address should be in form proto://address, got 127.0.0.1',
  ],
  ['syslog', { 'syslog-address': 'http://x' }, "unsupported scheme: 'http'"],
  ['syslog', { 'syslog-facility': 'x' }, 'invalid syslog facility'],
  ['syslog', { 'syslog-format': 'x' }, 'Invalid syslog format'],
]

test('validate() takes what Docker takes and refuses the rest in its words', () => {
  for (const [driver, options] of accepted) logs().validate(driver, options)
  for (const [driver, options, message] of refused) {
    assert.throws(() => logs().validate(driver, options), { kind: 'invalid', message })
  }
})

test('taskLog() bounds by default, keeps to the options, and fills in attributes', () => {
  const plain = logs().taskLog(request('json-file'))
  assert.deepEqual(plain, {
    format: 'json-file',
    path: join(root, `box/${id}-json.log`),
    maxSizeBytes: 20_000_000,
    maxFiles: 5,
  })
  const chosen = logs().taskLog(
    request('json-file', {
      'max-size': '10k',
      mode: 'non-blocking',
      tag: '{{.ImageName}}/{{.Name}}/{{.ID}}',
      labels: 'tier,absent',
      'labels-regex': '^zo',
      env: 'X',
      'env-regex': '^TI',
    }),
  )
  assert.equal(chosen?.maxFiles, 1)
  assert.equal(chosen?.maxSizeBytes, 10_000)
  assert.equal(chosen?.nonBlockingBufferBytes, 1_000_000)
  assert.deepEqual(chosen?.attributes, {
    tier: 'web',
    zone: 'a',
    X: 'a=b',
    TIER: '1',
    tag: 'busybox:latest/box/abababababab',
  })
  assert.equal(logs().taskLog(request('local'))?.format, 'local')
  assert.equal(logs().taskLog(request('none')), undefined)
  assert.equal(logs().logPath(request('local')), '')
  assert.throws(() => logs().taskLog(request('json-file', { tag: '{{.Nope}}' })), {
    kind: 'invalid',
    message: /Nope/,
  })
})

test('readLogs() refuses what cannot be read before anything is sent', () => {
  const signal = new AbortController().signal
  const read = (driver: string, more: Partial<LogQuery>) =>
    logs().readLogs(request(driver), { ...query, ...more }, signal)
  assert.throws(() => read('none', {}), {
    kind: 'notImplemented',
    message: 'configured logging driver does not support reading',
  })
  assert.throws(() => read('local', { since: 'yesterday' }), { kind: 'invalid' })
})

test('readLogs() understands unix times, RFC 3339 and tail', async () => {
  const of = request('json-file', {}, 'times')
  const path = logs().taskLog(of)?.path ?? ''
  const line = (second: number) =>
    `{"log":"${second}\\n","stream":"stdout","time":"2026-01-02T03:04:0${second}.5Z"}\n`
  await writeFile(path, [1, 2, 3, 4].map(line).join(''))
  const read = async (more: Partial<LogQuery>) =>
    await text(logs().readLogs(of, { ...query, ...more }, new AbortController().signal))
  const unix = Date.parse('2026-01-02T03:04:03Z') / 1000
  assert.equal(await read({ since: `${unix}.5` }), '3\n4\n')
  assert.equal(await read({ since: `${unix}.500000001` }), '4\n')
  assert.equal(await read({ until: '2026-01-02T03:04:02.5Z' }), '1\n2\n')
  assert.equal(await read({ tail: '2' }), '3\n4\n')
  assert.equal(await read({ tail: '-1', until: '0', since: '0' }), '1\n2\n3\n4\n')
})

function localLine(line: string, stream = 1): Buffer {
  const record = Buffer.alloc(20 + line.length)
  record.writeUInt32LE(12 + line.length, 0)
  record.writeBigUInt64LE(1_700_000_000_000_000_000n, 4)
  record[12] = stream
  record.write(line, 16)
  record.writeUInt32LE(12 + line.length, record.length - 4)
  return record
}

test('syslog: forwards every line once over restarts, and the log stays readable', async () => {
  const received: string[] = []
  let wake = () => {}
  const server = createServer((socket) => {
    let rest = ''
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      received.push(...lines)
      wake()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const of = request(
    'syslog',
    { 'syslog-address': `tcp://127.0.0.1:${port}`, 'syslog-format': 'rfc5424', tag: '{{.Name}}' },
    'forwarded',
  )
  const path = logs().taskLog(of)?.path ?? ''
  const arrived = async (count: number) => {
    for (;;) {
      if (received.length >= count) return
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      await promise
    }
  }
  {
    await using first = logs()
    first.started(of)
    await appendFile(path, Buffer.concat([localLine('one'), localLine('two', 2)]))
    await arrived(2)
  }
  // Written while no daemon runs, then the file is rotated.
  await appendFile(path, localLine('three'))
  await rename(path, `${path}.1`)
  await writeFile(path, localLine('four'))
  {
    await using second = logs()
    second.started(of)
    await arrived(4)
    second.ended(id)
  }
  server.close()
  assert.deepEqual(
    received.map((message) => message.replace(/^(<\d+>1) \S+ \S+ (\S+) \d+ /, '$1 $2 ')),
    [
      '<30>1 forwarded forwarded - one',
      '<27>1 forwarded forwarded - two',
      '<30>1 forwarded forwarded - three',
      '<30>1 forwarded forwarded - four',
    ],
  )
  assert.equal(
    await text(logs().readLogs(of, query, new AbortController().signal)),
    'one\ntwo\nthree\nfour\n',
  )
})

test('filled files are compressed when the container has ended, and stay readable', async () => {
  const of = request('local', {}, 'compressed')
  const path = logs().taskLog(of)?.path ?? ''
  await writeFile(`${path}.2`, localLine('oldest'))
  await writeFile(`${path}.1`, localLine('older'))
  await writeFile(`${path}.7.gz.tmp`, 'half')
  await writeFile(path, localLine('newest'))
  {
    await using files = logs()
    files.started(of)
    files.ended(id)
    await files.idle()
  }
  assert.deepEqual((await readdir(join(path, '..'))).sort(), [
    'container.log',
    'container.log.1.gz',
    'container.log.2.gz',
  ])
  assert.equal((await stat(`${path}.1.gz`)).mode & 0o7777, (await stat(path)).mode & 0o7777)
  assert.equal(
    await text(logs().readLogs(of, query, new AbortController().signal)),
    'oldest\nolder\nnewest\n',
  )
})
