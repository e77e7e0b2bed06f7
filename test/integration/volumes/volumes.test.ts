import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  chownSync,
  linkSync,
  lstatSync,
  readlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { HostConfig } from '../../../src/spec/container-config.ts'
import { containerId } from '../../../src/spec/ids.ts'
import { VolumeCreate } from '../../../src/spec/volume-types.ts'
import { copyTree } from '../../../src/kernel/copy-tree.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Database } from '../../../src/store/database.ts'
import { ContainerMountService } from '../../../src/volumes/container-mounts.ts'
import { LocalVolumeDriver } from '../../../src/volumes/local-driver.ts'
import { VolumeDrivers } from '../../../src/volumes/volume-drivers.ts'
import { VolumeService } from '../../../src/volumes/volume-service.ts'

/** No test here mounts images. */
const noImages = {
  prepare: async () => {},
  mount: async () => '',
  unmount: async () => {},
  remove: async () => {},
  list: async () => [],
}

/** Volumes on a directory of their own, and a root file system with something to copy. */
class Fixture implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'wharf-volumes-'))
  readonly rootfs = join(this.directory, 'rootfs')
  readonly database = new Database(join(this.directory, 'db'))
  readonly events: string[] = []
  readonly driver = new LocalVolumeDriver(join(this.directory, 'volumes'))
  readonly service = this.open()
  readonly mounts = new ContainerMountService({
    volumes: this.service,
    images: noImages,
    events: this,
    copy: async (source, target) => copyTree(source, target, { check: () => {} }),
    runDirectory: join(this.directory, 'run'),
    dataRoot: this.directory,
  })

  constructor() {
    mkdirSync(join(this.rootfs, 'data'), { recursive: true })
    mkdirSync(join(this.directory, 'volumes'))
  }

  open(): VolumeService {
    return new VolumeService({
      database: this.database,
      drivers: new VolumeDrivers([this.driver]),
      events: this,
      clock: systemClock,
      log: silentLog,
    })
  }

  emit(event: { action: string; id: string }): void {
    this.events.push(`${event.action} ${event.id}`)
  }

  async prepare(id: ReturnType<typeof newId>, host: object, volumes: string[] = []) {
    return this.mounts.prepare({ id, hostConfig: HostConfig.parse(host), volumes, volumesFrom: [] })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { name } of await this.driver.list()) await this.driver.remove(name)
    this.database[Symbol.dispose]()
    execFileSync('sh', [
      '-c',
      `for m in $(grep -o '${this.directory}[^ ]*' /proc/mounts | sort -r); do umount -l $m; done`,
    ])
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Node has no calls for extended attributes. */
const python = (code: string, argument: string) =>
  execFileSync('python3', ['-c', `import os, sys; ${code}`, argument], { encoding: 'utf8' }).trim()
const newId = () => containerId(randomBytes(32).toString('hex'))
const none = new Map<string, string[]>()

test('a named volume keeps its data from one container to the next', async () => {
  await using fixture = new Fixture()
  const [first, second] = [newId(), newId()]
  const a = await fixture.prepare(first, { Binds: ['store:/data'] })
  const [resolved] = await fixture.mounts.activate(first, a.mounts, fixture.rootfs)
  assert.deepEqual(resolved?.options, ['rbind'])
  writeFileSync(join(resolved?.source ?? '', 'kept'), 'yes')
  await fixture.mounts.deactivate(first, a.mounts)
  await fixture.mounts.release(first, a.mounts, true)
  const b = await fixture.prepare(second, { Binds: ['store:/elsewhere:ro'] })
  const [again] = await fixture.mounts.activate(second, b.mounts, fixture.rootfs)
  assert.equal(readFileSync(join(again!.source, 'kept'), 'utf8'), 'yes')
  assert.deepEqual(again?.options, ['rbind', 'rro', 'ro'])
  assert.equal(again?.point.Mode, 'ro')
})

