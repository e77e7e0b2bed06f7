import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DnsCache } from './dns-cache.ts'

const question = Buffer.from('0377777707657861 6d706c65036f726700 0001 0001'.replaceAll(' ', ''), 'hex')

function query(id: number): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(0x0100, 2)
  header.writeUInt16BE(1, 4)
  return Buffer.concat([header, question])
}

type Parts = { code?: number; flags?: number; answers?: Buffer[]; authorities?: Buffer[] }

function response(id: number, { code = 0, flags = 0, answers = [], authorities = [] }: Parts): Buffer {
  const header = query(id).subarray(0, 12)
  header.writeUInt16BE(0x8180 | flags | code, 2)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(authorities.length, 8)
  return Buffer.concat([header, question, ...answers, ...authorities])
}

function record(type: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

const address = (ttl: number) => record(1, ttl, Buffer.from([192, 0, 2, 1]))
function soa(ttl: number, minimum: number): Buffer {
  const data = Buffer.alloc(22)
  data.writeUInt32BE(minimum, 18)
  return record(6, ttl, data)
}

/** A cache with a clock that the test moves, and a count of what goes out. */
function setUp(answer: (id: number) => Buffer | undefined) {
  const state = { nowMs: 0, asked: 0 }
  const cache = new DnsCache(() => state.nowMs)
  const ask = async (id: number, scope = 'udp 9.9.9.9') =>
    cache.resolve(query(id), scope, async () => {
      state.asked += 1
      return answer(id)
    })
  return { state, cache, ask }
}

test('an answer is kept for its shortest time to live, which shrinks, under the number of who asks', async () => {
  const { state, ask } = setUp((id) => response(id, { answers: [address(300), address(60)] }))
  await ask(1)
  state.nowMs = 10_900
  const second = await ask(2)
  assert.equal(state.asked, 1)
  assert.equal(second?.readUInt16BE(0), 2)
  assert.deepEqual(second, response(2, { answers: [address(290), address(50)] }))
  state.nowMs = 60_000
  await ask(3)
  assert.equal(state.asked, 2)
})

test('that something does not exist is kept as its zone says, and not without a zone’s word', async () => {
  const missing = setUp((id) => response(id, { code: 3, authorities: [soa(900, 30)] }))
  await missing.ask(1)
  missing.state.nowMs = 29_000
  assert.equal((await missing.ask(2))?.readUInt16BE(2), 0x8183)
  assert.equal(missing.state.asked, 1)
  missing.state.nowMs = 30_000
  await missing.ask(3)
  assert.equal(missing.state.asked, 2)
  const bare = setUp((id) => response(id, { code: 3 }))
  await bare.ask(1)
  await bare.ask(2)
  assert.equal(bare.state.asked, 2)
})

test('failures, cut answers, no time to live and other resolvers are asked again', async () => {
  const uncached: Record<string, Parts> = {
    failure: { code: 2 },
    truncated: { flags: 0x0200, answers: [address(60)] },
    momentary: { answers: [address(0)] },
    negative: { answers: [address(0x8000_0001)] },
  }
  for (const [name, parts] of Object.entries(uncached)) {
    const { state, ask } = setUp((id) => response(id, parts))
    await ask(1)
    await ask(2)
    assert.equal(state.asked, 2, name)
  }
  const { state, ask } = setUp((id) => response(id, { answers: [address(60)] }))
  await ask(1, 'udp 9.9.9.9')
  await ask(2, 'udp 8.8.8.8')
  await ask(3, 'tcp 9.9.9.9')
  assert.equal(state.asked, 3)
})

test('the same question twice at once goes out once', async () => {
  const { state, ask } = setUp((id) => response(id, { code: 2 }))
  const [first, second] = await Promise.all([ask(1), ask(2)])
  assert.equal(state.asked, 1)
  assert.deepEqual([first?.readUInt16BE(0), second?.readUInt16BE(0)], [1, 2])
})

test('any bytes for an answer are passed on and never break the cache; it stays small', async () => {
  const state = { seed: 1 }
  const random = () => (state.seed = (state.seed * 48_271) % 0x7fff_ffff) / 0x7fff_ffff
  const whole = response(1, { answers: [address(300)], authorities: [soa(300, 300)] })
  const cache = new DnsCache(() => 0)
  for (let round = 0; round < 6000; round++) {
    const answer = Buffer.from(whole.subarray(0, 12 + Math.floor(random() * whole.length)))
    for (let changes = 0; changes < 3; changes++) {
      answer[12 + Math.floor(random() * (answer.length - 12))] = Math.floor(random() * 256)
    }
    assert.equal(await cache.resolve(query(1), `udp ${round}`, async () => answer), answer)
  }
  assert.ok(cache.size <= 4096)
  assert.ok(cache.size > 0)
})
