import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { getXattr, setXattr } from '../../../src/kernel/xattr.ts'
import { layerTar } from '../../../src/layers/layer-tar.ts'
import { chainIds } from '../../../src/layers/layer-apply.ts'
import { tarHeader, type TarHeader } from '../../../src/lib/tar-format.ts'
import type { TarSource } from '../../../src/lib/tar-stream.ts'
import { diffId, type ChainId } from '../../../src/spec/ids.ts'
import { tarOf } from '../../../tools/images/busybox.ts'
import { newContainerId, openTestRoom, type TestRoom } from '../images/image-room.ts'

const signal = () => AbortSignal.timeout(60_000)

function file(name: string, text = name, fields: Partial<TarHeader> = {}): TarSource {
  return {
    header: tarHeader({ name, type: 'file', size: Buffer.byteLength(text), ...fields }),
    content: [Buffer.from(text)],
  }
}

function directory(name: string, fields: Partial<TarHeader> = {}): TarSource {
  return { header: tarHeader({ name, type: 'directory', ...fields }) }
}

function symlink(name: string, linkName: string): TarSource {
  return { header: tarHeader({ name, type: 'symlink', linkName }) }
}

/** Applies tars as one chain and keeps their rows, as an image would; answers the topmost. */
async function apply({ room, root }: TestRoom, ...layers: Buffer[]): Promise<ChainId> {
  const sources = layers.map((layer, index) => {
    const path = join(root, `layer-${index}-${createHash('sha256').update(layer).digest('hex').slice(0, 8)}`)
    writeFileSync(path, layer)
    return { path, diffId: diffId(`sha256:${createHash('sha256').update(layer).digest('hex')}`) }
  })
  await using applied = await room.layers.apply(sources, signal())
  room.layers.insert(applied.added)
  return applied.layers.at(-1)!.chainId
}

/** The merged tree of a chain, through a container of its own. */
async function mounted(
  test: TestRoom,
  top: ChainId,
): Promise<{ id: ReturnType<typeof newContainerId>; tree: string }> {
  const id = newContainerId()
  await test.room.rootfs.prepare(id, top, {})
  const tree = await test.room.rootfs.mount(id, { volatile: true })
  return { id, tree }
}

test('owners, modes, times, xattrs, devices and hard links are as the tar says', async (t) => {
  const room = await openTestRoom(t)
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
  const top = await apply(
    room,
    await tarOf([
      directory('./', { mode: 0o711, uid: 7 }),
      directory('d', { mode: 0o1777, uid: 3, gid: 4, mtimeNs: 1_500_000_000_123_456_789n }),
      file('d/f', 'text', {
        mode: 0o4755,
        uid: 70_000,
        gid: 5,
        mtimeNs: 1_400_000_000_000_000_001n,
        xattrs: new Map([
          ['security.capability', capability],
          ['user.x', Buffer.from([0, 255])],
          ['trusted.overlay.opaque', Buffer.from('y')],
        ]),
      }),
      { header: tarHeader({ name: 'd/hard', type: 'hardlink', linkName: 'd/f' }) },
      symlink('d/link', 'f'),
      {
        header: tarHeader({ name: 'd/null', type: 'character', deviceMajor: 1, deviceMinor: 3, mode: 0o666 }),
      },
      { header: tarHeader({ name: 'd/block', type: 'block', deviceMajor: 259, deviceMinor: 300 }) },
      { header: tarHeader({ name: 'd/fifo', type: 'fifo', mode: 0o600 }) },
      file('d/bad\udcff', 'not UTF-8'),
    ]),
  )
  const { tree } = await mounted(room, top)
  const stat = (name: string) => statSync(join(tree, name), { bigint: true })
  assert.deepEqual([stat('.').mode & 0o7777n, stat('.').uid], [0o711n, 7n])
  assert.deepEqual(
    [stat('d').mode & 0o7777n, stat('d').uid, stat('d').gid, stat('d').mtimeNs],
    [0o1777n, 3n, 4n, 1_500_000_000_123_456_789n],
  )
  const f = stat('d/f')
  assert.deepEqual(
    [f.mode & 0o7777n, f.uid, f.gid, f.mtimeNs, f.nlink],
    [0o4755n, 70_000n, 5n, 1_400_000_000_000_000_001n, 2n],
  )
  assert.ok(getXattr(join(tree, 'd/f'), 'security.capability')?.equals(capability))
  assert.ok(getXattr(join(tree, 'd/f'), 'user.x')?.equals(Buffer.from([0, 255])))
  assert.equal(stat('d/hard').ino, f.ino)
  assert.equal(readlinkSync(join(tree, 'd/link')), 'f')
  assert.equal(
    execFileSync(
      'stat',
      ['-c', '%F %t %T', join(tree, 'd/null'), join(tree, 'd/block'), join(tree, 'd/fifo')],
      { encoding: 'utf8' },
    ),
    'character special file 1 3\nblock special file 103 12c\nfifo 0 0\n',
  )
  assert.ok(
    readdirSync(join(tree, 'd'), { encoding: 'buffer' }).some((name) =>
      name.equals(Buffer.from('626164ff', 'hex')),
    ),
  )
})

