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
import { newContainerId, openTestRoom, type TestRoom } from '../images/image-room.ts'

const seed = Number(process.env['WHARF_SEED'] ?? Date.now() % 1_000_000)
const entries = 100
const changesMade = 50
/** What the engine lays over every image. */
const initNames = /(^| )\.\/(\.dockerenv|dev|etc|proc|sys)([/|]|$)/

/** Numbers by chance that a seed decides (mulberry32). */
function chance(from: number): (below: number) => number {
  let state = from
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A shell script that makes a tree: its lines work in an empty directory. */
function treeScript(random: (below: number) => number): string[] {
  const directories = ['.']
  const files: string[] = []
  const lines: string[] = []
  for (let index = 0; index < entries; index++) {
    const parent = directories[random(directories.length)] ?? '.'
    const name = `${parent}/${['f', 'Größe ', 'x'.repeat(120), "qu'ote", '-dash'][random(5)]}${index}`
    const quoted = quote(name)
    const mode = (random(8) * 512 + 0o400 + random(0o400)).toString(8)
    const owner = `${random(3) * 40_000}:${random(3) * 500}`
    const time = `@${1_000_000_000 + random(500_000_000)}.${String(random(1_000_000_000)).padStart(9, '0')}`
    const kind = random(10)
    if (kind < 3) {
      lines.push(`mkdir ${quoted}`)
      directories.push(name)
    } else if (kind < 7 || files.length === 0) {
      lines.push(`head -c ${random(3) * random(9000)} /dev/zero | tr '\\0' ${'abc'[random(3)]} > ${quoted}`)
      if (random(4) === 0)
        lines.push(`setfattr -n user.v -v 0x00ff${random(256).toString(16).padStart(2, '0')} ${quoted}`)
      if (random(6) === 0) lines.push(`truncate -s +${random(200_000)} ${quoted}`)
      files.push(name)
    } else if (kind === 7) lines.push(`ln ${quote(files[random(files.length)] ?? '')} ${quoted}`)
    else if (kind === 8) lines.push(`ln -s ${quote(files[random(files.length)] ?? '')} ${quoted}`)
    else
      lines.push(random(2) === 0 ? `mkfifo ${quoted}` : `mknod ${quoted} c ${random(300)} ${random(70_000)}`)
    lines.push(`chown -h ${owner} ${quoted}`)
    if (kind !== 8) lines.push(`chmod ${mode} ${quoted}`)
    lines.push(`touch -hd ${time} ${quoted}`)
  }
  // Times of directories last: making what is in them has changed them.
  for (const directory of directories.slice(1))
    lines.push(`touch -d @${1_100_000_000 + random(1_000_000)} ${quote(directory)}`)
  return lines
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function shell(directory: string, lines: readonly string[]): void {
  execFileSync('sh', ['-e'], { cwd: directory, input: lines.join('\n') })
}

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
