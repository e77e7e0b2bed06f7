/**
 * Base images without a registry. What mmdebstrap makes is its own affair and takes minutes: here a program of its name
 * takes its place, and what it is asked and what becomes of its tar is looked at.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon

before(async () => {
  daemon = await startDaemon()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

async function idOf(name: string): Promise<string> {
  const { json } = await daemon.api('GET', `/v1.44/images/${name}/json`)
  return (json as { Id?: string }).Id ?? ''
}

test('busybox is made of the installed package, always the same, and runs', async () => {
  for (const name of ['busybox', 'again:v1']) {
    const made = await daemon.wharf(['image', 'bootstrap', '-t', name, 'busybox'])
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, new RegExp(`^Loaded image: ${name}`))
  }
  assert.match(await idOf('busybox'), /^sha256:/)
  assert.equal(await idOf('busybox'), await idOf('again:v1'))
  const ran = await daemon.wharf(['run', '--rm', 'busybox', 'echo', 'hello'])
  assert.equal(ran.stdout, 'hello\n', ran.stderr)
})

test("debian:RELEASE asks mmdebstrap for the packages of this machine's apt", async () => {
  const programs = join(daemon.names.root, 'programs')
  mkdirSync(programs)
  const script = `#!/bin/sh
echo "$SOURCE_DATE_EPOCH $*" > ${programs}/asked
cat > ${programs}/sources
for target; do last2=$last; last=$target; done
case "$*" in *broken*) echo 'E: no such package' >&2; exit 1;; esac
mkdir -p ${programs}/tree/etc && echo made > ${programs}/tree/etc/made
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C ${programs}/tree -cf "$last2" .
`
  writeFileSync(join(programs, 'mmdebstrap'), script)
  chmodSync(join(programs, 'mmdebstrap'), 0o755)
  const env = { PATH: `${programs}:${process.env['PATH'] ?? ''}` }
  const ids = new Set<string>()
  for (const name of ['one', 'two']) {
    const args = ['image', 'bootstrap', '--include', 'curl,jq', '-t', `deb:${name}`, 'debian:bookworm']
    const made = await daemon.wharf(args, { env })
    assert.equal(made.code, 0, made.stderr)
    ids.add(await idOf(`deb:${name}`))
  }
  assert.equal(ids.size, 1, 'the same packages give the same image')
  assert.match(
    readFileSync(join(programs, 'asked'), 'utf8'),
    /^1686355200 --variant=minbase --format=tar --include=curl,jq bookworm \S+\/layer\.tar -\n$/,
  )
  assert.match(readFileSync(join(programs, 'sources'), 'utf8'), /^deb .* bookworm .*main/m)
  const saved = await daemon.wharf(['run', '--rm', '--entrypoint', 'none', 'deb:one'])
  assert.equal(saved.code, 127, 'the image is there, and the program is not in it')
  const broken = await daemon.wharf(['image', 'bootstrap', '--include', 'broken', 'debian:bookworm'], { env })
  assert.equal(broken.code, 1)
  assert.match(broken.stderr, /mmdebstrap failed: E: no such package\n$/)
})

test('what it knows nothing of is refused', async () => {
  const other = await daemon.wharf(['image', 'bootstrap', 'alpine'])
  assert.equal(other.code, 1)
  assert.match(other.stderr, /try busybox, or debian:RELEASE/)
})
