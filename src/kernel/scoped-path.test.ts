import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  lstatInRoot,
  mkdirAllInRoot,
  openFlags,
  openInRoot,
  openParentInRoot,
  readFileInRoot,
  readlinkInRoot,
  realPathInRoot,
  statInRoot,
} from './scoped-path.ts'

const owner = { mode: 0o755, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

/** A root with a secret outside it, and every kind of way out. */
class HostileTree implements Disposable {
  readonly outside = mkdtempSync(join(tmpdir(), 'wharf-scoped-'))
  readonly root = join(this.outside, 'root')

  constructor() {
    mkdirSync(join(this.root, 'etc/deep'), { recursive: true })
    writeFileSync(join(this.outside, 'secret'), 'host')
    writeFileSync(join(this.root, 'etc/passwd'), 'inside')
    writeFileSync(join(this.root, 'secret'), 'own')
    symlinkSync(join(this.outside, 'secret'), join(this.root, 'absolute'))
    symlinkSync('../../../../../../../../secret', join(this.root, 'etc/up'))
    symlinkSync('/', join(this.root, 'slash'))
    symlinkSync('..', join(this.root, 'parent'))
    symlinkSync('loop-b', join(this.root, 'loop-a'))
    symlinkSync('loop-a', join(this.root, 'loop-b'))
    symlinkSync('/made/by/link', join(this.root, 'dangling'))
    symlinkSync(`${this.outside}/escaped`, join(this.root, 'dangling-out'))
    symlinkSync('/proc/self/root', join(this.root, 'magic'))
    symlinkSync(`/proc/${process.pid}/cwd`, join(this.root, 'magic-cwd'))
  }

  [Symbol.dispose](): void {
    rmSync(this.outside, { recursive: true, force: true })
  }
}

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

test('paths with dots, links up and links to the root stay inside', () => {
  using tree = new HostileTree()
  for (const path of [
    '../secret',
    '/../../secret',
    'slash/secret',
    'parent/secret',
    'etc/up',
    '/etc/../../secret',
  ]) {
    assert.equal(readFileInRoot(tree.root, path).toString(), 'own', path)
  }
  assert.equal(readFileInRoot(tree.root, 'slash/slash/parent/etc/passwd').toString(), 'inside')
})

test('an absolute link is read from the root', () => {
  using tree = new HostileTree()
  assert.throws(() => readFileInRoot(tree.root, 'absolute'), code('ENOENT'))
  mkdirSync(join(tree.root, tree.outside), { recursive: true })
  writeFileSync(join(tree.root, tree.outside, 'secret'), 'shadow')
  assert.equal(readFileInRoot(tree.root, 'absolute').toString(), 'shadow')
})

test('loops, and links of /proc where /proc is in the tree, are refused', () => {
  using tree = new HostileTree()
  assert.throws(() => readFileInRoot(tree.root, 'loop-a'), code('ELOOP'))
  assert.throws(() => mkdirAllInRoot(tree.root, 'loop-a/x', owner), code('ELOOP'))
  assert.throws(() => openInRoot('/', '/proc/self/root/etc', openFlags.O_PATH), code('ELOOP'))
  assert.throws(() => openInRoot('/', `/proc/${process.pid}/cwd`, openFlags.O_PATH), code('ELOOP'))
})

test('stat follows and lstat does not', () => {
  using tree = new HostileTree()
  assert.ok(statInRoot(tree.root, 'slash').isDirectory())
  assert.ok(lstatInRoot(tree.root, 'slash').isSymbolicLink())
  assert.equal(readlinkInRoot(tree.root, 'etc/up'), '../../../../../../../../secret')
  assert.equal(statInRoot(tree.root, '/').ino, statSync(tree.root).ino)
})

test('the real path is the path as the container would see it', () => {
  using tree = new HostileTree()
  assert.equal(realPathInRoot(tree.root, 'slash/parent/etc/deep/..'), '/etc')
  assert.equal(realPathInRoot(tree.root, 'parent'), '/')
  assert.equal(realPathInRoot('/', '/usr'), '/usr')
})

test('directories are made inside, also through links that lead out', () => {
  using tree = new HostileTree()
  using _made = mkdirAllInRoot(tree.root, 'dangling-out/a/b', owner)
  assert.ok(!existsSync(join(tree.outside, 'escaped')))
  assert.ok(statSync(join(tree.root, tree.outside, 'escaped/a/b')).isDirectory())
  using _second = mkdirAllInRoot(tree.root, '/dangling/x', owner)
  assert.ok(statSync(join(tree.root, 'made/by/link/x')).isDirectory())
  using _up = mkdirAllInRoot(tree.root, 'etc/../../../new', owner)
  assert.ok(statSync(join(tree.root, 'new')).isDirectory())
})

test('new directories have the owner and mode asked for, old ones keep theirs', () => {
  using tree = new HostileTree()
  chmodSync(join(tree.root, 'etc'), 0o711)
  using _made = mkdirAllInRoot(tree.root, 'etc/one/two', { ...owner, mode: 0o1777 })
  assert.equal(statSync(join(tree.root, 'etc')).mode & 0o7777, 0o711)
  assert.equal(statSync(join(tree.root, 'etc/one')).mode & 0o7777, 0o1777)
  assert.equal(statSync(join(tree.root, 'etc/one/two')).mode & 0o7777, 0o1777)
})

test('a file in the way of a directory is an error and stays', () => {
  using tree = new HostileTree()
  assert.throws(() => mkdirAllInRoot(tree.root, 'secret/x', owner), code('ENOTDIR'))
  assert.throws(() => mkdirAllInRoot(tree.root, 'secret', owner), code('ENOTDIR'))
  assert.equal(readFileSync(join(tree.root, 'secret'), 'utf8'), 'own')
})

test('a FIFO, a directory and an endless file are refused, not read', () => {
  using tree = new HostileTree()
  execFileSync('mkfifo', [join(tree.root, 'pipe')])
  assert.throws(() => readFileInRoot(tree.root, 'pipe'), code('EINVAL'))
  assert.throws(() => readFileInRoot(tree.root, 'etc'), code('EINVAL'))
  assert.throws(() => readFileInRoot('/', '/dev/zero'), code('EINVAL'))
  assert.throws(() => readFileInRoot(tree.root, 'secret', 2), code('EFBIG'))
  assert.throws(() => readFileInRoot(tree.root, 'a\0b'), code('EINVAL'))
})

test('the parent of a name is open while the name itself is not followed', () => {
  using tree = new HostileTree()
  const { directory, name } = openParentInRoot(tree.root, 'slash/etc/up')
  using _directory = directory
  assert.equal(name, 'up')
  assert.deepEqual(readdirSync(directory.path).sort(), ['deep', 'passwd', 'up'])
  const top = openParentInRoot(tree.root, '/')
  using _top = top.directory
  assert.equal(top.name, '.')
})

test('names that are not UTF-8 are found by their bytes', () => {
  using tree = new HostileTree()
  const name = Buffer.from([0x66, 0xff, 0x6f])
  writeFileSync(Buffer.concat([Buffer.from(`${tree.root}/`), name]), 'bytes')
  assert.equal(readFileInRoot(tree.root, name).toString(), 'bytes')
})

test('files are created through the root only', () => {
  using tree = new HostileTree()
  using file = openInRoot(
    tree.root,
    '../../new-file',
    openFlags.O_CREAT | openFlags.O_WRONLY | openFlags.O_EXCL,
    0o600,
  )
  writeFileSync(file.fd, 'x')
  assert.equal(readFileSync(join(tree.root, 'new-file'), 'utf8'), 'x')
  assert.ok(!existsSync(join(tree.outside, 'new-file')))
})
