import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { ExtractOptions } from '../../../src/containers/archive-job.ts'
import { ContainerArchives } from '../../../src/containers/archive.ts'
import type { ContainerRoot } from '../../../src/containers/contract.ts'
import { setXattr, getXattr } from '../../../src/kernel/xattr.ts'
import { tarHeader, type TarHeader } from '../../../src/lib/tar-format.ts'
import { denseContent, readTar, writeTar } from '../../../src/lib/tar-stream.ts'

const archives = new ContainerArchives()
let base = ''
let root: ContainerRoot
const defaults = { noOverwriteDirNonDir: false, copyOwner: false, user: '' }

before(() => {
  base = mkdtempSync(join(tmpdir(), 'wharf-archive-'))
})
after(async () => {
  await archives[Symbol.asyncDispose]()
  rmSync(base, { recursive: true })
})

/** A fresh root with a little tree, a secret beside it, and two volumes. */
function freshRoot(name: string): string {
  const directory = join(base, name, 'root')
  mkdirSync(join(directory, 'etc'), { recursive: true })
  mkdirSync(join(directory, 'data'))
  mkdirSync(join(directory, 'frozen'))
  writeFileSync(join(directory, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\napp:x:1234:55::/:/bin/sh\n')
  writeFileSync(join(base, name, 'secret'), 'host secret')
  const volume = join(base, name, 'volume')
  mkdirSync(volume)
  writeFileSync(join(volume, 'inside'), 'in the volume')
  root = {
    directory,
    writable: true,
    mounts: [
      { destination: '/data', source: volume, writable: true },
      { destination: '/frozen', source: volume, writable: false },
    ],
  }
  return directory
}

const of = () => ({ root, reference: 'box' })

async function contentOf(path: string): Promise<Readable> {
  await archives.stat(of(), path)
  return archives.stream((output) => archives.read(of(), path, output))
}

async function extract(options: ExtractOptions, archive: AsyncIterable<Uint8Array>): Promise<void> {
  await archives.feed(archive, (input) => archives.extract(of(), options, input))
}

type Unpacked = { header: TarHeader; content: string }

async function unpack(source: AsyncIterable<Uint8Array>): Promise<Unpacked[]> {
  const entries: Unpacked[] = []
  for await (const entry of readTar(source)) {
    const parts: Buffer[] = []
    for await (const bytes of denseContent(entry)) parts.push(Buffer.from(bytes))
    entries.push({ header: entry.header, content: Buffer.concat(parts).toString() })
  }
  return entries
}

async function namesOf(path: string): Promise<string[]> {
  return (await unpack(await contentOf(path))).map(({ header }) => header.name)
}

async function put(
  path: string,
  entries: { header: TarHeader; content?: Buffer[] }[],
  options: Partial<typeof defaults> = {},
): Promise<void> {
  await extract({ path, ...defaults, ...options }, writeTar(entries))
}

function file(
  name: string,
  content: string,
  more: Partial<TarHeader> = {},
): { header: TarHeader; content: Buffer[] } {
  const bytes = Buffer.from(content)
  return { header: tarHeader({ name, type: 'file', size: bytes.length, ...more }), content: [bytes] }
}

async function listenAt(path: string): Promise<Disposable> {
  const server = createServer().listen(path)
  await once(server, 'listening')
  return { [Symbol.dispose]: () => void server.close() }
}

test('a directory is packed under its own name, its content alone with `/.`, the root under `/`', async () => {
  const directory = freshRoot('names')
  mkdirSync(join(directory, 'a/b'), { recursive: true })
  writeFileSync(join(directory, 'a/b/c'), 'x')
  assert.deepEqual(await namesOf('/a'), ['a/', 'a/b/', 'a/b/c'])
  assert.deepEqual(await namesOf('a/'), ['a/', 'a/b/', 'a/b/c'])
  assert.deepEqual(await namesOf('/a/.'), ['./', './b/', './b/c'])
  assert.deepEqual(await namesOf('/a/b/../b/c'), ['c'])
  assert.ok((await namesOf('/')).includes('/a/b/c'))
})

test('owners, modes, times, links, devices and attributes go out and come back', async () => {
  const directory = freshRoot('roundtrip')
  const tree = join(directory, 'tree')
  mkdirSync(tree)
  writeFileSync(join(tree, 'file'), Buffer.alloc(300_000, 'abc'))
  chownSync(join(tree, 'file'), 1000, 2000)
  chmodSync(join(tree, 'file'), 0o4751)
  setXattr(join(tree, 'file'), 'user.bytes', Buffer.from([0, 255, 1]))
  linkSync(join(tree, 'file'), join(tree, 'other'))
  symlinkSync('../../etc/passwd', join(tree, 'link'))
  execFileSync('mknod', [join(tree, 'null'), 'c', '1', '3'])
  execFileSync('mkfifo', [join(tree, 'pipe')])
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x41])]), 'no text')
  utimesSync(join(tree, 'file'), 1_600_000_000.25, 1_600_000_000.125)
  using _listening = await listenAt(join(tree, 'socket'))
  const content = await contentOf('/tree')
  mkdirSync(join(directory, 'copy'))
  await extract({ path: '/copy', ...defaults }, content)
  const copy = join(directory, 'copy/tree')
  const stats = lstatSync(join(copy, 'file'), { bigint: true })
  assert.deepEqual(
    [stats.uid, stats.gid, stats.mode & 0o7777n, stats.size, stats.nlink, stats.mtimeNs],
    [1000n, 2000n, 0o4751n, 300_000n, 2n, 1_600_000_000_125_000_000n],
  )
  assert.equal(lstatSync(join(copy, 'other'), { bigint: true }).ino, stats.ino)
  assert.deepEqual(getXattr(join(copy, 'file'), 'user.bytes'), Buffer.from([0, 255, 1]))
  assert.equal(readlinkSync(join(copy, 'link')), '../../etc/passwd')
  assert.equal(lstatSync(join(copy, 'null')).rdev, lstatSync('/dev/null').rdev)
  assert.ok(lstatSync(join(copy, 'pipe')).isFIFO())
  const names = readdirSync(copy, { encoding: 'buffer' }).map((name) => name.toString('latin1'))
  assert.deepEqual(names.sort(), ['file', 'link', 'null', 'other', 'pipe', 'ÿA'].sort())
})