test('image content goes into an empty volume once, with owners, links, modes and attributes', async () => {
  await using fixture = new Fixture()
  const data = join(fixture.rootfs, 'data')
  mkdirSync(join(data, 'sub'), { mode: 0o2770 })
  writeFileSync(join(data, 'sub/file'), 'content', { mode: 0o640 })
  chownSync(join(data, 'sub/file'), 123, 456)
  linkSync(join(data, 'sub/file'), join(data, 'hard'))
  symlinkSync('/etc/shadow', join(data, 'soft'))
  execFileSync('mkfifo', [join(data, 'pipe')])
  const odd = Buffer.from([0x6f, 0xff, 0x64])
  writeFileSync(Buffer.concat([Buffer.from(`${data}/`), odd]), 'bytes')
  python("os.setxattr(sys.argv[1], 'user.color', b'blue')", join(data, 'sub/file'))
  chownSync(data, 33, 33)
  const id = newId()
  const { mounts } = await fixture.prepare(id, { Binds: ['vol:/data'] })
  const [resolved] = await fixture.mounts.activate(id, mounts, fixture.rootfs)
  const at = (name: string) => join(resolved!.source, name)
  const file = statSync(at('sub/file'))
  assert.deepEqual([file.uid, file.gid, file.mode & 0o7777], [123, 456, 0o640])
  assert.equal(statSync(at('hard')).ino, file.ino)
  assert.equal(readlinkSync(at('soft')), '/etc/shadow')
  assert.ok(lstatSync(at('pipe')).isFIFO())
  const oddPath = Buffer.concat([Buffer.from(`${resolved!.source}/`), odd])
  assert.equal(readFileSync(oddPath, 'utf8'), 'bytes')
  rmSync(oddPath)
  assert.equal(statSync(resolved!.source).uid, 33)
  assert.equal(python("print(os.getxattr(sys.argv[1], 'user.color').decode())", at('sub/file')), 'blue')
  rmSync(at('sub'), { recursive: true })
  for (const name of ['hard', 'soft', 'pipe']) rmSync(at(name))
  await fixture.mounts.activate(id, mounts, fixture.rootfs)
  assert.ok(!existsSync(at('sub')), 'a volume emptied by its user stays empty')
})

test('nothing is copied with nocopy, into a volume with content, or through a link out of the root', async () => {
  await using fixture = new Fixture()
  writeFileSync(join(fixture.rootfs, 'data/file'), 'image')
  symlinkSync('/etc', join(fixture.rootfs, 'evil'))
  const id = newId()
  const { mounts } = await fixture.prepare(id, { Binds: ['va:/data:nocopy', 'vb:/evil'] })
  const [a, b] = await fixture.mounts.activate(id, mounts, fixture.rootfs)
  assert.ok(!existsSync(join(a!.source, 'file')))
  assert.ok(!existsSync(join(b!.source, 'passwd')))
  const other = newId()
  writeFileSync(join(a!.source, 'own'), '')
  const second = await fixture.prepare(other, { Binds: ['va:/data'] })
  await fixture.mounts.activate(other, second.mounts, fixture.rootfs)
  assert.ok(!existsSync(join(a!.source, 'file')))
})

test('an anonymous volume goes with its container, a named one stays', async () => {
  await using fixture = new Fixture()
  const id = newId()
  const { mounts } = await fixture.prepare(id, { Binds: ['named:/n'] }, ['/anonymous', '/n'])
  assert.deepEqual(
    mounts.map((each) => each.anonymous),
    [false, true],
  )
  assert.equal((await fixture.service.list(none)).volumes.length, 2)
  await fixture.mounts.release(id, mounts, true)
  assert.deepEqual(
    (await fixture.service.list(none)).volumes.map((volume) => volume.Name),
    ['named'],
  )
})

test('without -v an anonymous volume outlives its container and is pruned', async () => {
  await using fixture = new Fixture()
  const id = newId()
  const { mounts } = await fixture.prepare(id, { Binds: ['named:/n'] }, ['/anonymous'])
  await fixture.mounts.release(id, mounts, false)
  const { VolumesDeleted } = await fixture.service.prune(none)
  assert.deepEqual(VolumesDeleted, [mounts[1]?.point.Name])
  assert.deepEqual((await fixture.service.prune(new Map([['all', ['true']]]))).VolumesDeleted, ['named'])
})

