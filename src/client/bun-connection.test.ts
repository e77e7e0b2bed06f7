import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BunConnection } from './bun-connection.ts'

/** A socket as Bun gives one, which takes `room` bytes until it is told that there is room again. */
function opened(room = Infinity) {
  const calls: string[] = []
  const sent: Buffer[] = []
  let left = room
  const socket = {
    fd: 7,
    write: (bytes: Uint8Array) => {
      const part = Buffer.from(bytes.subarray(0, Math.min(bytes.length, left)))
      left -= part.length
      sent.push(part)
      return part.length
    },
    pause: () => void calls.push('pause'),
    resume: () => void calls.push('resume'),
    shutdown: () => void calls.push('shutdown'),
    terminate: () => void calls.push('terminate'),
  }
  const connection = new BunConnection()
  connection.handlers.open(socket)
  const { handlers } = connection
  const got: string[] = []
  connection.on('data', (chunk: Buffer) => void got.push(chunk.toString()))
  for (const event of ['end', 'close', 'drain'] as const)
    connection.on(event, () => void got.push(`<${event}>`))
  return {
    connection,
    calls,
    got,
    text: () => Buffer.concat(sent).toString(),
    data: (text: string) => handlers.data(socket, Buffer.from(text)),
    drain: () => {
      left = room
      handlers.drain(socket)
    },
    end: () => handlers.end(socket),
    close: () => handlers.close(socket),
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what comes while nobody reads waits, in order, and the end after it', async () => {
  const { connection, got, data, end, close } = opened()
  data('a')
  assert.equal(connection.readableLength, 1)
  connection.resume()
  await turn()
  data('b')
  connection.pause()
  data('c')
  end()
  close()
  assert.deepEqual(got, ['a', 'b'])
  connection.resume()
  await turn()
  assert.deepEqual(got, ['a', 'b', 'c', '<end>', '<close>'])
  assert.ok(connection.destroyed)
})

test('a listener that pauses gets nothing more', async () => {
  const { connection, got, data } = opened()
  data('a')
  data('b')
  connection.once('end', () => assert.fail('not the end'))
  const pause = () => connection.pause()
  connection.on('data', pause)
  connection.resume()
  await turn()
  assert.deepEqual(got, ['a'])
  connection.off('data', pause)
  connection.resume()
  await turn()
  assert.deepEqual(got, ['a', 'b'])
})

test('what is not taken at once is sent when there is room; drain and the half-close come after it', () => {
  const { connection, calls, got, text, drain } = opened(2)
  assert.equal(connection.write(Buffer.from('abc')), false)
  assert.equal(connection.write(Buffer.from('de')), false)
  connection.end()
  assert.deepEqual(calls, [])
  for (let n = 0; n < 3; n++) drain()
  assert.equal(text(), 'abcde')
  assert.deepEqual(got, ['<drain>'])
  assert.deepEqual(calls, ['shutdown'])
  assert.equal(new BunConnection().write(Buffer.alloc(1)), false)
})

test('destroy() closes at once, and says so once', async () => {
  const { connection, calls, got, data, close } = opened()
  data('lost')
  connection.destroy()
  connection.destroy()
  connection.resume()
  close()
  await turn()
  assert.deepEqual(calls, ['terminate'])
  assert.deepEqual(got, ['<close>'])
  assert.equal(connection._handle, undefined)
})
