import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '../lib/log.ts'
import { TreeSizes } from './tree-sizes.ts'

/** Trees whose measuring the test lets go on. */
function trees(sizes: Record<string, number>) {
  const asked: string[][] = []
  let gate = Promise.resolve()
  const measure = async (directories: readonly string[]) => {
    asked.push([...directories])
    await gate
    return directories.map((directory) => sizes[directory] ?? -1)
  }
  return {
    asked,
    sizes: new TreeSizes({ measure, log: silentLog, patienceMs: 1 }),
    /** Measuring stands still until the answer is called. */
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      gate = promise
      return resolve
    },
  }
}

test('what was never measured is waited for', async () => {
  const { sizes, hold } = trees({ a: 1, b: 2 })
  const go = hold()
  let answered = false
  const answer = sizes.of(['a', 'b']).finally(() => (answered = true))
  await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(answered, false)
  go()
  assert.deepEqual(await answer, [1, 2])
})

test('what takes long is told as it was, and as it is the next time', async () => {
  const store: Record<string, number> = { a: 1 }
  const { sizes, hold } = trees(store)
  assert.deepEqual(await sizes.of(['a']), [1])
  store['a'] = 5
  assert.deepEqual(await sizes.of(['a']), [5])
  const go = hold()
  store['a'] = 7
  assert.deepEqual(await sizes.of(['a']), [5])
  go()
  // A new one makes the question wait for all.
  assert.deepEqual(await sizes.of(['a', 'new']), [7, -1])
})

test('questions that come while one is being answered share one more round', async () => {
  const { sizes, asked, hold } = trees({ a: 1 })
  const go = hold()
  const answers = [sizes.of(['a'])]
  await Promise.resolve()
  await Promise.resolve()
  for (let n = 0; n < 5; n++) answers.push(sizes.of(['a']))
  go()
  assert.deepEqual(
    await Promise.all(answers),
    Array.from({ length: 6 }, () => [1]),
  )
  assert.equal(asked.length, 2)
})

test('a failure leaves what was known, and -1 for what was not', async () => {
  let fails = false
  const measure = async (directories: readonly string[]) => {
    if (fails) throw new Error('no')
    return directories.map(() => 3)
  }
  const sizes = new TreeSizes({ measure, log: silentLog, patienceMs: 1 })
  await sizes.of(['a'])
  fails = true
  assert.deepEqual(await sizes.of(['a', 'b']), [3, -1])
})
