import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { formatTimeNs } from '../../lib/clock.ts'
import { compressLogFile } from './log-compressor.ts'
import { JsonFileFormat } from './json-file-format.ts'
import { LocalFormat } from './local-format.ts'
import { LogReader } from './log-reader.ts'
import type { ReadOptions } from './log-reader.ts'

let root = ''
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'wharf-logs-'))
})
after(async () => {
  await rm(root, { recursive: true })
})

type Format = 'json-file' | 'local'
type Piece = { stream: 1 | 2; bytes: Buffer; timeNs: bigint }
const pieceBytes = 16_384

/** Writes as the keeper does (docs/log-format.md). */
class TestWriter {
  readonly path: string
  readonly #format: Format
  readonly #maxBytes: number
  readonly #compress: boolean
  /** How many filled files are kept. */
  readonly #filled: number
  #rotated = 0

  constructor(
    name: string,
    format: Format,
    options: { maxBytes?: number; compress?: boolean; filled?: number } = {},
  ) {
    this.path = join(root, `${name}.log`)
    this.#format = format
    this.#maxBytes = options.maxBytes ?? Infinity
    this.#compress = options.compress ?? false
    this.#filled = options.filled ?? Infinity
  }

  async write(stream: 1 | 2, output: Buffer, timeNs = 0n): Promise<void> {
    for (const piece of pieces(stream, output, timeNs)) {
      if ((await sizeOf(this.path)) >= this.#maxBytes) await this.rotate()
      await appendFile(this.path, this.#format === 'local' ? localRecord(piece) : jsonRecord(piece))
    }
  }

  async rotate(): Promise<void> {
    const suffix = this.#compress ? '.gz' : ''
    for (let index = this.#rotated; index >= 1; index -= 1) {
      const filled = `${this.path}.${index}${suffix}`
      if (index === this.#filled) await rm(filled)
      else await rename(filled, `${this.path}.${index + 1}${suffix}`)
    }
    this.#rotated = Math.min(this.#rotated + 1, this.#filled)
    await rename(this.path, `${this.path}.1`)
    await writeFile(this.path, '')
    if (!this.#compress) return
    assert.ok(await compressLogFile(this.path, 1, new AbortController().signal))
  }
}

function* pieces(stream: 1 | 2, output: Buffer, timeNs: bigint): Generator<Piece> {
  let start = 0
  while (start < output.length) {
    const feed = output.indexOf(10, start)
    const lineEnd = feed < 0 ? output.length : feed + 1
    const end = Math.min(lineEnd, start + pieceBytes)
    yield { stream, bytes: output.subarray(start, end), timeNs }
    start = end
  }
}

function jsonRecord({ stream, bytes, timeNs }: Piece): string {
  const log = JSON.stringify(bytes.toString('utf8')).replaceAll('<', '\\u003c')
  const name = stream === 1 ? 'stdout' : 'stderr'
  return `{"log":${log},"stream":"${name}","time":"${formatTimeNs(timeNs)}"}\n`
}

function localRecord({ stream, bytes, timeNs }: Piece): Buffer {
  const whole = bytes.at(-1) === 10
  const line = whole ? bytes.subarray(0, -1) : bytes
  const record = Buffer.alloc(20 + line.length)
  record.writeUInt32LE(12 + line.length, 0)
  record.writeBigUInt64LE(timeNs, 4)
  record[12] = stream
  record[13] = whole ? 0 : 1
  line.copy(record, 16)
  record.writeUInt32LE(12 + line.length, record.length - 4)
  return record
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    (stats) => stats.size,
    () => 0,
  )
}

/** Waits until this process has the file open. */
async function untilOpen(inode: number): Promise<void> {
  for (;;) {
    const names = await readdir('/proc/self/fd')
    const inodes = await Promise.all(
      names.map(async (name) => (await maybeStat(`/proc/self/fd/${name}`))?.ino),
    )
    if (inodes.includes(inode)) return
  }
}

async function maybeStat(path: string) {
  return await stat(path).catch(() => undefined)
}

const defaults: ReadOptions = { framed: true, timestamps: false, details: false, stdout: true, stderr: true }

function reader(
  writer: TestWriter,
  format: Format,
  options: Partial<ReadOptions> = {},
): AsyncGenerator<Buffer> {
  const decoder = format === 'local' ? new LocalFormat({ tag: 'a b' }) : new JsonFileFormat()
  return new LogReader(writer.path, decoder, { ...defaults, ...options }).read(new AbortController().signal)
}

async function read(writer: TestWriter, format: Format, options: Partial<ReadOptions> = {}): Promise<Buffer> {
  return await collect(reader(writer, format, options))
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function demultiplex(framed: Buffer): { stdout: string; stderr: string; frames: string[] } {
  const out = { stdout: '', stderr: '' }
  const frames: string[] = []
  for (let at = 0; at < framed.length;) {
    const end = at + 8 + framed.readUInt32BE(at + 4)
    const payload = framed.toString('latin1', at + 8, end)
    out[framed[at] === 1 ? 'stdout' : 'stderr'] += payload
    frames.push(payload)
    at = end
  }
  return { ...out, frames }
}

/** Numbers that look random and are the same every time. */
function* numbers(seed: number): Generator<number> {
  let state = seed * 2_654_435_761 + 1
  for (;;) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    yield state
  }
}

function randomOutput(random: Generator<number>, binary: boolean): Buffer {
  const next = () => Number(random.next().value)
  const lines = 1 + (next() % 20)
  const parts: Buffer[] = []
  for (let line = 0; line < lines; line += 1) {
    const length = next() % 9 === 0 ? next() % 40_000 : next() % 120
    const bytes = Buffer.alloc(length)
    for (let at = 0; at < length; at += 1) bytes[at] = binary ? next() >> 8 : 32 + ((next() >> 8) % 95)
    parts.push(bytes, Buffer.from(next() % 9 === 0 && line === lines - 1 ? '' : '\n'))
  }
  return Buffer.concat(parts)
}

for (const format of ['json-file', 'local'] as const) {
  test(`${format}: what was written is read back, over rotated and compressed files`, async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const random = numbers(seed)
      const writer = new TestWriter(`${format}-roundtrip-${seed}`, format, {
        maxBytes: [3000, 9000, 100_000, Infinity][seed % 4] ?? 1,
        compress: seed % 3 === 0,
      })
      const expected = { stdout: '', stderr: '' }
      for (let write = 0; write < 6; write += 1) {
        const stream = write % 3 === 2 ? 2 : 1
        const output = randomOutput(random, format === 'local')
        await writer.write(stream, output)
        expected[stream === 1 ? 'stdout' : 'stderr'] += output.toString('latin1')
      }
      const { stdout, stderr } = demultiplex(await read(writer, format))
      assert.ok(stdout === expected.stdout && stderr === expected.stderr, `seed ${seed}`)
      const onlyErrors = demultiplex(await read(writer, format, { stdout: false }))
      assert.ok(onlyErrors.stdout === '' && onlyErrors.stderr === expected.stderr)
    }
  })

  test(`${format}: tail answers the last lines, however the files lie`, async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const random = numbers(seed + 100)
      const writer = new TestWriter(`${format}-tail-${seed}`, format, {
        maxBytes: [3000, 7000, 120_000, Infinity][seed % 4] ?? 1,
        compress: seed % 2 === 0,
      })
      const output = Buffer.concat(Array.from({ length: 5 }, () => randomOutput(random, false)))
      await writer.write(1, output)
      const lines = output.toString('latin1').split(/(?<=\n)/)
      for (const count of [0, 1, 2, 7, lines.length - 1, lines.length, lines.length + 5]) {
        const { stdout } = demultiplex(await read(writer, format, { tail: count }))
        const expected = lines.slice(Math.max(0, lines.length - count)).join('')
        assert.ok(stdout === (count === 0 ? '' : expected), `seed ${seed}, tail ${count}`)
      }
    }
  })

  test(`${format}: since and until choose by time, and tail comes before both`, async () => {
    const writer = new TestWriter(`${format}-times`, format)
    for (let second = 1; second <= 9; second += 1) {
      await writer.write(1, Buffer.from(`${second}\n`), BigInt(second) * 1_000_000_000n + 5n)
    }
    const shown = async (options: Partial<ReadOptions>) =>
      demultiplex(await read(writer, format, options)).stdout
    assert.equal(await shown({ sinceNs: 7_000_000_005n }), '7\n8\n9\n')
    assert.equal(await shown({ sinceNs: 7_000_000_006n }), '8\n9\n')
    assert.equal(await shown({ untilNs: 2_000_000_005n }), '1\n2\n')
    assert.equal(await shown({ sinceNs: 3_000_000_000n, untilNs: 5_000_000_000n }), '3\n4\n')
    assert.equal(await shown({ tail: 2, sinceNs: 9_000_000_000n }), '9\n')
  })

  test(`${format}: timestamps have nine digits and stand before a line, not before its pieces`, async () => {
    const writer = new TestWriter(`${format}-stamps`, format)
    const long = 'x'.repeat(40_000)
    await writer.write(1, Buffer.from(`a\n${long}\n`), 1_700_000_000_120_000_000n)
    const { frames, stdout } = demultiplex(await read(writer, format, { timestamps: true }))
    assert.equal(frames.length, 4)
    const stamp = '2023-11-14T22:13:20.120000000Z'
    assert.ok(stdout === `${stamp} a\n${stamp} ${long}\n`)
  })

  test(`${format}: a terminal's log is answered without frames`, async () => {
    const writer = new TestWriter(`${format}-raw`, format)
    await writer.write(1, Buffer.from('one\r\ntwo'))
    assert.equal((await read(writer, format, { framed: false })).toString(), 'one\r\ntwo')
  })

  test(`${format}: follow sees every byte of a log that rotates under it, then ends`, async () => {
    for (const compress of [false, true]) {
      const random = numbers(compress ? 7 : 8)
      const writer = new TestWriter(`${format}-follow-${compress}`, format, { maxBytes: 30_000, compress })
      const { promise: ended, resolve: end } = Promise.withResolvers<void>()
      const first = randomOutput(random, false)
      await writer.write(1, first)
      let seen = 0
      let wake = () => {}
      const following = (async () => {
        const chunks: Buffer[] = []
        for await (const chunk of reader(writer, format, { ended, framed: false })) {
          chunks.push(chunk)
          seen += chunk.length
          wake()
        }
        return Buffer.concat(chunks).toString('latin1')
      })()
      const caughtUp = async (length: number) => {
        for (;;) {
          if (seen >= length) return
          const { promise, resolve } = Promise.withResolvers<void>()
          wake = resolve
          await promise
        }
      }
      let expected = first.toString('latin1')
      for (let write = 0; write < 12; write += 1) {
        const output = randomOutput(random, false)
        expected += output.toString('latin1')
        await writer.write(1, output)
        // Every other time the reader is let fall behind.
        if (write % 2 === 0) await caughtUp(expected.length)
      }
      end()
      assert.ok((await following) === expected)
    }
  })

  test(`${format}: who has fallen behind still sees what the bounds have dropped meanwhile`, async () => {
    const writer = new TestWriter(`${format}-behind`, format, { filled: 1 })
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    await writer.write(1, Buffer.from('0\n'))
    const source = reader(writer, format, { ended, framed: false })
    const seen = [(await source.next()).value]
    for (let line = 1; line <= 5; line += 1) {
      await writer.rotate()
      await writer.write(1, Buffer.from(`${line}\n`))
      await untilOpen((await stat(writer.path)).ino)
    }
    end()
    for await (const chunk of source) seen.push(chunk)
    assert.equal(Buffer.concat(seen).toString(), '0\n1\n2\n3\n4\n5\n')
  })

  test(`${format}: follow starts on a log that does not exist yet, and survives its being cut to nothing`, async () => {
    const writer = new TestWriter(`${format}-cut`, format)
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    const source = reader(writer, format, { ended, tail: 3 })
    const pending = source.next()
    await writer.write(1, Buffer.from('before, long enough to be noticed\n'))
    assert.equal(demultiplex((await pending).value).stdout, 'before, long enough to be noticed\n')
    const second = source.next()
    await truncate(writer.path)
    await writer.write(1, Buffer.from('after\n'))
    assert.equal(demultiplex((await second).value).stdout, 'after\n')
    end()
    assert.equal((await source.next()).done, true)
  })

  test(`${format}: follow ends when its signal aborts, and when until has passed`, async () => {
    const writer = new TestWriter(`${format}-abort`, format)
    await writer.write(1, Buffer.from('x\n'), 1n)
    const never = new Promise<void>(() => {})
    const abort = new AbortController()
    const decoder = format === 'local' ? new LocalFormat({}) : new JsonFileFormat()
    const source = new LogReader(writer.path, decoder, { ...defaults, ended: never }).read(abort.signal)
    await source.next()
    const pending = source.next()
    abort.abort()
    assert.equal((await pending).done, true)
    const past = await read(writer, format, { ended: never, untilNs: 2_000_000_000n })
    assert.equal(demultiplex(past).stdout, 'x\n')
  })
}

