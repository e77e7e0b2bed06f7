import assert from 'node:assert/strict'
import { fstatSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DurableWrites } from './durable-writes.ts'
import type { LayerJob } from './layer-jobs.ts'

/** A pool whose syncs end when the test says so. */
class HeldPool {
  readonly #syncs: { fd: number; end: PromiseWithResolvers<void> }[] = []

  get begun(): number {
    return this.#syncs.length
  }

  async run(job: LayerJob): Promise<void> {
    assert.ok(job.kind === 'sync')
    const end = Promise.withResolvers<void>()
    this.#syncs.push({ fd: job.fd, end })
    await end.promise
  }

  /** Waits for the sync of that number, from 0 on. */
  async sync(number: number) {
    for (let sync = this.#syncs[number]; ; sync = this.#syncs[number]) {
      if (sync !== undefined) return sync
      await delay(1)
    }
  }
}

test('the disk is told to begin now and then, one sync at a time, and once more at the end', async () => {
  const pool = new HeldPool()
  await using writes = new DurableWrites(pool, tmpdir(), 1)
  const first = await pool.sync(0)
  await delay(20)
  assert.equal(pool.begun, 1)
  first.end.resolve()
  const second = await pool.sync(1)
  const finished = writes.finish()
  await delay(20)
  assert.equal(pool.begun, 2, 'the last one begins when the one under way has ended')
  second.end.resolve()
  const last = await pool.sync(2)
  last.end.resolve()
  await finished
  await delay(20)
  assert.equal(pool.begun, 3)
})

test('what takes little time is synced once', async () => {
  const pool = new HeldPool()
  await using writes = new DurableWrites(pool, tmpdir())
  const finished = writes.finish()
  const only = await pool.sync(0)
  only.end.resolve()
  await finished
  assert.equal(pool.begun, 1)
})

test('what an early sync could not write fails the end', async () => {
  const pool = new HeldPool()
  await using writes = new DurableWrites(pool, tmpdir(), 1)
  const sync = await pool.sync(0)
  sync.end.reject(new Error('EIO'))
  await assert.rejects(writes.finish(), /EIO/)
  assert.equal(pool.begun, 1)
})

test('the descriptor stays open while a sync uses it', async () => {
  const pool = new HeldPool()
  const writes = new DurableWrites(pool, tmpdir(), 1)
  const sync = await pool.sync(0)
  const gone = writes[Symbol.asyncDispose]()
  await delay(1)
  assert.ok(fstatSync(sync.fd).isDirectory())
  sync.end.resolve()
  await gone
  assert.throws(() => fstatSync(sync.fd), /EBADF/)
})