test('a volume in use is not removed, also after a restart of the daemon', async () => {
  await using fixture = new Fixture()
  const id = newId()
  const { mounts } = await fixture.prepare(id, { Binds: ['v0:/x'] })
  const reopened = fixture.open()
  await assert.rejects(reopened.remove('v0', true), {
    kind: 'conflict',
    message: `remove v0: volume is in use - [${id}]`,
  })
  assert.equal((await reopened.list(new Map([['dangling', ['true']]]))).volumes.length, 0)
  await fixture.mounts.release(id, mounts, false)
  await reopened.remove('v0', false)
  assert.ok(!existsSync(join(fixture.directory, 'volumes/v0')))
  await assert.rejects(reopened.remove('v0', false), { kind: 'notFound', message: 'get v0: no such volume' })
  await reopened.remove('v0', true)
})

test('a failed create leaves no volume and no hold behind', async () => {
  await using fixture = new Fixture()
  await fixture.service.create(VolumeCreate.parse({ Name: 'old' }))
  await assert.rejects(fixture.prepare(newId(), { Binds: ['old:/a', 'new:/b', 'b@d:/c'] }), {
    kind: 'invalid',
    message:
      /^create b@d: "b@d" includes invalid characters for a local volume name, only "\[a-zA-Z0-9\]\[a-zA-Z0-9_.-\]" are allowed/,
  })
  assert.deepEqual(
    (await fixture.service.list(new Map([['dangling', ['1']]]))).volumes.map((volume) => volume.Name),
    ['old'],
  )
})

test('sweep drops the holds of containers that are gone and data without a row', async () => {
  await using fixture = new Fixture()
  const [gone, there] = [newId(), newId()]
  await fixture.prepare(gone, { Binds: ['v1:/x'] }, ['/anonymous'])
  await fixture.prepare(there, { Binds: ['v1:/x'] })
  mkdirSync(join(fixture.directory, 'volumes/orphan/_data'), { recursive: true })
  await fixture.service.sweep(new Set([there]))
  assert.ok(!existsSync(join(fixture.directory, 'volumes/orphan')))
  assert.deepEqual(
    (await fixture.service.usage(async (places) => places.map(() => 0))).map(({ Name, UsageData }) => [
      Name,
      UsageData?.RefCount,
    ]),
    [['v1', 1]],
  )
})

test('what a daemon that died had not finished is gone once the next one looks', async () => {
  await using fixture = new Fixture()
  await fixture.service.create(VolumeCreate.parse({ Name: 'whole' }))
  const half = join(fixture.directory, 'volumes/.draft-0123456789abcdef/_data')
  mkdirSync(half, { recursive: true })
  writeFileSync(join(half, 'file'), 'x')
  const next = new LocalVolumeDriver(join(fixture.directory, 'volumes'))
  assert.deepEqual(
    (await next.list()).map(({ name }) => name),
    ['whole'],
  )
  assert.ok(!existsSync(half))
})

test('a subpath is bound by what it is, and cannot lead out of the volume', async () => {
  await using fixture = new Fixture()
  const volume = await fixture.service.create(VolumeCreate.parse({ Name: 'sp' }))
  mkdirSync(join(volume.Mountpoint, 'in/side'), { recursive: true })
  writeFileSync(join(volume.Mountpoint, 'in/side/f'), 'x')
  symlinkSync('/etc', join(volume.Mountpoint, 'out'))
  const mountOf = (Subpath: string) => ({
    Mounts: [{ Type: 'volume', Source: 'sp', Target: '/t', VolumeOptions: { Subpath } }],
  })
  const id = newId()
  const { mounts } = await fixture.prepare(id, mountOf('in/side'))
  const [resolved] = await fixture.mounts.activate(id, mounts, fixture.rootfs)
  assert.equal(readFileSync(join(resolved!.source, 'f'), 'utf8'), 'x')
  assert.equal(statSync(dirname(resolved!.source)).mode & 0o777, 0o700, 'nobody else comes through')
  await fixture.mounts.deactivate(id, mounts)
  assert.ok(!existsSync(resolved!.source))
  for (const path of ['out', 'missing']) {
    const bad = newId()
    const prepared = await fixture.prepare(bad, mountOf(path))
    await assert.rejects(fixture.mounts.activate(bad, prepared.mounts, fixture.rootfs), /cannot access path/)
  }
})