test('json-file: escapes, attributes, other writers and damage', async () => {
  const writer = new TestWriter('json-odd', 'json-file')
  await writeFile(
    writer.path,
    [
      '{"log":"\\u003ca\\u003e \\ud83d\\ude00\\u2028\\t\\\\\\"\\/\\n","stream":"stderr","attrs":{"b":"1 2","a":"ü&"},"time":"2026-01-02T03:04:05.5Z"}',
      '{"stream":"stdout","time":"2026-01-02T03:04:05Z","log":"other order\\n"}',
      'not json',
      '{"log":"cut off, then{"log":"whole\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}',
      '{"log":"last\\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}',
      '{"log":"being writ',
    ].join('\n'),
  )
  const { frames } = demultiplex(await read(writer, 'json-file', { timestamps: true, details: true }))
  assert.deepEqual(
    frames.map((frame) => Buffer.from(frame, 'latin1').toString()),
    [
      '2026-01-02T03:04:05.500000000Z a=%C3%BC%26,b=1+2 <a> 😀\u2028\t\\"/\n',
      '2026-01-02T03:04:05.000000000Z  other order\n',
      '2026-01-02T03:04:05.000000000Z  whole\n',
      '2026-01-02T03:04:05.123456789Z  last\n',
    ],
  )
})

test('local: damage is stepped over, from either end', async () => {
  const writer = new TestWriter('local-damage', 'local')
  await writer.write(1, Buffer.from('one\n'))
  await appendFile(writer.path, Buffer.from('garbage that is no record'))
  await writer.write(1, Buffer.from('two\n'))
  await appendFile(
    writer.path,
    localRecord({ stream: 1, bytes: Buffer.from('cut off\n'), timeNs: 0n }).subarray(0, 20),
  )
  assert.equal(demultiplex(await read(writer, 'local')).stdout, 'one\ntwo\n')
  assert.equal(demultiplex(await read(writer, 'local', { tail: 1 })).stdout, 'two\n')
  assert.equal(demultiplex(await read(writer, 'local', { tail: 2 })).stdout, 'one\ntwo\n')
})