test('whiteouts and opaque directories take away what lies below, and only that', async (t) => {
  const room = await openTestRoom(t)
  const top = await apply(
    room,
    await tarOf([
      directory('a'),
      file('a/gone'),
      file('a/stays'),
      directory('b'),
      file('b/hidden'),
      directory('c'),
      file('c/x'),
      directory('e'),
      file('e/old'),
      file('f'),
    ]),
    await tarOf([
      directory('a'),
      file('a/.wh.gone', ''),
      directory('b'),
      file('b/shown'),
      file('b/.wh..wh..opq', ''),
      file('.wh.c', ''),
      // A whiteout and then a directory of the same name, and the other way round.
      file('.wh.e', ''),
      directory('e'),
      file('e/new'),
      file('f', 'replaced'),
      file('.wh.f', ''),
      file('.wh.nothing', ''),
    ]),
  )
  const { tree } = await mounted(room, top)
  const names = (path: string) => readdirSync(join(tree, path)).sort()
  assert.deepEqual(names('a'), ['stays'])
  assert.deepEqual(names('b'), ['shown'])
  assert.deepEqual(names('e'), ['new'])
  assert.equal(readFileSync(join(tree, 'f'), 'utf8'), 'replaced')
  assert.ok(!existsSync(join(tree, 'c')))
  assert.ok(!existsSync(join(tree, 'nothing')))
})

test('directories that a layer uses without describing them keep what they are below', async (t) => {
  const room = await openTestRoom(t)
  const top = await apply(
    room,
    await tarOf([
      directory('./', { mode: 0o710 }),
      directory('etc', { mode: 0o750, uid: 9 }),
      directory('etc/deep', { mode: 0o700 }),
    ]),
    await tarOf([file('etc/deep/file')]),
  )
  const { tree } = await mounted(room, top)
  assert.deepEqual(
    [
      statSync(tree).mode & 0o7777,
      statSync(join(tree, 'etc')).mode & 0o7777,
      statSync(join(tree, 'etc')).uid,
      statSync(join(tree, 'etc/deep')).mode & 0o7777,
    ],
    [0o710, 0o750, 9, 0o700],
  )
})

test('200 layers mount, and the topmost wins', async (t) => {
  const room = await openTestRoom(t)
  const layers = await Promise.all(
    Array.from({ length: 200 }, async (_, index) =>
      tarOf([file('same', String(index)), file(`only-${index}`)]),
    ),
  )
  const top = await apply(room, ...layers)
  const { tree } = await mounted(room, top)
  assert.equal(readFileSync(join(tree, 'same'), 'utf8'), '199')
  assert.equal(readdirSync(tree).filter((name) => name.startsWith('only-')).length, 200)
})

