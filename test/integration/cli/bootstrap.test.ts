/** `image bootstrap` out of an archive of this test's own: a directory of packages, no network. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon
let root = ''
let mirror: string[] = []

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'wharf-archive-'))
  const packages = [
    makePackage('busybox-static', 'install -D /bin/busybox "$ROOT/bin/busybox"'),
    makePackage('tiny', 'mkdir -p "$ROOT/etc" && echo tiny >"$ROOT/etc/tiny"'),
  ]
  writeFileSync(join(root, 'Packages'), packages.join('\n'))
  mirror = ['--mirror', `deb [trusted=yes] copy:${root} ./`]
  daemon = await startDaemon()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  rmSync(root, { recursive: true, force: true })
})

/** Makes a package; answers what the archive's list says of it. */
function makePackage(name: string, fill: string): string {
  const tree = join(root, name)
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true })
  const architecture = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim()
  writeFileSync(
    join(tree, 'DEBIAN/control'),
    `Package: ${name}\nVersion: 1\nArchitecture: ${architecture}\nMaintainer: a test <test@localhost>\nDescription: test\n`,
  )
  execFileSync('sh', ['-ec', fill], { env: { ...process.env, ROOT: tree } })
  execFileSync('dpkg-deb', ['--build', '--root-owner-group', tree, `${tree}.deb`], { stdio: 'ignore' })
  rmSync(tree, { recursive: true })
  const bytes = readFileSync(`${tree}.deb`)
  const sum = createHash('sha256').update(bytes).digest('hex')
  const control = execFileSync('dpkg-deb', ['--field', `${tree}.deb`], { encoding: 'utf8' })
  return `${control}Filename: ./${name}.deb\nSize: ${bytes.length}\nSHA256: ${sum}\n`
}

async function wharf(args: string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await daemon.wharf(args, { env })
  assert.equal(code, 0, stderr)
  return stdout.trimEnd()
}

const idOf = (name: string) => wharf(['image', 'inspect', '--format', '{{.Id}}', name])

test('busybox is made of its package, runs, and is the same every time', async () => {
  assert.equal(await wharf(['image', 'bootstrap', ...mirror, 'busybox']), 'Loaded image: busybox:latest')
  const id = await idOf('busybox')
  assert.equal(await wharf(['run', '--rm', '--network=none', 'busybox', 'echo', 'made']), 'made')
  await wharf(['rmi', 'busybox'])
  await wharf(['image', 'bootstrap', ...mirror, 'busybox:again'])
  assert.equal(await idOf('busybox:again'), id)
})

test('debian is what mmdebstrap makes of the release, dated as asked for', async () => {
  const extract = ['--variant', 'extract', '--include', 'tiny']
  const make = (...more: string[]) => wharf(['image', 'bootstrap', ...mirror, ...extract, ...more])
  assert.equal(await make('debian:bookworm'), 'Loaded image: debian:bookworm')
  const first = await idOf('debian:bookworm')
  await make('debian:bookworm')
  assert.equal(await idOf('debian:bookworm'), first)
  await make('--date', '2024-01-02T03:04:05Z', 'debian:dated')
  const shown = await wharf([
    'image',
    'inspect',
    '--format',
    '{{.Created}} {{.Config.Cmd}} {{.Os}}',
    'debian:dated',
  ])
  assert.equal(shown, '2024-01-02T03:04:05Z [bash] linux')
  const id = (await wharf(['create', 'debian:dated'])).trim()
  const copied = await daemon.docker(['cp', `${id}:/etc/tiny`, '-'])
  assert.match(copied.stdout, /tiny\n/)
  await wharf(['rm', id])
})

test('what cannot be made is refused, and leaves nothing', async () => {
  const failure = async (...args: string[]) => {
    const { code, stderr } = await daemon.wharf(['image', 'bootstrap', ...args])
    assert.equal(code, 1)
    return stderr
  }
  assert.match(await failure('alpine'), /alpine cannot be made here: name busybox\[:TAG\] or debian:SUITE/)
  assert.match(await failure('--date', 'someday', 'busybox'), /invalid date: "someday"/)
  const absent = ['--variant', 'extract', '--include', 'absent']
  assert.match(await failure(...mirror, ...absent, 'debian:bookworm'), /mmdebstrap failed with exit code/)
})
