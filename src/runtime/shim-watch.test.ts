import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { parseShimLine, ShimStartError, ShimWatch } from './shim-watch.ts'

test('parseShimLine takes the lines that a keeper writes, and nothing else', () => {
  assert.deepEqual(parseShimLine('started 12 345 6789012345678901234'), {
    kind: 'started',
    started: { pid: 12, startTime: 345n, startedNs: 6789012345678901234n },
  })
  assert.deepEqual(parseShimLine('exit 137 9 1700000000000000001 4'), {
    kind: 'exit',
    end: { exitCode: 137, finishedNs: 1700000000000000001n, droppedLines: 4n },
  })
  assert.deepEqual(parseShimLine('failed 1'), { kind: 'failed', status: 1 })
  assert.deepEqual(parseShimLine('refused /x: No space'), { kind: 'refused', reason: '/x: No space' })
  for (const line of [
    '',
    'started',
    'started 1',
    'exit 1 2',
    'exit a b c',
    'exit -1 0 0',
    'started 1 2 3 x',
    'other 1',
  ]) {
    assert.equal(parseShimLine(line), undefined, line)
  }
})

async function pair(): Promise<{ watch: ShimWatch; keeper: Socket } & AsyncDisposable> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const accepted = Promise.withResolvers<Socket>()
  server.once('connection', accepted.resolve)
  const watch = new ShimWatch(connect(port, '127.0.0.1'))
  const keeper = await accepted.promise
  const dispose = async (): Promise<void> => {
    watch[Symbol.dispose]()
    keeper.destroy()
    server.close()
    await once(server, 'close')
  }
  return { watch, keeper, [Symbol.asyncDispose]: dispose }
}

test('a watch follows a task through lines that come in pieces', async () => {
  await using parts = await pair()
  const { watch, keeper } = parts
  keeper.write('rea')
  keeper.write('dy\nstarted 1 2 3\nex')
  await watch.ready
  assert.equal((await watch.started).pid, 1)
  keeper.end('it 5 0 9 0\n')
  assert.equal((await watch.ended)?.exitCode, 5)
})

test('a keeper that dies is a failed start, or an end without a record', async () => {
  await using before = await pair()
  before.keeper.end('ready\n')
  await before.watch.ready
  await assert.rejects(before.watch.started, ShimStartError)
  assert.equal(await before.watch.ended, undefined)
  await using after = await pair()
  after.keeper.end('ready\nstarted 1 2 3\n')
  assert.equal(await after.watch.ended, undefined)
})
