/** Large archives pass through the daemon: neither they nor their layers are ever whole in its memory. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startDaemon } from '../../fixtures/test-daemon.ts'

const megabytes = 400
const mostMebibytes = 150

/** Memory of a process, in MiB. */
function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
}

test('import, save, load, commit and cp of much more than may be in memory', async () => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  const work = join(daemon.names.root, 'work')
  mkdirSync(work)
  const big = join(work, 'big')
  const fd = openSync(big, 'w')
  const piece = randomBytes(1 << 20)
  for (let count = 0; count < megabytes; count++) writeSync(fd, piece)
  closeSync(fd)
  const tree = join(work, 'tree.tar')
  const archive = join(work, 'archive.tar')
  execFileSync('tar', ['-C', work, '-cf', tree, 'big'])
  const within = async (...args: string[]) => {
    writeFileSync(`/proc/${daemon.pid}/clear_refs`, '5')
    const before = memoryOf(daemon.pid, 'VmRSS')
    const { code, stderr } = await daemon.docker(args)
    assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`)
    const more = memoryOf(daemon.pid, 'VmHWM') - before
    assert.ok(more < mostMebibytes, `docker ${args[0]} took ${more.toFixed(0)} MiB`)
  }
  await within('import', tree, 'big:1')
  await within('save', '-o', archive, 'big:1')
  assert.ok(statSync(archive).size > megabytes << 20)
  await within('rmi', 'big:1')
  await within('load', '-i', archive)
  rmSync(archive)
  await within('create', '--network', 'none', '--name', 'box', 'busybox')
  await within('cp', big, 'box:/big')
  await within('commit', 'box', 'big:2')
  await within('cp', 'box:/big', join(work, 'back'))
  assert.equal(statSync(join(work, 'back')).size, megabytes << 20)
  execFileSync('cmp', [big, join(work, 'back')])
})
