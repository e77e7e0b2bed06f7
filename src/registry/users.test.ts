import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { compare, hash } from 'bcryptjs'
import { systemClock } from '../lib/clock.ts'
import { htpasswdLine } from './htpasswd.ts'
import { parseHtpasswd, Users } from './users.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wharf-users-'))
})
after(() => rm(folder, { recursive: true, force: true }))

/** Users of a file, with a count of the comparisons that were made. */
async function usersOf(lines: Record<string, string>) {
  const path = join(folder, `htpasswd-${Object.keys(lines).join('-')}`)
  const write = async (more: Record<string, string>) => {
    const hashed = await Promise.all(
      Object.entries(more).map(async ([name, password]) => `${name}:${await hash(password, 4)}\n`),
    )
    await writeFile(path, hashed.join(''))
  }
  await write(lines)
  const clock = { ms: 1_000_000, nowMs: () => clock.ms, nowNs: () => BigInt(clock.ms) * 1_000_000n }
  const count = { comparisons: 0 }
  const users = new Users(path, clock, async (password, expected) => {
    count.comparisons += 1
    return await compare(password, expected)
  })
  await users.load()
  return { users, clock, count, write }
}

test('a password that was right is not compared again for a while; a wrong one always is', async () => {
  const { users, clock, count } = await usersOf({ alice: 'secret' })
  for (let round = 0; round < 3; round++) assert.equal(await users.check('alice', 'secret'), true)
  assert.equal(count.comparisons, 1)
  for (let round = 0; round < 2; round++) assert.equal(await users.check('alice', 'wrong'), false)
  assert.equal(count.comparisons, 3)
  clock.ms += 60_000
  assert.equal(await users.check('alice', 'secret'), true)
  assert.equal(count.comparisons, 4)
})

test('a name that is none costs the same comparison as one that is', async () => {
  const { users, count } = await usersOf({ alice: 'secret' })
  assert.equal(await users.check('nobody', 'secret'), false)
  assert.equal(count.comparisons, 1)
})

test('a new password holds from the moment that the file is read again', async () => {
  const { users, write } = await usersOf({ bob: 'old' })
  assert.equal(await users.check('bob', 'old'), true)
  await write({ bob: 'new' })
  await users.load()
  assert.equal(await users.check('bob', 'old'), false)
  assert.equal(await users.check('bob', 'new'), true)
})

test('what bcrypt would cut off does not count as the password', async () => {
  const long = 'x'.repeat(72)
  const { users } = await usersOf({ carol: long })
  assert.equal(await users.check('carol', long), true)
  assert.equal(await users.check('carol', `${long}y`), false)
})

test('a line that is made here is one that is read here', async () => {
  const line = await htpasswdLine('dave', 'a secret: with colons')
  const hashed = parseHtpasswd(line).get('dave') ?? ''
  assert.ok(await compare('a secret: with colons', hashed))
  for (const name of ['', 'a:b', '#x', 'a\nb'])
    await assert.rejects(htpasswdLine(name, 'x'), /not a user's name/)
  await assert.rejects(htpasswdLine('dave', ''), /no password/)
  await assert.rejects(htpasswdLine('dave', 'x'.repeat(73)), /72 bytes/)
})

test('guesses do not pile up without end', async () => {
  const gate = Promise.withResolvers<boolean>()
  const users = new Users(join(folder, 'htpasswd-alice'), systemClock, () => gate.promise)
  await users.load()
  const guesses = Array.from({ length: 200 }, (_, number) => users.check('alice', `guess ${number}`))
  await assert.rejects(users.check('alice', 'one more'), { code: 'TOOMANYREQUESTS' })
  gate.resolve(false)
  assert.ok((await Promise.all(guesses)).every((right) => !right))
  assert.equal(await users.check('alice', 'again'), false)
})
