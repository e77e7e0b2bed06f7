import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, createServer, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Semaphore } from '../lib/mutex.ts'
import { digestOf } from '../content/content-store.ts'
import { Downloads } from './pull-download.ts'

const blob = Buffer.alloc(700 * 1024, 'bytes of a blob ')
const rounds = 30

async function answerOf(request: ReturnType<typeof get>): Promise<IncomingMessage> {
  const [answer]: IncomingMessage[] = await once(request, 'response')
  if (answer === undefined) throw new Error('no answer')
  return answer
}

test('the next answer on a download’s connection is whole', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-download-'))
  const server = createServer((request, response) => {
    response.end(request.url === '/blob' ? blob : 'manifest')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  try {
    for (let round = 0; round < rounds; round++) {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const path = join(directory, String(round))
      const content = { downloadPath: () => path, ingestPath: () => path }
      const others: Promise<string>[] = []
      const from = {
        blob: async () => {
          const asked = get({ port, path: '/blob', agent })
          // It waits for the one connection, and gets it when the download's answer has ended.
          const other = get({ port, path: '/manifest', agent, timeout: 5000 })
          other.on('timeout', () => other.destroy(new Error('no answer')))
          others.push(answerOf(other).then(text))
          return answerOf(asked)
        },
      }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a download uses of them
      const downloads = new Downloads({
        content,
        places: () => new Semaphore(1),
        maxAttempts: () => 1,
      } as never)
      const descriptor = { mediaType: '', digest: digestOf(blob), size: blob.length }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same
      await using joined = await downloads.join(descriptor, from as never, () => {})
      await joined.download.finished
      assert.ok(readFileSync(path).equals(blob))
      assert.deepEqual(await Promise.all(others), ['manifest'])
      agent.destroy()
    }
  } finally {
    server.close()
    rmSync(directory, { recursive: true })
  }
})
