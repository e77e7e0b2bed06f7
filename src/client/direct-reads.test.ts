import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { DirectReads } from './direct-reads.ts'

async function joined(): Promise<{ client: Socket; peer: Socket } & AsyncDisposable> {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-reads-'))
  const server = createServer()
  const path = join(directory, 'socket')
  await once(server.listen(path), 'listening')
  const accepted = once(server, 'connection')
  const client = connect({ path })
  const [peer]: Socket[] = await accepted
  if (peer === undefined) throw new Error('no connection')
  return {
    client,
    peer,
    [Symbol.asyncDispose]: async () => {
      client.destroy()
      peer.destroy()
      server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

test('drain() passes bytes on in order, whoever reads them, also past a pause', async () => {
  await using pair = await joined()
  const sent = randomBytes(30_000_000)
  pair.peer.end(sent)
  const reads = new DirectReads(pair.client)
  const got: Buffer[] = []
  const take = (bytes: Buffer) => void got.push(Buffer.from(bytes))
  pair.client.on('data', (chunk: Buffer) => {
    take(chunk)
    reads.drain(take)
    if (got.length % 7 !== 0) return
    pair.client.pause()
    setImmediate(() => pair.client.resume())
  })
  await once(pair.client, 'end')
  assert.ok(Buffer.concat(got).equals(sent))
})

test('drain() leaves alone what is no socket, and what has been destroyed', async () => {
  const none = () => assert.fail('nothing was to be read')
  new DirectReads(new PassThrough()).drain(none)
  await using pair = await joined()
  pair.client.destroy()
  new DirectReads(pair.client).drain(none)
})