test('stat tells Go mode bits and where a link leads, without following it out', async () => {
  const directory = freshRoot('stat')
  const stat = async (path: string) => await archives.stat(of(), path)
  chmodSync(join(directory, 'etc'), 0o1755)
  symlinkSync('../../../../../../etc/./passwd', join(directory, 'link'))
  symlinkSync('/nowhere/at/all', join(directory, 'etc/dangling'))
  assert.equal((await stat('/etc')).mode, 2 ** 31 + 2 ** 20 + 0o755)
  const link = await stat('/link')
  assert.equal(link.name, 'link')
  assert.equal(link.mode, 2 ** 27 + 0o777)
  assert.equal(link.linkTarget, '/etc/passwd')
  assert.equal((await stat('/etc/dangling')).linkTarget, '/nowhere/at/all')
  const passwd = await stat('etc/passwd')
  assert.equal(passwd.linkTarget, '')
  assert.equal(passwd.size, 47)
  assert.match(passwd.mtime, /^\d{4}-\d\d-\d\dT.*Z$/)
  assert.equal((await stat('/')).name, '/')
})

test('what is not there is answered as Docker words it', async () => {
  freshRoot('missing')
  const expected = { kind: 'notFound', message: 'Could not find the file /x/y in container box' }
  await assert.rejects(archives.stat(of(), '/x/y'), expected)
  await assert.rejects(contentOf('/x/y'), expected)
  await assert.rejects(put('/x/y', [file('a', 'b')]), expected)
  await assert.rejects(put('/etc/passwd', [file('a', 'b')]), {
    kind: 'invalid',
    message: 'extraction point is not a directory',
  })
  const notDirectory = { kind: 'internal', message: 'lstat /etc/passwd/: not a directory' }
  await assert.rejects(archives.stat(of(), '/etc/passwd/'), notDirectory)
  await assert.rejects(contentOf('/etc/passwd/'), notDirectory)
})

test('volumes lie over the root; read-only ones and read-only roots refuse', async () => {
  const directory = freshRoot('volumes')
  assert.deepEqual(await namesOf('/data'), ['data/', 'data/inside'])
  await put('/data', [file('new', 'text')])
  assert.equal(readFileSync(join(base, 'volumes/volume/new'), 'utf8'), 'text')
  assert.deepEqual(readdirSync(join(directory, 'data')), [])
  await assert.rejects(put('/frozen', [file('a', '')]), { message: 'mounted volume is marked read-only' })
  await assert.rejects(put('/', [file('frozen/a', '')]), /read-only file system/i)
  root = { ...root, writable: false }
  await assert.rejects(put('/etc', [file('a', '')]), { message: 'container rootfs is marked read-only' })
  await put('/data', [file('more', '')])
  const names = (await unpack(archives.stream((output) => archives.export(root, output)))).map(
    ({ header }) => header.name,
  )
  assert.deepEqual(names, ['data/', 'etc/', 'etc/passwd', 'frozen/'])
})

