/** What every storage driver must do; each driver's test runs it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import type { ByteRange, StorageDriver } from './storage-driver.ts'

/** A driver on an empty tree of its own. */
export type DriverFixture = AsyncDisposable & { driver: StorageDriver }

async function content(driver: StorageDriver, path: string, range: ByteRange): Promise<Buffer> {
  await using source = await driver.open(path, range)
  const output = new PassThrough()
  const read = buffer(output)
  await source.sendTo(output)
  output.end()
  return await read
}

/** Declares the tests for a driver called `name`. */
export function testStorageDriver(name: string, open: () => Promise<DriverFixture>): void {
  const scenario = (fact: string, run: (driver: StorageDriver) => Promise<void>) =>
    test(`${name}: ${fact}`, async () => {
      await using fixture = await open()
      await fixture.driver.setUp()
      await run(fixture.driver)
    })

  scenario('reads what was written, the newest', async (driver) => {
    await driver.write('a/b/c', Buffer.from('one'))
    await driver.write('a/b/c', Buffer.from('two, longer'))
    await driver.sync(['a/b/c'])
    assert.equal((await driver.read('a/b/c'))?.toString(), 'two, longer')
    assert.equal(await driver.size('a/b/c'), 11)
  })

  scenario('what is not there is undefined, or empty', async (driver) => {
    assert.equal(await driver.read('no/such'), undefined)
    assert.equal(await driver.size('no/such'), undefined)
    assert.deepEqual(await driver.list('no/such'), [])
    await driver.remove('no/such')
    await driver.sync(['no/such'])
    await assert.rejects(driver.open('no/such', { start: 0, end: 0 }), { code: 'ENOENT' })
  })

  scenario('a folder is no file', async (driver) => {
    await driver.write('a/b', Buffer.from('x'))
    assert.equal(await driver.size('a'), undefined)
    assert.equal(await driver.size('a/b/c'), undefined)
  })

  scenario('lists names of a folder, files and folders', async (driver) => {
    for (const path of ['d/x/1', 'd/x/2', 'd/y', 'dd/z']) await driver.write(path, Buffer.from('x'))
    const names = (await driver.list('d')).sort((left, right) => left.name.localeCompare(right.name))
    assert.deepEqual(names, [
      { name: 'x', isDirectory: true },
      { name: 'y', isDirectory: false },
    ])
  })

  scenario('lists what comes after a name', async (driver) => {
    for (const name of ['a', 'b', 'c', 'd']) await driver.write(`after/${name}`, Buffer.from('x'))
    const names = (await driver.list('after', 'b')).map(({ name }) => name)
    assert.deepEqual(names.sort(), ['c', 'd'])
  })

  scenario('names with characters that mean something elsewhere', async (driver) => {
    for (const name of ['a.b', 'a_b', 'a-b', 'A.Z_0-9']) {
      await driver.write(`odd/${name}/link`, Buffer.from(name))
      assert.equal((await driver.read(`odd/${name}/link`))?.toString(), name)
    }
    assert.equal((await driver.list('odd')).length, 4)
  })

  scenario('removes a file, and a folder with all below it, and nothing beside', async (driver) => {
    for (const path of ['r/a/1', 'r/a/b/2', 'r/ab', 'r/c']) await driver.write(path, Buffer.from('x'))
    await driver.remove('r/c')
    await driver.remove('r/a')
    assert.deepEqual(await driver.list('r'), [{ name: 'ab', isDirectory: false }])
    assert.equal(await driver.read('r/a/b/2'), undefined)
  })

  scenario('adopts a local file and streams it, whole and in ranges', async (driver) => {
    const directory = await mkdtemp(join(tmpdir(), 'wharf-adopt-'))
    try {
      const data = Buffer.alloc(300_000, 'abcdefghij')
      await writeFile(join(directory, 'file'), data)
      await driver.adopt(join(directory, 'file'), 'blobs/xx/data')
    } finally {
      await rm(directory, { recursive: true })
    }
    assert.equal(await driver.size('blobs/xx/data'), 300_000)
    assert.equal((await content(driver, 'blobs/xx/data', { start: 0, end: 299_999 })).length, 300_000)
    const range = await content(driver, 'blobs/xx/data', { start: 12, end: 15 })
    assert.equal(range.toString(), 'cdef')
  })

  scenario('what is open is read to its end when the file is removed meanwhile', async (driver) => {
    await driver.write('s/data', Buffer.alloc(2_000_000, 'x'))
    await using source = await driver.open('s/data', { start: 0, end: 1_999_999 })
    await driver.remove('s')
    const output = new PassThrough({ highWaterMark: 1024 })
    const read = buffer(output)
    await source.sendTo(output)
    output.end()
    assert.equal((await read).length, 2_000_000)
  })

  scenario('an empty file is a file', async (driver) => {
    await driver.write('empty', Buffer.alloc(0))
    assert.equal(await driver.size('empty'), 0)
    assert.equal((await content(driver, 'empty', { start: 0, end: -1 })).length, 0)
  })
}
