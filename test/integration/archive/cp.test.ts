import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startDaemon } from '../../fixtures/test-daemon.ts'
import type { TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon
let work: string

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
  work = join(daemon.names.root, 'work')
  mkdirSync(work)
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

async function docker(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args)
  assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`)
  return stdout
}

async function refused(...args: string[]): Promise<string> {
  const { code, stderr } = await daemon.docker(args)
  assert.notEqual(code, 0)
  return stderr
}

test('docker cp: files and directories both ways, running or not, through links', async () => {
  await docker('run', '-d', '--network', 'none', '--name', 'cp', 'busybox', 'sleep', '1000')
  mkdirSync(join(work, 'tree/sub'), { recursive: true })
  writeFileSync(join(work, 'tree/sub/file'), 'content')
  symlinkSync('sub/file', join(work, 'tree/link'))
  await docker('cp', join(work, 'tree'), 'cp:/tmp')
  assert.equal(await docker('exec', 'cp', 'cat', '/tmp/tree/link'), 'content')
  await docker('cp', join(work, 'tree/.'), 'cp:/tmp/renamed')
  assert.equal(await docker('exec', 'cp', 'cat', '/tmp/renamed/sub/file'), 'content')
  await docker('exec', 'cp', 'ln', '-s', '/tmp/tree', '/to-tree')
  await docker('cp', 'cp:/to-tree/sub/file', join(work, 'back'))
  assert.equal(readFileSync(join(work, 'back'), 'utf8'), 'content')
  await docker('cp', 'cp:/to-tree', join(work, 'as-link'))
  assert.equal(readlinkSync(join(work, 'as-link')), '/tmp/tree')
  await docker('cp', '-L', 'cp:/to-tree', join(work, 'followed'))
  assert.equal(readFileSync(join(work, 'followed/sub/file'), 'utf8'), 'content')
  await docker('stop', '-t', '0', 'cp')
  await docker('cp', 'cp:/tmp/tree/sub/.', join(work, 'stopped'))
  assert.equal(readFileSync(join(work, 'stopped/file'), 'utf8'), 'content')
  assert.match(await refused('cp', 'cp:/nope', work), /Could not find the file \/nope in container cp/)
})

test('wharf cp: what cannot be copied is refused in the words of docker cp', async () => {
  await docker('create', '--name', 'refusing', 'busybox')
  symlinkSync('far', join(work, 'near'))
  symlinkSync('gone', join(work, 'far'))
  writeFileSync(join(work, 'plain'), '')
  symlinkSync('plain', join(work, 'to-plain'))
  const lines = [
    ['-L', 'absent:/x', work],
    ['-L', 'refusing:/absent', work],
    ['-L', join(work, 'near'), 'refusing:/'],
    [`${join(work, 'to-plain')}/`, 'refusing:/'],
    [`${join(work, 'plain')}/`, 'refusing:/'],
  ]
  for (const line of lines) {
    const { code, stderr } = await daemon.wharf(['cp', ...line])
    assert.deepEqual({ line, code, stderr }, { line, code: 1, stderr: await refused('cp', ...line) })
  }
})

test('docker cp and export are told of as events', async () => {
  await docker('create', '--name', 'told', 'busybox')
  writeFileSync(join(work, 'new'), 'x')
  await docker('cp', 'told:/etc/passwd', join(work, 'passwd'))
  await docker('cp', join(work, 'new'), 'told:/tmp')
  await docker('export', '-o', join(daemon.names.root, 'told.tar'), 'told')
  const format = ['--format', '{{.Action}}']
  // A duration counts back in whole seconds: minus one is past all that happened.
  const events = await docker('events', '--since', '1h', '--until', '-1s', '-f', 'container=told', ...format)
  assert.deepEqual(events.trim().split('\n'), ['create', 'archive-path', 'extract-to-dir', 'export'])
})

test('docker cp: tar streams on stdin and stdout, into volumes, not into what is read-only', async () => {
  const flags = ['--network', 'none', '--read-only', '-v', 'data:/data', '-v', 'data:/frozen:ro']
  await docker('run', '-d', '--name', 'volumes', ...flags, 'busybox', 'sleep', '1000')
  const archive = execFileSync('tar', ['-C', work, '-cf', '-', '.'])
  const put = await daemon.docker(['cp', '-', 'volumes:/data'], { input: archive })
  assert.equal(put.code, 0, put.stderr)
  assert.equal(await docker('exec', 'volumes', 'cat', '/data/tree/sub/file'), 'content')
  const listed = await daemon.docker(['cp', 'volumes:/data/tree', '-'])
  assert.match(listed.stdout, /tree\/sub\/file/)
  assert.match(
    await refused('cp', join(work, 'back'), 'volumes:/etc/'),
    /container rootfs is marked read-only/,
  )
  assert.match(
    await refused('cp', join(work, 'back'), 'volumes:/frozen/'),
    /mounted volume is marked read-only/,
  )
})

test('docker export: the whole tree without volumes, as import and tar take it', async () => {
  const archive = join(work, 'export.tar')
  await docker('export', '-o', archive, 'volumes')
  const names = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }).split('\n')
  assert.ok(names.includes('bin/busybox') && names.includes('data/'))
  assert.ok(!names.some((name) => name.startsWith('data/tree')))
})