test('a tmpfs volume is mounted while a container uses it', async () => {
  await using fixture = new Fixture()
  await fixture.service.create(
    VolumeCreate.parse({ Name: 'mem', DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=7' } }),
  )
  const id = newId()
  const { mounts } = await fixture.prepare(id, { Binds: ['mem:/m'] })
  const [resolved] = await fixture.mounts.activate(id, mounts, fixture.rootfs)
  assert.match(
    readFileSync('/proc/mounts', 'utf8'),
    new RegExp(`tmpfs ${resolved!.source} tmpfs .*size=1024k.*uid=7`),
  )
  await fixture.mounts.deactivate(id, mounts)
  assert.ok(!readFileSync('/proc/mounts', 'utf8').includes(resolved!.source))
})

test('options of the local driver are checked as Docker does', async () => {
  await using fixture = new Fixture()
  const attempt = async (DriverOpts: object, Driver = '') =>
    fixture.service.create(VolumeCreate.parse({ Name: 'vv', Driver, DriverOpts }))
  await assert.rejects(attempt({ x: '1' }), { message: 'create vv: invalid option: "x"' })
  await assert.rejects(attempt({ type: 'tmpfs' }), {
    message: 'create vv: missing required option: "device"',
  })
  await assert.rejects(attempt({}, 'nope'), {
    kind: 'notFound',
    message: 'create vv: error looking up volume plugin nope: plugin "nope" not found',
  })
  await assert.rejects(fixture.service.create(VolumeCreate.parse({ Name: 'x' })), /volume name is too short/)
  await assert.rejects(() => fixture.service.list(new Map([['color', ['red']]])), {
    kind: 'invalid',
    message: "invalid filter 'color'",
  })
})

test('binds: sources are made for -v, refused for --mount, duplicates refused', async () => {
  await using fixture = new Fixture()
  const missing = join(fixture.directory, 'not/there')
  await assert.rejects(
    fixture.prepare(newId(), { Mounts: [{ Type: 'bind', Source: missing, Target: '/x' }] }),
    {
      message: `invalid mount config for type "bind": bind source path does not exist: ${missing}`,
    },
  )
  await assert.rejects(fixture.prepare(newId(), { Binds: ['/tmp:/x', 'v:/x/'] }), {
    message: 'Duplicate mount point: /x',
  })
  await assert.rejects(fixture.prepare(newId(), { Binds: ['/tmp:/x'], Tmpfs: { '/x': '' } }), {
    message: 'Duplicate mount point: /x',
  })
  const id = newId()
  const { mounts } = await fixture.prepare(id, { Binds: [`${missing}:/x:ro`] })
  const [resolved] = await fixture.mounts.activate(id, mounts, fixture.rootfs)
  assert.ok(statSync(missing).isDirectory())
  assert.deepEqual(resolved?.options, ['rbind', 'rprivate', 'rro', 'ro'])
  assert.deepEqual(resolved?.point, {
    Type: 'bind',
    Source: missing,
    Destination: '/x',
    Mode: 'ro',
    RW: false,
    Propagation: 'rprivate',
  })
})

test('volumes-from shares volumes, read-only where asked, and holds them', async () => {
  await using fixture = new Fixture()
  const [first, second] = [newId(), newId()]
  const { mounts } = await fixture.prepare(first, { Binds: ['shared:/s', '/tmp:/t'] })
  const taken = await fixture.mounts.prepare({
    id: second,
    hostConfig: HostConfig.parse({ Binds: ['/usr:/t'] }),
    volumes: [],
    volumesFrom: [{ mounts: mounts.map((each) => each.point), mode: 'ro' }],
  })
  assert.deepEqual(
    taken.mounts.map(({ point }) => [point.Source.split('/').at(-1), point.Destination, point.RW]),
    [
      ['_data', '/s', false],
      ['usr', '/t', true],
    ],
  )
  await fixture.mounts.release(first, mounts, true)
  await assert.rejects(fixture.service.remove('shared', false), { kind: 'conflict' })
  await taken.undo()
  await fixture.service.remove('shared', false)
})
