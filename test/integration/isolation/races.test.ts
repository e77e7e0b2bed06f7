import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { errorCode } from '../../../src/spec/errors.ts'
import { mkdirAllInRoot, readFileInRoot } from '../../../src/kernel/scoped-path.ts'

/** Swaps a directory and a link to the outside for as long as it runs: what a hostile container would do. */
const flipper = `
  const { renameSync } = require('node:fs')
  const [dir, link, spare] = process.argv.slice(1)
  process.stdout.write('up')
  for (;;) { renameSync(dir, spare); renameSync(link, dir); renameSync(dir, link); renameSync(spare, dir) }`

test('a path that changes under way never leads out of the root', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'wharf-race-'))
  const root = join(outside, 'root')
  mkdirSync(join(root, 'dir'), { recursive: true })
  mkdirSync(join(outside, 'target'))
  writeFileSync(join(outside, 'target/secret'), 'host')
  writeFileSync(join(root, 'dir/secret'), 'own')
  symlinkSync(join(outside, 'target'), join(root, 'link'))
  const child = spawn(process.execPath, [
    '-e',
    flipper,
    ...['dir', 'link', 'spare'].map((name) => join(root, name)),
  ])
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const owner = { mode: 0o755, uid: 0, gid: 0 }
    let [read, missed] = [0, 0]
    for (let round = 0; round < 20_000; round++) {
      try {
        assert.equal(readFileInRoot(root, 'dir/secret').toString(), 'own')
        read += 1
        if (round % 20 === 0) mkdirAllInRoot(root, `dir/made${round % 400}/x`, owner)[Symbol.dispose]()
      } catch (error) {
        if (!['ENOENT', 'ENOTDIR', 'EAGAIN', 'ELOOP', 'EEXIST'].includes(errorCode(error) ?? '')) throw error
        missed += 1
      }
    }
    assert.ok(read > 0 && missed > 0, `both states were seen: ${read}, ${missed}`)
    assert.deepEqual(readdirSync(join(outside, 'target')), ['secret'])
    assert.ok(existsSync(root))
  } finally {
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
    rmSync(outside, { recursive: true, force: true })
  }
})
