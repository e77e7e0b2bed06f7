import assert from 'node:assert/strict'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { scanLinesBackward } from './line-scan.ts'

let directory = ''
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wharf-lines-'))
})
after(async () => {
  await rm(directory, { recursive: true })
})

async function backward(content: Buffer, limit = Infinity): Promise<{ line: Buffer; offset: number }[]> {
  const path = join(directory, 'file')
  await writeFile(path, content)
  await using file = await open(path)
  const seen: { line: Buffer; offset: number }[] = []
  await scanLinesBackward(file, content.length, (line, offset) => {
    seen.push({ line: Buffer.from(line), offset })
    return seen.length < limit
  })
  return seen
}

test('scanLinesBackward() finds every line with its offset, across blocks of any length', async () => {
  for (let round = 0; round < 40; round += 1) {
    const lines = Array.from({ length: 1 + ((round * 7) % 50) }, (_, index) =>
      Buffer.alloc((round * 7919 + index * 104_729) % (index % 5 === 0 ? 150_000 : 300), 97 + (index % 26)),
    )
    const unfinished = round % 3 === 0
    const content = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))
    const whole = unfinished ? Buffer.concat([content, Buffer.from('end')]) : content
    const expected = unfinished ? [...lines, Buffer.from('end')] : lines
    const seen = (await backward(whole)).reverse()
    assert.deepEqual(
      seen.map(({ line }) => line.toString('latin1')),
      expected.map((line) => line.toString('latin1')),
    )
    for (const { line, offset } of seen) {
      assert.ok(whole.subarray(offset, offset + line.length).equals(line))
    }
  }
})

test('scanLinesBackward() stops when told to, and finds nothing in an empty file', async () => {
  assert.deepEqual(await backward(Buffer.alloc(0)), [])
  const seen = await backward(Buffer.from('a\nb\nc\n'), 2)
  assert.deepEqual(
    seen.map(({ line, offset }) => [line.toString(), offset]),
    [
      ['c', 4],
      ['b', 2],
    ],
  )
})
