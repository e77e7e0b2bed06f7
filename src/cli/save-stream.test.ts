import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeStreamToFile } from './save-stream.ts'

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('one ')
  yield Buffer.from('two')
}

test('a stream goes into a file, and what is no place for one is refused in the words of docker 28.2', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-save-'))
  const at = (name: string) => join(directory, name)
  const refused = async (name: string, message: string) =>
    assert.rejects(writeStreamToFile(at(name), pieces(), 'failed'), { message: `failed: ${message}` })
  try {
    await writeStreamToFile(at('file'), pieces(), 'failed')
    assert.equal(readFileSync(at('file'), 'utf8'), 'one two')
    mkdirSync(at('folder'))
    writeFileSync(at('target'), 'kept')
    symlinkSync('target', at('link'))
    await refused('none/x', `invalid output path: stat ${at('none')}: no such file or directory`)
    await refused('file/x', `invalid output path: stat ${at('file')}: not a directory`)
    await refused('folder', 'cannot write to a directory')
    await refused('link', 'cannot write to a symbolic link directly')
    assert.equal(readFileSync(at('target'), 'utf8'), 'kept')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
