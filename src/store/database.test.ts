import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Database } from './database.ts'

test('a transaction that throws leaves nothing', () => {
  using database = new Database(':memory:')
  assert.throws(() =>
    database.transaction(() => {
      database.run('INSERT INTO settings VALUES (?, ?)', 'a', '1')
      throw new Error('no')
    }),
  )
  assert.equal(database.get('SELECT * FROM settings'), undefined)
})

test('a nested transaction joins the outer one', () => {
  using database = new Database(':memory:')
  database.transaction(() => {
    database.transaction(() => database.run('INSERT INTO settings VALUES (?, ?)', 'a', '1'))
    database.run('INSERT INTO settings VALUES (?, ?)', 'b', '2')
  })
  assert.equal(database.all('SELECT * FROM settings').length, 2)
})

test('a relaxed statement is kept, also inside a transaction', () => {
  using database = new Database(':memory:')
  database.runRelaxed('INSERT INTO settings VALUES (?, ?)', 'a', '1')
  database.transaction(() => database.runRelaxed('INSERT INTO settings VALUES (?, ?)', 'b', '2'))
  assert.equal(database.all('SELECT * FROM settings').length, 2)
})

test('relaxed and durable commits follow each other, and flush() has something to flush', async () => {
  const root = mkdtempSync(join(tmpdir(), 'wharf-database-'))
  try {
    using database = new Database(join(root, 'db'))
    database.transactionRelaxed(() => database.run('INSERT INTO settings VALUES (?, ?)', 'a', '1'))
    await database.flush()
    database.run('INSERT INTO settings VALUES (?, ?)', 'b', '2')
    database.runRelaxed('INSERT INTO settings VALUES (?, ?)', 'c', '3')
    using other = new Database(join(root, 'db'))
    assert.equal(other.all('SELECT * FROM settings').length, 3)
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('nobody else reads the files, those made by an older version neither', () => {
  const root = mkdtempSync(join(tmpdir(), 'wharf-database-'))
  const modes = () => readdirSync(root).map((name) => [name, statSync(join(root, name)).mode & 0o777])
  const secret = [
    ['db', 0o600],
    ['db-shm', 0o600],
    ['db-wal', 0o600],
  ]
  try {
    {
      using _new = new Database(join(root, 'db'))
      assert.deepEqual(modes(), secret)
    }
    chmodSync(join(root, 'db'), 0o644)
    using _old = new Database(join(root, 'db'))
    assert.deepEqual(modes(), secret)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})
