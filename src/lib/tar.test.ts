import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  mkdtempSync,
  rmSync,
  writeFileSync,
  readFileSync,
  mkdirSync,
  symlinkSync,
  linkSync,
  openSync,
  writeSync,
  closeSync,
  ftruncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { decodePath, encodePath } from './path-bytes.ts'
import { tarHeader, TarError, type TarHeader } from './tar-format.ts'
import { parsePax, paxRecord } from './tar-pax.ts'
import { TarDecoder, type TarEvent } from './tar-reader.ts'
import { denseContent, readTar, writeTar, type TarSource } from './tar-stream.ts'
import { encodeTarHeader } from './tar-writer.ts'

type Whole = { header: TarHeader; content: Buffer }

/** Small reproducible random numbers (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function decodeAll(archive: Buffer, chunkSize: number): Whole[] {
  const decoder = new TarDecoder()
  const entries: Whole[] = []
  const take = (event: TarEvent) => {
    if (event.kind === 'entry') {
      entries.push({ header: event.header, content: Buffer.alloc(event.header.size) })
    } else if (event.kind === 'content') event.bytes.copy(entries.at(-1)!.content, event.position)
  }
  for (let at = 0; at < archive.length; at += chunkSize) {
    decoder.push(archive.subarray(at, at + chunkSize)).forEach(take)
  }
  decoder.finish()
  return entries
}

function hexOf(xattrs: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...xattrs].map(([key, value]) => [key, Buffer.from(value).toString('hex')]))
}

async function encode(entries: TarSource[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(entries)))
}

function generated(random: () => number): Whole {
  const pick = <T>(...values: T[]): T => values[Math.floor(random() * values.length)]!
  const type = pick(
    'file',
    'file',
    'file',
    'hardlink',
    'symlink',
    'character',
    'block',
    'directory',
    'fifo' as const,
  )
  const bytes = Buffer.from(
    Array.from({ length: Math.floor(random() * 1500) }, () => Math.floor(random() * 256)),
  )
  const name = pick(
    'a',
    'dir/b',
    'ä/ö',
    'x'.repeat(99),
    `${'d/'.repeat(60)}f`,
    'n'.repeat(180),
    `${'p'.repeat(150)}/${'q'.repeat(99)}`,
    'bad\udcff\udc80name',
    ' lead',
    'new\nline',
    'eq=sign',
  )
  return {
    header: tarHeader({
      name: type === 'directory' ? `${name}/` : name,
      type,
      mode: Math.floor(random() * 0o10000),
      uid: pick(0, 1000, 2097151, 2097152, 4294967294),
      gid: pick(0, 5, 2097152),
      userName: pick('', 'root', 'ü', 'u'.repeat(40)),
      size: type === 'file' ? bytes.length : 0,
      mtimeNs: pick(
        0n,
        1n,
        1_500_000_000_000_000_000n,
        1_500_000_000_123_456_789n,
        -1_500_000_000n,
        99_999_999_999n * 1_000_000_000n,
      ),
      linkName: type === 'hardlink' || type === 'symlink' ? pick('t', '../ä', 'l'.repeat(300)) : '',
      deviceMajor: type === 'character' || type === 'block' ? pick(0, 8, 4095) : 0,
      deviceMinor: type === 'character' || type === 'block' ? pick(0, 3, 1048575) : 0,
      xattrs:
        random() < 0.3
          ? new Map([
              ['security.capability', bytes.subarray(0, 24)],
              ['user.empty', Buffer.alloc(0)],
            ])
          : new Map(),
    }),
    content: type === 'file' ? bytes : Buffer.alloc(0),
  }
}

test('what the writer writes, the reader reads back, in chunks of any size', async () => {
  const random = randomNumbers(42)
  const entries = Array.from({ length: 300 }, () => generated(random))
  const archive = await encode(entries.map(({ header, content }) => ({ header, content: [content] })))
  for (const chunkSize of [1, 7, 511, 512, 4096, archive.length]) {
    const back = decodeAll(archive, chunkSize)
    assert.equal(back.length, entries.length)
    entries.forEach((entry, index) => {
      assert.deepEqual({ ...back[index]!.header, xattrs: null }, { ...entry.header, xattrs: null })
      assert.deepEqual(hexOf(back[index]!.header.xattrs), hexOf(entry.header.xattrs))
      assert.ok(back[index]!.content.equals(entry.content))
    })
  }
})

test('the same entries give the same bytes', async () => {
  const make = () =>
    encode([generated(randomNumbers(7))].map(({ header, content }) => ({ header, content: [content] })))
  assert.ok((await make()).equals(await make()))
})

test('GNU tar lists and unpacks what the writer writes', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-tar-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const long = `${'deep/'.repeat(40)}leaf`
  const archive = await encode([
    {
      header: tarHeader({ name: 'plain', type: 'file', size: 5, mtimeNs: 1_500_000_000_123_456_789n }),
      content: [Buffer.from('hello')],
    },
    { header: tarHeader({ name: long, type: 'file', size: 3 }), content: [Buffer.from('abc')] },
    { header: tarHeader({ name: 'link', type: 'symlink', linkName: 'x'.repeat(150) }) },
    { header: tarHeader({ name: 'hard', type: 'hardlink', linkName: 'plain' }) },
  ])
  writeFileSync(join(directory, 'a.tar'), archive)
  execFileSync('tar', ['-xf', 'a.tar'], { cwd: directory })
  assert.equal(readFileSync(join(directory, 'hard'), 'utf8'), 'hello')
  assert.equal(readFileSync(join(directory, long), 'utf8'), 'abc')
  const listed = execFileSync('tar', ['--full-time', '--utc', '-tvf', 'a.tar', 'plain', 'link'], {
    cwd: directory,
    encoding: 'utf8',
  })
  assert.match(listed, /2017-07-14 02:40:00\.123456789 plain/)
  assert.match(listed, new RegExp(`link -> ${'x'.repeat(150)}`))
})

for (const format of ['v7', 'oldgnu', 'gnu', 'ustar', 'pax'] as const) {
  test(`archives of GNU tar --format=${format} are read`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'wharf-tar-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    const longName = 'n'.repeat(format === 'v7' || format === 'ustar' ? 80 : 220)
    mkdirSync(join(directory, 'in/sub'), { recursive: true })
    writeFileSync(join(directory, 'in/sub', longName), 'content of the long one')
    writeFileSync(join(directory, 'in/empty'), '')
    symlinkSync('sub', join(directory, 'in/symlink'))
    linkSync(join(directory, 'in/sub', longName), join(directory, 'in/hard'))
    const archive = execFileSync(
      'tar',
      [
        `--format=${format}`,
        '--sort=name',
        '--owner=5',
        '--group=7',
        '--mtime=@1500000000',
        '-cf',
        '-',
        'in',
      ],
      { cwd: directory },
    )
    const entries = decodeAll(archive, 10_000)
    const names = entries.map(({ header }) => `${header.type} ${header.name} ${header.linkName}`)
    assert.deepEqual(names, [
      'directory in/ ',
      'file in/empty ',
      `file in/hard `,
      'directory in/sub/ ',
      `hardlink in/sub/${longName} in/hard`,
      'symlink in/symlink sub',
    ])
    assert.equal(entries[2]!.content.toString(), 'content of the long one')
    assert.ok(
      entries.every(
        ({ header }) => header.uid === 5 && header.gid === 7 && header.mtimeNs === 1_500_000_000_000_000_000n,
      ),
    )
  })
}

for (const options of [
  ['--format=gnu'],
  ['--format=pax', '--sparse-version=0.0'],
  ['--format=pax', '--sparse-version=0.1'],
  ['--format=pax', '--sparse-version=1.0'],
]) {
  test(`sparse files of GNU tar ${options.join(' ')} come with their holes`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'wharf-tar-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    const expected = Buffer.alloc(4 << 20)
    const file = openSync(join(directory, 'sparse'), 'w')
    for (let index = 0; index < 60; index++) {
      const piece = Buffer.alloc(4096, index + 1)
      writeSync(file, piece, 0, piece.length, index * 65536 + 4096)
      piece.copy(expected, index * 65536 + 4096)
    }
    ftruncateSync(file, expected.length)
    closeSync(file)
    writeFileSync(join(directory, 'after'), 'x')
    const archive = execFileSync('tar', [...options, '-S', '-cf', '-', 'sparse', 'after'], { cwd: directory })
    assert.ok(archive.length < expected.length / 4)
    for (const chunkSize of [333, 65536]) {
      const entries = decodeAll(archive, chunkSize)
      assert.equal(entries[0]!.header.name, 'sparse')
      assert.ok((entries[0]!.header.sparse?.length ?? 0) >= 60)
      assert.ok(entries[0]!.content.equals(expected))
      assert.equal(entries[1]!.content.toString(), 'x')
    }
    for await (const entry of readTar([archive])) {
      const dense = Buffer.concat(await Array.fromAsync(denseContent(entry)))
      assert.ok(dense.equals(entry.header.name === 'sparse' ? expected : Buffer.from('x')))
    }
  })
}

test('binary xattrs survive, in both notations', async () => {
  const value = Buffer.from([0, 1, 2, 255, 10, 61, 0])
  const archive = await encode([
    { header: tarHeader({ name: 'f', type: 'file', xattrs: new Map([['security.capability', value]]) }) },
  ])
  assert.ok(Buffer.from(decodeAll(archive, 512)[0]!.header.xattrs.get('security.capability')!).equals(value))
  const record = paxRecord('LIBARCHIVE.xattr.user.a%3Db', Buffer.from(value.toString('base64')))
  assert.ok(Buffer.from(parsePax(record).xattrs.get('user.a=b')!).equals(value))
})

test('an entry left unread does not disturb the next', async () => {
  const archive = await encode(
    ['a', 'b', 'c'].map((name) => ({
      header: tarHeader({ name, type: 'file', size: 100_000 }),
      content: [Buffer.alloc(100_000, name)],
    })),
  )
  const chunks = Array.from({ length: Math.ceil(archive.length / 1000) }, (_, index) =>
    archive.subarray(index * 1000, (index + 1) * 1000),
  )
  const names: string[] = []
  for await (const { header, content } of readTar(chunks)) {
    names.push(header.name)
    if (header.name === 'b') for await (const _piece of content) break
  }
  assert.deepEqual(names, ['a', 'b', 'c'])
})

test('numbers beyond octal are read in base-256 and in pax', () => {
  const block = encodeTarHeader(
    tarHeader({ name: 'f', type: 'character', uid: 3_000_000, deviceMajor: 5_000_000 }),
  )
  const decoder = new TarDecoder()
  const [event] = decoder.push(block)
  assert.ok(event?.kind === 'entry')
  assert.equal(event.header.uid, 3_000_000)
  assert.equal(event.header.deviceMajor, 5_000_000)
})

test('a cut archive and a damaged header are refused', async () => {
  const archive = await encode([
    { header: tarHeader({ name: 'f', type: 'file', size: 1000 }), content: [Buffer.alloc(1000, 1)] },
  ])
  assert.throws(() => decodeAll(archive.subarray(0, 900), 100), /unexpected EOF/)
  assert.throws(() => decodeAll(archive.subarray(0, 300), 100), /unexpected EOF/)
  const damaged = Buffer.from(archive)
  damaged[0] = 1
  assert.throws(() => decodeAll(damaged, 4096), /invalid tar header/)
  assert.throws(() => decodeAll(Buffer.alloc(2000, 'not a tar'), 512), /invalid tar header/)
  assert.deepEqual(decodeAll(archive.subarray(0, 1536), 512).length, 1, 'without a trailer')
})

test('damaged archives end in a TarError or in entries, never in anything else', async () => {
  const random = randomNumbers(Number(process.env['WHARF_SEED'] ?? 1))
  const whole = await encode(
    Array.from({ length: 12 }, () => generated(random)).map(({ header, content }) => ({
      header,
      content: [content],
    })),
  )
  for (let round = 0; round < 400; round++) {
    const archive = Buffer.from(whole)
    for (let change = 0; change < 1 + random() * 4; change++) {
      const at = Math.floor(random() * archive.length)
      archive[at] = Math.floor(random() * 256)
      // Half of the time the header's sum is made right again, so that the damage gets past it.
      if (random() < 0.5) fixChecksum(archive, at - (at % 512))
    }
    const decoder = new TarDecoder()
    try {
      let bytes = 0
      for (const event of decoder.push(archive)) if (event.kind === 'content') bytes += event.bytes.length
      decoder.finish()
      assert.ok(bytes <= archive.length)
    } catch (error) {
      assert.ok(error instanceof TarError, String(error))
    }
  }
})

function fixChecksum(archive: Buffer, at: number): void {
  archive.fill(0x20, at + 148, at + 156)
  let sum = 0
  for (let index = 0; index < 512; index++) sum += archive[at + index] ?? 0
  archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
}

test('names of any bytes come and go without loss', () => {
  const random = randomNumbers(3)
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(
      Array.from({ length: Math.floor(random() * 12) }, () =>
        random() < 0.4 ? 0x80 + random() * 0x7f : 32 + random() * 90,
      ),
    )
    assert.ok(encodePath(decodePath(bytes)).equals(bytes), bytes.toString('hex'))
  }
  assert.equal(decodePath(Buffer.from('grüße 😀')), 'grüße 😀')
})