test('hostile archives touch nothing outside, and leave nothing behind when refused', async (t) => {
  const room = await openTestRoom(t)
  const outside = mkdtempSync(join(tmpdir(), 'wharf-outside-'))
  t.after(() => rmSync(outside, { recursive: true, force: true }))
  writeFileSync(join(outside, 'precious'), 'untouched')
  const escapes: Record<string, TarSource[]> = {
    'dot-dot name': [file('../../escape')],
    'dot-dot inside': [file('a/../../../escape')],
    'hard link to dot-dot': [
      { header: tarHeader({ name: 'h', type: 'hardlink', linkName: '../../../etc/passwd' }) },
    ],
    'hard link through a link': [
      symlink('out', outside),
      { header: tarHeader({ name: 'h', type: 'hardlink', linkName: 'out/precious' }) },
    ],
    'whiteout of dot-dot': [file('a/.wh...', '')],
    'whiteout without a name': [file('a/.wh.', '')],
    'file instead of the root': [file('.')],
    'too many owners': [file('f', 'x', { uid: 2 ** 33 })],
  }
  for (const [name, entries] of Object.entries(escapes)) {
    await assert.rejects(apply(room, await tarOf(entries)), Error, name)
  }
  await assert.rejects(
    apply(room, Buffer.from('this is no tar at all, but long enough'.repeat(40))),
    /invalid tar header/,
  )
  assert.deepEqual(room.room.layers.all(), [])
  assert.deepEqual(readdirSync(join(room.root, 'layers/overlay2/drafts')), [])
  // These are allowed, and stay inside.
  const top = await apply(
    room,
    await tarOf([
      symlink('out', outside),
      file('out/precious', 'overwritten?'),
      symlink('up', '../../../../../../../..'),
      directory('up/tmp'),
      file('up/tmp/x'),
      file('/absolute/name'),
      symlink('swap', '/etc'),
      directory('swap'),
      file('swap/file'),
      file('twice', '1'),
      directory('twice'),
      file('twice/in'),
      symlink('twice', 'else'),
      symlink('loop', 'loop2'),
      symlink('loop2', 'loop'),
    ]),
  )
  const { tree } = await mounted(room, top)
  assert.equal(readFileSync(join(outside, 'precious'), 'utf8'), 'untouched')
  assert.deepEqual(readdirSync(outside), ['precious'])
  assert.equal(readFileSync(join(tree, outside, 'precious'), 'utf8'), 'overwritten?')
  assert.ok(existsSync(join(tree, 'absolute/name')))
  assert.ok(existsSync(join(tree, 'tmp/x')))
  assert.ok(statSync(join(tree, 'swap/file')).isFile())
  assert.ok(lstatSync(join(tree, 'twice')).isSymbolicLink())
  await assert.rejects(
    apply(room, await tarOf([symlink('loop', 'loop2'), symlink('loop2', 'loop'), file('loop/x')])),
    /ELOOP|too many (levels of symbolic )?links/i,
  )
})

test('a layer beyond the limit is refused', async (t) => {
  const room = await openTestRoom(t, { maxLayerBytes: 1000 })
  await assert.rejects(apply(room, await tarOf([file('big', 'x'.repeat(2000))])), /larger than the limit/)
})

test('a wrong digest is refused', async (t) => {
  const room = await openTestRoom(t)
  const path = join(room.root, 'layer')
  writeFileSync(path, await tarOf([file('x')]))
  const source = { path, diffId: diffId(`sha256:${'0'.repeat(64)}`) }
  await assert.rejects(
    room.room.layers.apply([source], signal()),
    /invalid diffID for layer: expected "sha256:0+", got "sha256:/,
  )
})

test('chain ids are those of the OCI specification', () => {
  const ids = [1, 2].map((digit) => diffId(`sha256:${String(digit).repeat(64)}`))
  const expected = createHash('sha256').update(`${ids[0]} ${ids[1]}`).digest('hex')
  assert.deepEqual(chainIds(ids), [ids[0], `sha256:${expected}`])
})

