/** The log that a keeper writes, read back with a plain reading of docs/log-format.md. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { JsonFileFormat } from '../../../src/runtime/logs/json-file-format.ts'
import type { ContainerTaskStart } from '../../../src/spec/task-types.ts'
import { logText, runToEnd, RuntimeFixture } from './fixture.ts'

const fixture = new RuntimeFixture()
after(() => fixture[Symbol.asyncDispose]())

const catConfig = { OpenStdin: true, StdinOnce: true }
const jsonLog = { format: 'json-file', maxSizeBytes: 0, maxFiles: 1 } as const
const localLog = { format: 'local', maxSizeBytes: 0, maxFiles: 1 } as const

type Entry = { log: string; stream: string; attrs?: Record<string, string>; time: string }
const entries = (text: string): Entry[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

type LocalRecord = { timeNs: bigint; stream: number; partial: boolean; line: Buffer }
function localRecords(data: Buffer): LocalRecord[] {
  const records: LocalRecord[] = []
  for (let at = 0; at < data.length;) {
    const size = data.readUInt32LE(at)
    assert.equal(data.readUInt32LE(at + 4 + size), size)
    assert.equal(data.readUInt16LE(at + 14), 0)
    const [stream = 0, flags = 0] = data.subarray(at + 12, at + 14)
    const line = data.subarray(at + 16, at + 4 + size)
    records.push({ timeNs: data.readBigUInt64LE(at + 4), stream, partial: flags === 1, line })
    at += size + 8
  }
  return records
}
const content = (records: LocalRecord[]) =>
  Buffer.concat(
    records.map(({ line, partial }) => (partial ? line : Buffer.concat([line, Buffer.from('\n')]))),
  )

test('json-file gives binary output back exactly', async () => {
  const data = Buffer.concat([
    randomBytes(100_000),
    Buffer.from('\ufffdäx\ufffd'),
    Buffer.alloc(40_000, 0xe2),
  ])
  const start = fixture.start(['cat'], { config: catConfig, log: jsonLog })
  await runToEnd(fixture, start, data)
  const pieces: Buffer[] = []
  new JsonFileFormat().decode(readFileSync(join(start.directory, 'log')), (record) => {
    pieces.push(Buffer.from(record.bytes.subarray(record.start, record.end)))
    return true
  })
  assert.ok(Buffer.concat(pieces).equals(data))
})

test("json-file has Docker's bytes", async () => {
  const script = String.raw`printf 'plain\n<a href="x">&\\\t\r\177\001\n'; printf '\303\244\342\200\250\357\277\275\377\355\240\200z\n'; echo err >&2; sleep 0.1; printf 'no end'`
  const attributes = { tag: 'a"b', 'x<y': 'z' }
  const start = fixture.start(['sh', '-c', script], { log: { ...jsonLog, attributes } })
  await runToEnd(fixture, start)
  const text = logText(start)
  const time = String.raw`"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z"`
  const out = text.split('\n').filter((line) => line.includes('"stdout"'))
  const attrs = String.raw`"attrs":{"tag":"a\\"b","x<y":"z"}`
  const expected = [
    String.raw`plain\\n`,
    String.raw`\\u003ca href=\\"x\\"\\u003e\\u0026\\\\\\u0009\\r${'\u007f'}\\u0001\\n`,
    String.raw`ä\\u2028�\\ufffd\\ufffd\\ufffd\\ufffdz\\n`,
    'no end',
  ]
  assert.equal(out.length, expected.length)
  expected.forEach((line, index) => {
    const raw = index === 2 ? '"raw":"ffeda080",' : ''
    assert.match(out[index] ?? '', new RegExp(`^{"log":"${line}","stream":"stdout",${raw}${attrs},${time}}$`))
  })
  assert.deepEqual(
    entries(text)
      .filter(({ stream }) => stream === 'stderr')
      .map(({ log }) => log),
    ['err\n'],
  )
})

test('long lines are cut into pieces of 16 KiB that share a time', async () => {
  const input = `${'x'.repeat(40_000)}\n${'y'.repeat(16_384)}\n${'z'.repeat(16_383)}\nend`
  const start = fixture.start(['cat'], { config: catConfig, log: jsonLog })
  await runToEnd(fixture, start, Buffer.from(input))
  const list = entries(logText(start))
  assert.deepEqual(
    list.map(({ log }) => log.length),
    [16_384, 16_384, 7_233, 16_384, 1, 16_384, 3],
  )
  assert.equal(list.map(({ log }) => log).join(''), input)
  assert.equal(new Set(list.slice(0, 3).map(({ time }) => time)).size, 1)
})

test('local keeps binary output exactly, in both streams', async () => {
  const input = Buffer.concat([randomBytes(3_000_000), Buffer.alloc(70_000, 'a'), Buffer.from('\nlast')])
  const start = fixture.start(['sh', '-c', 'tee /dev/stderr'], { config: catConfig, log: localLog })
  const { stdout, stderr } = await runToEnd(fixture, start, input)
  assert.ok(stdout.equals(input) && stderr.equals(input))
  const records = localRecords(readFileSync(join(start.directory, 'log')))
  assert.ok(content(records.filter(({ stream }) => stream === 1)).equals(input))
  assert.ok(content(records.filter(({ stream }) => stream === 2)).equals(input))
  assert.ok(records.every(({ line }) => line.length <= 16_384))
})

const rotated = (start: ContainerTaskStart) =>
  readdirSync(start.directory)
    .filter((name) => /^log(\.\d+)?$/.test(name))
    .sort((a, b) => Number(b.slice(4)) - Number(a.slice(4)))

for (const format of ['json-file', 'local'] as const) {
  test(`${format}: rotation keeps every line, in order`, async () => {
    const log = { format, maxSizeBytes: 100_000, maxFiles: 1000 }
    const start = fixture.start(['seq', '1', '300000'], { log })
    await runToEnd(fixture, start)
    const names = rotated(start)
    assert.ok(names.length > 20, `${names.length} files`)
    assert.equal(names.at(-1), 'log')
    const parts = names.map((name) => readFileSync(join(start.directory, name)))
    // Each is full, and exceeds the limit by less than one record.
    for (const part of parts.slice(0, -1)) assert.ok(part.length >= 100_000 && part.length < 100_200)
    const text =
      format === 'local'
        ? content(parts.flatMap(localRecords)).toString()
        : entries(parts.join(''))
            .map((entry) => entry.log)
            .join('')
    assert.equal(text, Array.from({ length: 300_000 }, (_, i) => `${i + 1}\n`).join(''))
  })
}

test('rotation keeps as many files as asked for', async () => {
  const start = fixture.start(['seq', '1', '20000'], {
    log: { format: 'json-file', maxSizeBytes: 10_000, maxFiles: 3 },
  })
  await runToEnd(fixture, start)
  assert.deepEqual(rotated(start), ['log.2', 'log.1', 'log'])
  const list = rotated(start).flatMap((name) => entries(readFileSync(join(start.directory, name), 'utf8')))
  assert.equal(list.at(-1)?.log, '20000\n')
  const first = Number(list[0]?.log)
  assert.deepEqual(
    list.map(({ log }) => Number(log)),
    list.map((_, index) => first + index),
  )
  const single = fixture.start(['seq', '1', '20000'], {
    log: { format: 'json-file', maxSizeBytes: 10_000, maxFiles: 1 },
  })
  await runToEnd(fixture, single)
  assert.deepEqual(rotated(single), ['log'])
  assert.ok(statSync(join(single.directory, 'log')).size < 10_200)
})

test('non-blocking mode drops whole lines only, and a large enough buffer none', async () => {
  const tight = fixture.start(['seq', '1', '300000'], { log: { ...jsonLog, nonBlockingBufferBytes: 4096 } })
  await runToEnd(fixture, tight)
  const numbers = entries(logText(tight)).map(({ log }) => Number(log))
  assert.ok(
    numbers.length > 0 && numbers.every((value, index) => index === 0 || value > (numbers[index - 1] ?? 0)),
  )
  const record = readFileSync(join(fixture.directory, 'run/tasks', tight.id, 'exit'), 'utf8')
  assert.equal(Number(record.trim().split(' ')[4]) + numbers.length, 300_000)
  const wide = fixture.start(['seq', '1', '3000'], { log: { ...jsonLog, nonBlockingBufferBytes: 64 << 20 } })
  await runToEnd(fixture, wide)
  assert.equal(entries(logText(wide)).length, 3000)
})

test('a log that cannot be opened refuses the task, and leaves nothing', async () => {
  const start = fixture.start(['true'], { log: jsonLog })
  start.log = { ...jsonLog, path: '/nonexistent/log' }
  await assert.rejects(
    fixture.runtime.create(start, AbortSignal.timeout(10_000)),
    /nonexistent.*No such file/,
  )
  assert.ok(!existsSync(join(fixture.directory, 'run/tasks', start.id)))
})
