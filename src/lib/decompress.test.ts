import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { decompress } from './decompress.ts'

const random = randomBytes(300_000)
const plain = Buffer.concat([random, Buffer.alloc(500_000, 'abc'), random.subarray(0, 5)])

function cut(data: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(data.length / size) }, (_, index) =>
    data.subarray(index * size, (index + 1) * size),
  )
}

async function whole(data: Buffer, size: number): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(decompress(cut(data, size))))
}

const skippable = Buffer.concat([Buffer.from('542a4d18', 'hex'), Buffer.from([3, 0, 0, 0, 1, 2, 3])])
const cases: Record<string, Buffer> = {
  plain,
  empty: Buffer.alloc(0),
  short: Buffer.from('ab'),
  gzip: gzipSync(plain),
  'gzip of two members': Buffer.concat([gzipSync(plain.subarray(0, 1000)), gzipSync(plain.subarray(1000))]),
  zstd: zstdCompressSync(plain),
  'zstd of the zstd tool with checksum': execFileSync('zstd', ['-qc', '--check'], { input: plain }),
  'zstd of three frames and skippable ones': Buffer.concat([
    skippable,
    zstdCompressSync(plain.subarray(0, 1000)),
    skippable,
    zstdCompressSync(Buffer.alloc(0)),
    zstdCompressSync(plain.subarray(1000)),
    skippable,
  ]),
  xz: execFileSync('xz', ['-c'], { input: plain }),
  bzip2: execFileSync('bzip2', ['-c'], { input: plain }),
}

for (const [name, data] of Object.entries(cases)) {
  test(`decompress() of ${name} gives the plain bytes`, async () => {
    const expected = name === 'empty' || name === 'short' ? data : plain
    for (const size of [1021, 65536]) assert.ok((await whole(data, size)).equals(expected))
  })
}

test('cut and damaged data is refused', async () => {
  for (const name of ['gzip', 'zstd', 'xz', 'bzip2', 'zstd of the zstd tool with checksum']) {
    const data = cases[name]!
    await assert.rejects(whole(data.subarray(0, data.length - 20), 65536), name)
  }
  const damaged = Buffer.from(cases['gzip']!)
  damaged[5000] = (damaged[5000] ?? 0) ^ 0xff
  await assert.rejects(whole(damaged, 65536))
})

test('a consumer that stops early ends the source', async () => {
  let closed = false
  async function* source() {
    try {
      for (;;) yield gzipSync(plain)
    } finally {
      closed = true
    }
  }
  for await (const _chunk of decompress(source())) break
  assert.ok(closed)
})