test('changes are told as docker diff tells them', async (t) => {
  const room = await openTestRoom(t)
  const top = await apply(
    room,
    await tarOf([
      directory('a'),
      file('a/edit'),
      file('a/remove'),
      file('a/touch', 'same'),
      directory('gone'),
      file('gone/x'),
      directory('again'),
      file('again/old'),
      file('again/same'),
      file('was-file'),
      directory('was-dir'),
      file('was-dir/x'),
      directory('deep/er'),
      directory('quiet'),
      file('quiet/x'),
    ]),
  )
  const { id, tree } = await mounted(room, top)
  execFileSync('sh', [
    '-c',
    `cd ${tree}
    echo more >> a/edit; rm a/remove; touch a/touch; rm -r gone
    rm -r again; mkdir again; echo n > again/new; echo s > again/same
    rm was-file; mkdir was-file; touch was-file/y; rm -r was-dir; touch was-dir
    mkdir -p deep/er/new; touch deep/er/new/f; chmod 700 quiet; touch temporary; rm temporary`,
  ])
  const shown = (await room.room.rootfs.changes(id)).map(({ Kind, Path }) => `${'CAD'[Kind]} ${Path}`)
  assert.deepEqual(shown, [
    'C /a',
    'C /a/edit',
    'D /a/remove',
    'C /a/touch',
    'C /again',
    'A /again/new',
    'D /again/old',
    'C /again/same',
    'C /deep',
    'C /deep/er',
    'A /deep/er/new',
    'A /deep/er/new/f',
    'D /gone',
    'C /quiet',
    'C /was-dir',
    'C /was-file',
    'A /was-file/y',
  ])
})

test('a tree that is packed and unpacked again is the same to GNU tar', async (t) => {
  const room = await openTestRoom(t)
  const source = mkdtempSync(join(tmpdir(), 'wharf-tree-'))
  t.after(() => rmSync(source, { recursive: true, force: true }))
  execFileSync('sh', [
    '-c',
    `cd ${source}
    mkdir -p d/e; echo one > d/one; ln d/one d/two; ln -s one d/link; mkfifo d/fifo; mknod d/dev c 5 1
    head -c 300000 /dev/urandom > d/e/random; chmod 4711 d/e/random; chown 12:34 d/one; touch -d '2001-02-03 04:05:06.789012345' d/one
    touch "d/$(printf 'bad\\377name')" d/${'l'.repeat(200)}`,
  ])
  setXattr(join(source, 'd/one'), 'user.binary', Buffer.from([0, 1, 254, 255]))
  mkdirSync(join(source, 'd/empty'))
  symlinkSync('/nowhere', join(source, 'dangling'))
  const pack = () => Buffer.concat(Array.from(layerTar(source), (chunk) => Buffer.from(chunk)))
  const packed = pack()
  assert.ok(pack().equals(packed), 'the same bytes each time')
  const top = await apply(room, packed)
  const unpacked = room.room.layers.driver.layerDirectory(room.room.layers.get(top)!.directory)
  const listing = (path: string) =>
    execFileSync(
      'sh',
      [
        '-c',
        `cd ${path} && find . -mindepth 1 -printf '%p %y %m %U %G %s %T@ %n %l\\n' | grep -v '^./d y' | sort; getfattr -dhR -m user . 2>/dev/null; find . -type f -exec sha256sum {} + | sort`,
      ],
      { encoding: 'latin1' },
    )
  // Sizes of directories are the file system's own affair.
  const withoutSizes = (text: string) => text.replace(/^(\S+ d \d+ \d+ \d+) \d+/gm, '$1')
  assert.equal(withoutSizes(listing(unpacked)), withoutSizes(listing(source)))
  const gnu = execFileSync('tar', ['-tf', '-'], { input: packed, encoding: 'latin1' })
    .trim()
    .split('\n').length
  assert.equal(
    gnu,
    Number(
      execFileSync('sh', ['-c', `find ${source} -mindepth 1 -print0 | tr -cd '\\0' | wc -c`], {
        encoding: 'utf8',
      }),
    ),
  )
})
