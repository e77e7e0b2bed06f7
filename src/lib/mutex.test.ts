import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyedMutex, Semaphore } from './mutex.ts'

test('KeyedMutex serves waiters of one key in order and keys apart', async () => {
  const mutex = new KeyedMutex()
  const seen: string[] = []
  const work = async (key: string, name: string) => {
    using _lock = await mutex.acquire(key)
    seen.push(`${name}+`)
    await Promise.resolve()
    seen.push(`${name}-`)
  }
  await Promise.all([work('a', '1'), work('a', '2'), work('b', '3')])
  assert.deepEqual(
    seen.filter((entry) => !entry.startsWith('3')),
    ['1+', '1-', '2+', '2-'],
  )
  assert.equal(mutex.isHeld('a'), false)
})

test('KeyedMutex: an aborted waiter gives its place on', async () => {
  const mutex = new KeyedMutex()
  const first = await mutex.acquire('a')
  const controller = new AbortController()
  const second = mutex.acquire('a', controller.signal)
  const third = mutex.acquire('a')
  controller.abort(new Error('gone'))
  await assert.rejects(second, /gone/)
  first[Symbol.dispose]()
  const lock = await third
  lock[Symbol.dispose]()
  assert.equal(mutex.isHeld('a'), false)
})

test('Semaphore never lets more in than it has places', async () => {
  const semaphore = new Semaphore(2)
  let inside = 0
  let most = 0
  const work = async () => {
    using _place = await semaphore.acquire()
    inside += 1
    most = Math.max(most, inside)
    await Promise.resolve()
    inside -= 1
  }
  await Promise.all(Array.from({ length: 10 }, work))
  assert.equal(most, 2)
})
