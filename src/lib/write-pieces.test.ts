import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { unwritten, writePieces } from './write-pieces.ts'

test('what is left after every possible number of written bytes', () => {
  const pieces = ['abc', '', 'd', 'efgh'].map((text) => Buffer.from(text))
  const whole = Buffer.concat(pieces).toString()
  for (let written = 0; written <= whole.length; written++) {
    assert.equal(Buffer.concat(unwritten(pieces, written)).toString(), whole.slice(written))
  }
  assert.deepEqual(unwritten(pieces, whole.length), [])
})

test('pieces are written where the file is, or at a position', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-pieces-'))
  try {
    const path = join(directory, 'file')
    await using file = await open(path, 'w')
    await writePieces(file, [Buffer.from('one '), Buffer.from('two ')])
    await writePieces(file, [Buffer.from('three')])
    await writePieces(file, [Buffer.from('T'), Buffer.from('W')], 4)
    assert.equal(readFileSync(path, 'utf8'), 'one TWo three')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
