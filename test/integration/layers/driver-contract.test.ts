/** What every storage driver must do, through the stores that stand on it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { targetReference } from '../../../src/images/image-service.ts'
import { ContainerConfig } from '../../../src/spec/container-config.ts'
import { tarHeader } from '../../../src/lib/tar-format.ts'
import { busyboxImage, imageArchive, tarOf } from '../../../tools/images/busybox.ts'
import { mountLoop } from '../../fixtures/loop-file-system.ts'
import { inTree, newContainerId, openTestRoom, type TestRoom } from '../images/image-room.ts'

const busybox = await busyboxImage()
const second = await tarOf([
  {
    header: tarHeader({ name: 'etc/added', type: 'file', size: 1, mode: 0o640 }),
    content: [Buffer.from('x')],
  },
  { header: tarHeader({ name: 'var/.wh.www', type: 'file' }) },
  { header: tarHeader({ name: 'root/', type: 'directory', mode: 0o750 }) },
  { header: tarHeader({ name: 'root/.wh..wh..opq', type: 'file' }) },
])
const archive = await imageArchive([{ ...busybox, layers: [...busybox.layers, second], names: ['two:1'] }])

const btrfs = mountLoop('btrfs')
after(() => btrfs[Symbol.dispose]())

async function start({ room }: TestRoom) {
  const id = newContainerId()
  await room.rootfs.prepare(id, room.images.resolve('two:1').topLayer, {})
  return { id, tree: await room.rootfs.mount(id, { volatile: false }) }
}

for (const storageDriver of ['overlay2', 'overlay', 'fuse-overlayfs', 'btrfs', 'vfs']) {
  const where = { storageDriver, ...(storageDriver === 'btrfs' && { parent: btrfs.directory }) }
  const open = async (t: TestContext) => {
    const test = await openTestRoom(t, where)
    await test.load(archive)
    return test
  }
  test(`${storageDriver}: a container sees all layers and the init layer`, async (t) => {
    const test = await open(t)
    const { id, tree } = await start(test)
    assert.equal(test.room.rootfs.driverName, storageDriver)
    assert.ok(existsSync(join(tree, 'etc/added')) && !existsSync(join(tree, 'var/www')))
    assert.equal(statSync(join(tree, 'root')).mode & 0o7777, 0o750)
    assert.equal(statSync(join(tree, 'tmp')).mode & 0o7777, 0o1777)
    assert.equal(readFileSync(join(tree, 'etc/hostname'), 'utf8'), '')
    assert.ok(existsSync(join(tree, '.dockerenv')))
    assert.deepEqual(await test.room.rootfs.changes(id), [])
    assert.equal((await test.room.rootfs.usage(id)).writableBytes, 0)
  })

  test(`${storageDriver}: containers of one image do not see each other's changes, which stay over a restart`, async (t) => {
    const test = await open(t)
    const one = await start(test)
    const two = await start(test)
    inTree(one.tree, 'echo one > /etc/added; rm -r /home')
    assert.equal(readFileSync(join(two.tree, 'etc/added'), 'utf8'), 'x')
    await test.room.rootfs.unmount(one.id)
    await test.reopen()
    const tree = await test.room.rootfs.mount(one.id, { volatile: false })
    assert.equal(readFileSync(join(tree, 'etc/added'), 'utf8'), 'one\n')
    assert.equal(await test.room.rootfs.mount(one.id, { volatile: false }), tree)
    assert.deepEqual(
      (await test.room.rootfs.changes(one.id)).map(({ Kind, Path }) => `${'CAD'[Kind]} ${Path}`),
      ['C /etc', 'C /etc/added', 'D /home'],
    )
    assert.equal((await test.room.rootfs.usage(one.id)).writableBytes, 4)
    assert.deepEqual((await test.room.rootfs.list()).sort(), [one.id, two.id].sort())
  })

  test(`${storageDriver}: what is thrown away in the end can be mounted again before, with all that was written`, async (t) => {
    const test = await open(t)
    const { rootfs, images } = test.room
    const id = newContainerId()
    await rootfs.prepare(id, images.resolve('two:1').topLayer, {})
    inTree(await rootfs.mount(id, { volatile: true }), 'echo kept > /etc/added')
    await rootfs.unmount(id)
    assert.equal(inTree(await rootfs.mount(id, { volatile: true }), 'cat /etc/added'), 'kept\n')
    await rootfs.unmount(id)
    assert.equal(inTree(await rootfs.mount(id, { volatile: false }), 'cat /etc/added'), 'kept\n')
  })

  test(`${storageDriver}: a commit carries what was added, changed and removed`, async (t) => {
    const test = await open(t)
    const { id, tree } = await start(test)
    inTree(
      tree,
      'mkdir -m 700 /data; echo a > /data/a; ln /data/a /data/b; rm /etc/added; rm -r /var/spool; mkdir /var/spool; touch /var/spool/new',
    )
    const request = {
      containerId: id,
      imageId: test.room.images.resolve('two:1').id,
      containerConfig: ContainerConfig.parse({}),
      config: undefined,
      changes: [],
      comment: '',
      author: '',
      reference: targetReference('made', ''),
    }
    await test.room.service.commit(request, AbortSignal.timeout(60_000))
    const made = newContainerId()
    await test.room.rootfs.prepare(made, test.room.images.resolve('made').topLayer, {})
    const result = await test.room.rootfs.mount(made, { volatile: true })
    assert.equal(
      inTree(
        result,
        'stat -c %a /data; stat -c "%a %h" /data/a; ls /var/spool; ls /etc/added 2>/dev/null || echo gone',
      ),
      '700\n644 2\nnew\ngone\n',
    )
  })

  test(`${storageDriver}: removal is at once and leaves nothing`, async (t) => {
    const test = await open(t)
    const { id } = await start(test)
    await test.room.rootfs.remove(id)
    await test.room.rootfs.remove(id)
    await assert.rejects(test.room.rootfs.mount(id, { volatile: false }))
    await test.room.service.remove('two:1', { force: false, noPrune: false })
    await test.room.idle()
    for (const directory of ['trash', `layers/${storageDriver}/drafts`, `layers/${storageDriver}/writable`]) {
      assert.deepEqual(readdirSync(join(test.root, directory)), [])
    }
    assert.deepEqual(readdirSync(join(test.root, 'layers', storageDriver, 'layers')), ['.none'])
  })

  test(`${storageDriver}: an image without layers is an empty tree with the init layer`, async (t) => {
    const test = await openTestRoom(t, where)
    await test.load(
      await imageArchive([{ config: { architecture: 'amd64', os: 'linux' }, layers: [], names: ['none:1'] }]),
    )
    const id = newContainerId()
    await test.room.rootfs.prepare(id, test.room.images.resolve('none:1').topLayer, {})
    const tree = await test.room.rootfs.mount(id, { volatile: true })
    assert.deepEqual(readdirSync(tree).sort(), ['.dockerenv', 'dev', 'etc', 'proc', 'sys'])
  })
}

test('a driver or an option that cannot be had is refused with the reason', async (t) => {
  const reasons: [string, RegExp][] = [
    ['zfs', /driver not supported: zfs: the kernel has/],
    ['aufs', /driver not supported: aufs: the kernel has/],
    ['devicemapper', /driver not supported: devicemapper: /],
    ['btrfs', /driver not supported: btrfs: .* is on [a-z]+, not on btrfs/],
    ['windowsfilter', /driver not supported: windowsfilter$/],
  ]
  for (const [storageDriver, reason] of reasons)
    await assert.rejects(openTestRoom(t, { storageDriver }), reason)
  const options: [string, RegExp][] = [
    ['overlay2.size=1G', /overlay2.size only supported for backingFS XFS/],
    ['dm.fs=xfs', /overlay2: unknown option dm.fs/],
    ['lonely', /unable to parse storage-opt value lonely/],
  ]
  for (const [option, reason] of options)
    await assert.rejects(openTestRoom(t, { storageDriver: 'overlay2', storageOptions: [option] }), reason)
  const { room } = await openTestRoom(t, { storageOptions: ['overlay2.override_kernel_check=true'] })
  assert.equal(room.rootfs.driverName, 'overlay2')
  await assert.rejects(
    room.rootfs.prepare(newContainerId(), undefined, { size: '1G' }),
    /only for overlay over xfs/,
  )
})

test('the driver that a root holds layers of is taken again, and each keeps its own', async (t) => {
  const test = await openTestRoom(t, { storageDriver: 'vfs' })
  await test.load(archive)
  await test.reopen({ storageDriver: '' })
  assert.equal(test.room.rootfs.driverName, 'vfs')
  await test.reopen({ storageDriver: 'overlayfs' })
  assert.equal(test.room.rootfs.driverName, 'overlay2')
  assert.deepEqual(test.room.images.all(), [])
  await test.reopen({ storageDriver: 'vfs' })
  const { tree } = await start(test)
  assert.ok(existsSync(join(tree, 'etc/added')))
})
