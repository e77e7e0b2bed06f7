/**
 * The power goes between two operations: what was acknowledged is on the disk, although nothing was synced that nobody
 * asked to sync. The disk is a file system in a file; a copy of the file is what the disk would have.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskImage } from '../../fixtures/disk-image.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'
import { expectedAfter, faultsOf, operations, present } from './store-model.ts'

test('what was acknowledged survives a power cut after any operation', async (t) => {
  using disk = DiskImage.create(160)
  await using daemon = await startDaemon({ dataRoot: disk.path })
  await daemon.loadBusybox()
  const steps = await operations()
  const paths = [...new Set(steps.flatMap(({ makes }) => makes))]
  for (const [index, step] of steps.entries()) {
    await step.run(daemon)
    await t.test(`power cut after ${step.name}`, async () => {
      using left = disk.cut()
      await using next = await startDaemon({ dataRoot: left.path })
      const expected = expectedAfter(steps.slice(0, index + 1))
      assert.deepEqual(await present(next, paths), expected)
      assert.deepEqual(await faultsOf(next), [])
      for (const name of ['box', 'crate']) {
        if (!expected.has(`/containers/${name}/json`)) continue
        const { status, body } = await next.api('POST', `/containers/${name}/start`)
        assert.equal(status, 204, body)
        await next.api('POST', `/containers/${name}/wait`)
        const { body: log } = await next.api('GET', `/containers/${name}/logs?stdout=1&stderr=1`)
        assert.equal(log, '')
      }
      for (const [image, key] of [
        ['other', '/images/other/json'],
        ['made', '/images/made/json'],
      ] as const) {
        if (!expected.has(key)) continue
        const { code } = await next.wharf(['run', '--rm', image, 'true'])
        assert.equal(code, 0)
      }
    })
  }
})
