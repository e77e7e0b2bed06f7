import assert from 'node:assert/strict'
import { readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { busyboxImage, imageArchive } from '../../../tools/images/busybox.ts'
import { inTree, newContainerId, openTestRoom } from './image-room.ts'

const archive = await imageArchive([await busyboxImage()])

test('the archive of busybox is the same every time', async () => {
  assert.ok((await imageArchive([await busyboxImage()])).equals(archive))
})

test('busybox loads, mounts and runs', async (t) => {
  const { load, room, events } = await openTestRoom(t)
  assert.deepEqual(await load(archive), [{ stream: 'Loaded image: busybox:latest\n' }])
  const image = room.images.resolve('busybox')
  assert.equal(image.reference, 'busybox:latest')
  assert.deepEqual(image.config.Cmd, ['sh'])
  assert.deepEqual(room.images.namesOf(image.id), ['busybox:latest'])
  assert.deepEqual(
    events.map(({ action, id }) => [action, id]),
    [['load', image.id]],
  )
  const id = newContainerId()
  await room.rootfs.prepare(id, image.topLayer, {})
  const root = await room.rootfs.mount(id, { volatile: false })
  assert.equal(inTree(root, 'echo hello > /tmp/x; cat /tmp/x; stat -c %a /tmp'), 'hello\n1777\n')
  assert.equal(readlinkSync(join(root, 'etc/mtab')), '/proc/mounts')
  assert.ok(statSync(join(root, '.dockerenv')).isFile())
  assert.deepEqual(await room.rootfs.changes(id), [
    { Path: '/tmp', Kind: 0 },
    { Path: '/tmp/x', Kind: 1 },
  ])
  assert.equal((await room.rootfs.usage(id)).writableBytes, 6)
  await room.rootfs.unmount(id)
  await room.rootfs.remove(id)
  assert.deepEqual(await room.rootfs.list(), [])
})

test('what was loaded is there after a restart', async (t) => {
  const test = await openTestRoom(t)
  await test.load(archive)
  const before = test.room.images.resolve('busybox')
  const id = newContainerId()
  await test.room.rootfs.prepare(id, before.topLayer, {})
  await test.reopen()
  assert.deepEqual(test.room.images.resolve('busybox'), before)
  const root = await test.room.rootfs.mount(id, { volatile: true })
  assert.match(readFileSync(join(root, 'etc/passwd'), 'utf8'), /^root:x:0:0:/)
  await test.room.rootfs.remove(id)
})

for (const [name, compress] of Object.entries({ gzip: gzipSync, zstd: zstdCompressSync })) {
  test(`an archive compressed with ${name} loads`, async (t) => {
    const { load, room } = await openTestRoom(t)
    await load(compress(archive))
    assert.equal(room.images.all().length, 1)
  })
}

test('loading twice changes nothing', async (t) => {
  const { load, room } = await openTestRoom(t)
  await load(archive)
  const layers = room.layers.all()
  await Promise.all([load(archive), load(archive)])
  assert.deepEqual(room.layers.all(), layers)
  assert.equal(room.images.all().length, 1)
})