test('hostile archives and hostile trees reach nothing outside', async () => {
  const directory = freshRoot('hostile')
  symlinkSync('../../..', join(directory, 'up'))
  symlinkSync('/', join(directory, 'slash'))
  mkdirSync(join(directory, 'tmp'))
  await assert.rejects(put('/tmp', [file('../../escaped', 'x')]), /outside/)
  await put('/tmp', [
    { header: tarHeader({ name: 'out', type: 'symlink', linkName: '../../../../..' }) },
    file('out/escaped', 'contained'),
    { header: tarHeader({ name: 'abs', type: 'symlink', linkName: join(base, 'hostile') }) },
  ])
  assert.equal(readFileSync(join(directory, 'escaped'), 'utf8'), 'contained')
  await assert.rejects(put('/tmp', [file('abs/secret', 'overwritten')]))
  await assert.rejects(
    put('/tmp', [{ header: tarHeader({ name: 'hard', type: 'hardlink', linkName: '/../../secret' }) }]),
  )
  assert.equal(readFileSync(join(base, 'hostile/secret'), 'utf8'), 'host secret')
  for (const path of [
    '/up/secret',
    '/slash/../../secret',
    `/slash${base}/hostile/secret`,
    '/up/up/up/secret',
  ]) {
    await assert.rejects(contentOf(path), { kind: 'notFound' })
  }
  await put('/up/slash/tmp', [file('deep', 'in')])
  assert.ok(existsSync(join(directory, 'tmp/deep')))
})

test('noOverwriteDirNonDir keeps directories and files apart; else they replace each other', async () => {
  const directory = freshRoot('overwrite')
  mkdirSync(join(directory, 'tmp/dir/full'), { recursive: true })
  writeFileSync(join(directory, 'tmp/plain'), 'x')
  const asFile = [file('dir', 'now a file')]
  const asDirectory = [{ header: tarHeader({ name: 'plain/', type: 'directory' }) }]
  await assert.rejects(put('/tmp', asFile, { noOverwriteDirNonDir: true }), {
    message: 'cannot overwrite directory "/tmp/dir" with non-directory "/tmp"',
  })
  await assert.rejects(put('/tmp', asDirectory, { noOverwriteDirNonDir: true }), {
    message: 'cannot overwrite non-directory "/tmp/plain" with directory "/tmp"',
  })
  await put('/tmp', [...asFile, ...asDirectory])
  assert.equal(readFileSync(join(directory, 'tmp/dir'), 'utf8'), 'now a file')
  assert.ok(lstatSync(join(directory, 'tmp/plain')).isDirectory())
})

test('copyUIDGID gives the files to the container’s user; archives may be compressed', async () => {
  const directory = freshRoot('owner')
  await put('/etc', [file('a', 'x', { uid: 7, gid: 8 })], { copyOwner: true, user: 'app' })
  const stats = lstatSync(join(directory, 'etc/a'))
  assert.deepEqual([stats.uid, stats.gid], [1234, 55])
  const parts: Buffer[] = []
  for await (const bytes of writeTar([file('b', 'y', { uid: 7, gid: 8 })])) parts.push(Buffer.from(bytes))
  const compressed = gzipSync(Buffer.concat(parts))
  await extract({ path: '/etc', ...defaults }, Readable.from([compressed]))
  assert.equal(lstatSync(join(directory, 'etc/b')).uid, 7)
})

test('an archive that breaks off is an error, and a reader who leaves ends the work', async () => {
  const directory = freshRoot('broken')
  const parts: Buffer[] = []
  for await (const bytes of writeTar([file('a', 'x'.repeat(5000))])) parts.push(Buffer.from(bytes))
  const cut = Buffer.concat(parts).subarray(0, 2000)
  await assert.rejects(extract({ path: '/etc', ...defaults }, Readable.from([cut])), /unexpected EOF/i)
  writeFileSync(join(directory, 'big'), Buffer.alloc(8 << 20))
  const content = await contentOf('/big')
  const closed = new Promise((resolve) => content.once('close', resolve))
  content.once('data', () => content.destroy())
  await closed
})
