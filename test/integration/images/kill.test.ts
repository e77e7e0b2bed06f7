import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { busyboxImage, imageArchive } from '../../../tools/images/busybox.ts'
import { inTree, newContainerId, openTestRoom, type TestRoom } from './image-room.ts'

const rounds = 8

/** Everything on disk is named by a row, and everything that a row names is there. */
function checkStore({ room, root }: TestRoom): void {
  const layers = join(root, 'layers/overlay2')
  const directories = new Set(readdirSync(join(layers, 'layers')).filter((name) => name !== '.none'))
  assert.deepEqual(directories, new Set(room.layers.all().map((layer) => layer.directory)))
  assert.deepEqual(readdirSync(join(layers, 'drafts')), [])
  assert.deepEqual(readdirSync(join(root, 'content/ingest')), [])
  assert.deepEqual(readdirSync(join(root, 'trash')), [])
  const images = room.images.all()
  const needed = images.flatMap((image) => [
    image.id,
    image.manifest.digest,
    ...image.layers.map(({ blob }) => blob.digest),
  ])
  const blobs = readdirSync(join(root, 'content/sha256')).map((name) => `sha256:${name}`)
  assert.deepEqual(new Set(blobs), new Set(needed))
  for (const image of images) for (const layer of image.layers) assert.ok(room.layers.get(layer.chainId))
}

test('loads, imports, removals and prunes killed at any instant leave nothing broken and nothing behind', async (t) => {
  const test = await openTestRoom(t)
  const archive = join(test.root, 'busybox.tar')
  writeFileSync(archive, await imageArchive([await busyboxImage()]))
  const script = new URL('./load-child.ts', import.meta.url).pathname
  let seed = Number(process.env['WHARF_SEED'] ?? Date.now() % 100_000)
  t.diagnostic(`WHARF_SEED=${seed}`)
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 2 ** 32
  for (let round = 0; round < rounds; round++) {
    await test.close()
    const child = spawn(process.execPath, [script, test.root, archive], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    assert.equal((await lines.next()).value, 'ready')
    // The instant to die at is random, within one turn of all.
    setTimeout(() => child.kill('SIGKILL'), random() * 700)
    await exited
    await test.reopen()
    await test.room.idle()
    checkStore(test)
  }
  // And the store still works.
  await test.load(await imageArchive([await busyboxImage()]))
  const id = newContainerId()
  await test.room.rootfs.prepare(id, test.room.images.resolve('busybox').topLayer, {})
  assert.equal(inTree(await test.room.rootfs.mount(id, { volatile: true }), 'echo whole'), 'whole\n')
  await test.room.rootfs.remove(id)
  assert.ok(!existsSync(join(test.root, 'layers/overlay2/writable', id)))
})

test('loads, tags and removals of the same image side by side never break it', async (t) => {
  const test = await openTestRoom(t)
  const archive = await imageArchive([await busyboxImage()])
  await test.load(archive)
  const work = Array.from({ length: 12 }, async (_, index) => {
    if (index % 3 === 0) {
      await test.room.service.remove('busybox', { force: true, noPrune: false }).catch((error: Error) => {
        assert.match(error.message, /No such image/)
      })
    } else await test.load(archive)
  })
  await Promise.all(work)
  await test.load(archive)
  await test.room.idle()
  checkStore(test)
  const id = newContainerId()
  await test.room.rootfs.prepare(id, test.room.images.resolve('busybox').topLayer, {})
  assert.equal(inTree(await test.room.rootfs.mount(id, { volatile: true }), 'echo whole'), 'whole\n')
  await test.room.rootfs.remove(id)
})
