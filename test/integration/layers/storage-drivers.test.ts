/** Storage drivers under a whole daemon: which one is taken, what info says, changing it, and what outlives what. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mountLoop } from '../../fixtures/loop-file-system.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { runCommand } from '../../fixtures/processes.ts'

type Info = { Driver: string; DriverStatus: [string, string][] }

const info = async (daemon: TestDaemon) => (await daemon.api('GET', '/info')).json as Info

/** Runs a command of the docker CLI that must work; its output without the line's end. */
async function docker(daemon: TestDaemon, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args)
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

/** Ends the daemon and starts it with another storage driver. */
async function changeDriver(daemon: TestDaemon, driver: string): Promise<void> {
  await daemon.stop()
  daemon.setFlag('--storage-driver', driver)
  await daemon.start()
}

test('changing the driver starts empty, going back brings all back, and what runs runs on', async () => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  await docker(daemon, 'run', '-d', '--name', 'lasting', '-v', '/anonymous', 'busybox', 'sleep', '1000')
  await docker(daemon, 'create', '--name', 'same', '-v', 'kept:/data', 'busybox', 'true')
  await docker(daemon, 'exec', 'lasting', 'sh', '-c', 'echo written > /file; echo v > /anonymous/v')
  const address = await docker(daemon, 'exec', 'lasting', 'hostname', '-i')

  await changeDriver(daemon, 'vfs')
  assert.equal((await info(daemon)).Driver, 'vfs')
  assert.equal(await docker(daemon, 'ps', '-aq'), '')
  assert.equal(await docker(daemon, 'images', '-q'), '')
  await daemon.loadBusybox()
  assert.equal(await docker(daemon, 'run', '--name', 'same', 'busybox', 'echo', 'on vfs'), 'on vfs')
  assert.match(await docker(daemon, 'volume', 'ls', '-q'), /kept/)

  await changeDriver(daemon, 'overlay2')
  assert.equal(await docker(daemon, 'ps', '-a', '--format', '{{.Names}}'), 'same\nlasting')
  assert.equal(await docker(daemon, 'exec', 'lasting', 'cat', '/file', '/anonymous/v'), 'written\nv')
  assert.equal(await docker(daemon, 'exec', 'lasting', 'hostname', '-i'), address)
  assert.equal(await docker(daemon, 'run', '--rm', 'busybox', 'echo', 'still'), 'still')

  await changeDriver(daemon, 'vfs')
  assert.equal(await docker(daemon, 'logs', 'same'), 'on vfs')
  await daemon.stop()
  daemon.setFlag('--storage-driver', '')
  await assert.rejects(daemon.start(), /contains several valid graphdrivers: overlay2, vfs; Please cleanup/)
})

test('another data root starts empty, going back brings all back, and a copy works elsewhere', async () => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  await docker(
    daemon,
    'run',
    '--name',
    'box',
    '-v',
    'data:/data',
    '-v',
    '/own',
    'busybox',
    'sh',
    '-c',
    'echo 1 | tee /data/f /own/f > /f',
  )
  const move = async (root: string) => {
    await daemon.stop()
    daemon.setFlag('--data-root', root)
    await daemon.start()
  }
  const other = join(daemon.names.root, 'other')
  await move(other)
  assert.equal(await docker(daemon, 'ps', '-aq'), '')
  assert.equal(await docker(daemon, 'volume', 'ls', '-q'), '')
  await move(daemon.dataRoot)
  assert.equal(await docker(daemon, 'ps', '-a', '--format', '{{.Names}}'), 'box')
  await daemon.stop()
  const copy = join(daemon.names.root, 'copy')
  execFileSync('cp', ['-a', daemon.dataRoot, copy])
  rmSync(daemon.dataRoot, { recursive: true })
  await move(copy)
  assert.equal(
    await docker(daemon, 'run', '--rm', '--volumes-from', 'box', 'busybox', 'cat', '/data/f', '/own/f'),
    '1\n1',
  )
  assert.match(await docker(daemon, 'diff', 'box'), /^A \/f$/m)
  const mountpoint = '{{range .Mounts}}{{if eq .Name "data"}}{{.Source}}{{end}}{{end}}'
  assert.equal(await docker(daemon, 'inspect', '-f', mountpoint, 'box'), join(copy, 'volumes/data/_data'))
  await docker(daemon, 'rm', '-v', 'box')
  await docker(daemon, 'volume', 'rm', 'data')
})

test('a FUSE process of fuse-overlayfs outlives the daemon, and a container whose process died starts again', async () => {
  await using daemon = await startDaemon({ flags: ['--storage-driver', 'fuse-overlayfs'] })
  await daemon.loadBusybox()
  await docker(daemon, 'run', '-d', '--name', 'lasting', 'busybox', 'sleep', '1000')
  const write = 'echo before > /file; rm -r /home; mkdir /home; touch /home/new'
  await docker(daemon, 'exec', 'lasting', 'sh', '-c', write)
  await daemon.kill9()
  await daemon.start()
  assert.equal(await docker(daemon, 'exec', 'lasting', 'cat', '/file'), 'before')
  const changes = (await docker(daemon, 'diff', 'lasting')).split('\n')
  assert.deepEqual(changes.sort(), ['A /file', 'A /home/new', 'C /home'])
  const { stdout } = await runCommand('pgrep', ['-f', `fuse-overlayfs.*${daemon.dataRoot}`])
  const [pid] = stdout.trim().split('\n')
  await docker(daemon, 'kill', 'lasting')
  execFileSync('sh', ['-c', `kill -9 ${pid} 2>/dev/null || true`])
  await docker(daemon, 'start', 'lasting')
  assert.equal(await docker(daemon, 'exec', 'lasting', 'cat', '/file'), 'before')
  assert.deepEqual((await info(daemon)).DriverStatus, [['Backing Filesystem', 'extfs']])
})

test('btrfs: --storage-opt size limits a container, min_space bounds it, info is Docker’s', async () => {
  using disk = mountLoop('btrfs')
  await using daemon = await startDaemon({
    config: { 'data-root': join(disk.directory, 'data') },
    flags: ['--storage-driver', 'btrfs', '--storage-opt', 'btrfs.min_space=8m'],
  })
  await daemon.loadBusybox()
  const fill = ['dd', 'if=/dev/zero', 'of=/big', 'bs=1M', 'count=40']
  const limited = await daemon.docker(['run', '--storage-opt', 'size=16m', 'busybox', ...fill])
  assert.match(limited.stderr, /Disk quota exceeded/)
  assert.equal((await daemon.docker(['run', 'busybox', ...fill])).code, 0)
  const small = await daemon.docker(['run', '--storage-opt', 'size=1m', 'busybox', 'true'])
  assert.match(small.stderr, /btrfs: storage size cannot be less than 8.389MB/)
  const unknown = await daemon.docker(['run', '--storage-opt', 'color=red', 'busybox', 'true'])
  assert.match(unknown.stderr, /Unknown option color/)
  assert.deepEqual((await info(daemon)).DriverStatus, [['Btrfs', '']])
})
