/**
 * Trees made by chance, through our tar code and GNU tar both ways, and changes made by chance against what `find`
 * sees. The seed is printed; set WHARF_SEED to have the same again.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { layerTar } from '../../../src/layers/layer-tar.ts'
import { diffId, type ChainId } from '../../../src/spec/ids.ts'
import { chance, quote, shell, treeScript } from '../../fixtures/random-tree.ts'
import { newContainerId, openTestRoom, type TestRoom } from '../images/image-room.ts'

const seed = Number(process.env['WHARF_SEED'] ?? Date.now() % 1_000_000)
const changesMade = 50
/** What the engine lays over every image. */
const initNames = /(^| )\.\/(\.dockerenv|dev|etc|proc|sys)([/|]|$)/

/** All that is to be told of the files of a tree, a line each. */
function listing(directory: string): string[] {
  const script = `find . -mindepth 1 -printf '%p|%y|%m|%U|%G|%T@|%l|' \\( -type f -printf '%s|%n|' -o -true \\) -printf '\\n' | sort
    find . -type f -print0 | sort -z | xargs -0r sha256sum; getfattr -dhR -m user . 2>/dev/null; find . -type c -exec stat -c '%n %t:%T' {} + | sort`
  return execFileSync('sh', ['-c', script], { cwd: directory, encoding: 'latin1', maxBuffer: 1 << 26 }).split(
    '\n',
  )
}

async function apply({ room, root }: TestRoom, tar: Buffer): Promise<ChainId> {
  const path = join(root, 'layer.tar')
  writeFileSync(path, tar)
  const id = diffId(`sha256:${createHash('sha256').update(tar).digest('hex')}`)
  await using applied = await room.layers.apply([{ path, diffId: id }], AbortSignal.timeout(60_000))
  room.layers.insert(applied.added)
  return applied.layers.at(-1)!.chainId
}

test(`a tree by chance is the same through GNU tar and ours, both ways (seed ${seed})`, async (t) => {
  const room = await openTestRoom(t)
  const root = mkdtempSync(join(tmpdir(), 'wharf-random-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const [source, back] = [join(root, 'source'), join(root, 'back')]
  mkdirSync(source)
  mkdirSync(back)
  shell(source, treeScript(chance(seed)))
  const expected = listing(source)
  const gnu = join(root, 'gnu.tar')
  for (const format of ['posix', 'gnu']) {
    const xattrs = format === 'posix' ? ['--xattrs'] : []
    execFileSync('tar', ['-cf', gnu, `--format=${format}`, ...xattrs, '-C', source, '.'])
    const top = await apply(room, readFileSync(gnu))
    const layer = room.room.layers.driver.layerDirectory(room.room.layers.get(top)!.directory)
    // The older format has whole seconds and no attributes.
    const coarse = (lines: string[]) =>
      format === 'posix'
        ? lines
        : lines
            .filter((line) => !/^(user\.v=|# file: |$)/.test(line))
            .map((line) => line.replace(/\|(\d+)\.\d+\|/, '|$1|'))
    assert.deepEqual(coarse(listing(layer)), coarse(expected))
  }
  const packed = Buffer.concat(Array.from(layerTar(source), (chunk) => Buffer.from(chunk)))
  execFileSync('tar', ['-xpf', '-', '--xattrs', '--xattrs-include=*', '--numeric-owner', '-C', back], {
    input: packed,
  })
  assert.deepEqual(listing(back), expected)
})

test(`changes by chance are what find sees, and a commit of them is the same tree (seed ${seed})`, async (t) => {
  const room = await openTestRoom(t)
  const root = mkdtempSync(join(tmpdir(), 'wharf-random-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const random = chance(seed + 1)
  shell(root, treeScript(random))
  const base = Buffer.concat(Array.from(layerTar(root), (chunk) => Buffer.from(chunk)))
  const top = await apply(room, base)
  const id = newContainerId()
  await room.room.rootfs.prepare(id, top, {})
  const tree = await room.room.rootfs.mount(id, { volatile: true })
  const names = (where: string) =>
    execFileSync('find', ['.', '-mindepth', '1', '-print0'], { cwd: where, encoding: 'utf8' })
      .split('\0')
      .filter(Boolean)
      .sort()
  const before = names(tree).filter((name) => !initNames.test(name))
  const lines = Array.from({ length: changesMade }, (_, index) => {
    const name = quote(before[random(before.length)] ?? '')
    return [
      `rm -rf ${name}`,
      `chmod 0711 ${name}`,
      `mkdir -p new${index}/sub && echo x > new${index}/sub/y`,
      `[ ! -f ${name} ] || echo more >> ${name}`,
    ][random(4)]
  })
  // What an earlier line has removed is not there for a later one.
  shell(
    tree,
    lines.map((line) => `{ ${line}; } 2>/dev/null || true`),
  )
  const after = new Set(names(tree).filter((name) => !initNames.test(name)))
  const changes = await room.room.rootfs.changes(id)
  const paths = (kind: number) =>
    changes
      .filter((change) => change.Kind === kind)
      .map(({ Path: path }) => `.${path}`)
      .sort()
  const had = new Set(before)
  assert.deepEqual(paths(1), [...after].filter((name) => !had.has(name)).sort())
  // Of what is gone only the topmost is told.
  const gone = before.filter((name) => !after.has(name))
  const isTopmost = (name: string) => !gone.includes(name.slice(0, name.lastIndexOf('/')))
  assert.deepEqual(paths(2), gone.filter(isTopmost).sort())

  const target = join(room.root, 'changes.tar')
  await room.room.rootfs.pack(id, target)
  const tar = readFileSync(target)
  const diff = diffId(`sha256:${createHash('sha256').update(tar).digest('hex')}`)
  const first = room.room.layers.get(top)!
  await using applied = await room.room.layers.apply(
    [
      { path: join(room.root, 'layer.tar'), diffId: first.diffId },
      { path: target, diffId: diff },
    ],
    AbortSignal.timeout(60_000),
  )
  room.room.layers.insert(applied.added)
  const copy = newContainerId()
  await room.room.rootfs.prepare(copy, applied.layers.at(-1)!.chainId, {})
  const own = (directory: string) => listing(directory).filter((line) => !initNames.test(line))
  assert.deepEqual(own(await room.room.rootfs.mount(copy, { volatile: true })), own(tree))
})
