/** A disk without room: the operation fails, what was there stays, nothing of it is left behind. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { unmount } from '../../../src/kernel/mount.ts'
import { tarHeader } from '../../../src/lib/tar-format.ts'
import { busyboxImage, imageArchive, tarOf } from '../../../tools/images/busybox.ts'
import { chunks, openTestRoom } from './image-room.ts'

const megabyte = 1 << 20

test('a full disk fails that load and import alone, and leaves the store sound', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'wharf-full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', parent])
  try {
    const opened = await openTestRoom(t, { parent })
    await opened.load(await imageArchive([await busyboxImage()]))
    const ids = () => opened.room.images.all().map((image) => image.id)
    const before = ids()
    // Each fits by itself as an archive; unpacked beside its blob it does not.
    const large = await tarOf([
      {
        header: tarHeader({ name: 'large', type: 'file', size: 12 * megabyte }),
        content: [randomBytes(12 * megabyte)],
      },
    ])
    const archive = await imageArchive([
      { config: { os: 'linux', architecture: 'amd64' }, layers: [large], names: ['large:v1'] },
    ])
    await assert.rejects(opened.load(archive), /no space left on device/)
    const request = { repository: 'large', tag: 'v2', message: '', source: '-', changes: [], platform: '' }
    await assert.rejects(
      opened.room.service.import(chunks(large), request, () => {}, AbortSignal.timeout(60_000)),
      /no space left on device/,
    )
    assert.deepEqual(ids(), before)
    assert.deepEqual(readdirSync(join(opened.root, 'content/ingest')), [])
    await opened.room.idle()
    await opened.reopen()
    assert.deepEqual(ids(), before)
    // The room that the failures took is free again.
    const small = await tarOf([
      {
        header: tarHeader({ name: 'small', type: 'file', size: 4 * megabyte }),
        content: [randomBytes(4 * megabyte)],
      },
    ])
    await opened.load(
      await imageArchive([
        { config: { os: 'linux', architecture: 'amd64' }, layers: [small], names: ['small:v1'] },
      ]),
    )
    assert.equal(ids().length, before.length + 1)
    await opened.close()
  } finally {
    unmount(parent, { detached: true })
    rmSync(parent, { recursive: true, force: true })
  }
})
