/** Mounts of every kind in containers of a whole daemon, by the stock docker CLI and the API. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { mount, mountFlags } from '../../../src/kernel/mount.ts'
import { makeImage } from '../../fixtures/loop-file-system.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon
/** A directory of the tests', on the host. */
let host: string

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
  host = join(daemon.names.root, 'host')
  mkdirSync(host)
})
after(async () => daemon[Symbol.asyncDispose]())

async function docker(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args)
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

/** What a command of the docker CLI complains about when it fails. */
async function refused(...args: string[]): Promise<string> {
  const { code, stderr } = await daemon.docker(args)
  assert.notEqual(code, 0)
  return (
    stderr
      .trim()
      .replace(/^docker: /, '')
      .split('\n')[0] ?? ''
  )
}

/** The answer of a create with these mounts, and with what a shell command printed when it was started. */
async function createWith(mounts: object[], command = 'true'): Promise<{ status: number; text: string }> {
  const body = { Image: 'busybox', Cmd: ['sh', '-c', command], HostConfig: { Mounts: mounts } }
  const { status, json } = await daemon.api('POST', '/containers/create', body)
  const answer = json as { Id?: string; message?: string }
  if (answer.Id === undefined) return { status, text: answer.message ?? '' }
  const started = await daemon.docker(['start', '-a', answer.Id])
  const inspected = (await daemon.api('GET', `/containers/${answer.Id}/json`)).json as { Mounts: object[] }
  await docker('rm', '-fv', answer.Id)
  return { status, text: `${started.stdout}${started.stderr}${JSON.stringify(inspected.Mounts)}` }
}

test('an image’s files are mounted read-only, whole or by a subpath, and keep their layers', async () => {
  await docker('tag', 'busybox', 'tools:1')
  const whole = await createWith(
    [{ Type: 'image', Source: 'tools:1', Target: '/tools' }],
    'cat /tools/etc/passwd | head -n 1; ls -A /tools | grep -c dockerenv; echo x > /tools/x',
  )
  assert.match(whole.text, /^root:.*\n0\n/)
  assert.match(whole.text, /can't create \/tools\/x: Read-only file system/)
  assert.match(whole.text, /"Type":"image","Name":"tools:1",.*"Destination":"\/tools".*"RW":false/)
  const part = { Type: 'image', Source: 'tools:1', Target: '/etc2', ImageOptions: { Subpath: 'etc' } }
  assert.match((await createWith([part], 'ls /etc2/passwd')).text, /^\/etc2\/passwd\n/)
  const away = { ...part, ImageOptions: { Subpath: '../etc' } }
  assert.match((await createWith([away])).text, /subpath must be a relative path within the image/)
  const absent = { ...part, ImageOptions: { Subpath: 'no/such' } }
  assert.match(
    (await createWith([absent])).text,
    /cannot access path .* of image tools:1: no such file or directory/,
  )
  assert.deepEqual(await createWith([{ Type: 'image', Source: 'nowhere:1', Target: '/x' }]), {
    status: 404,
    text: 'No such image: nowhere:1',
  })
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
  assert.ok(!mounts.includes(`${daemon.dataRoot}/layers`), 'nothing is left mounted')
})

test('binds: missing sources, recursion, read-only all the way down, and propagation', async () => {
  const missing = join(host, 'missing')
  const bind = { Type: 'bind', Source: missing, Target: '/b' }
  assert.deepEqual(await createWith([bind]), {
    status: 400,
    text: `invalid mount config for type "bind": bind source path does not exist: ${missing}`,
  })
  assert.equal((await createWith([{ ...bind, BindOptions: { CreateMountpoint: true } }])).status, 201)
  assert.ok(existsSync(missing))

  const outer = join(host, 'outer')
  mkdirSync(join(outer, 'inner'), { recursive: true })
  mount({ source: outer, target: outer, flags: mountFlags.bind })
  mount({ source: 'none', target: outer, flags: mountFlags.shared })
  mount({ source: 'tmpfs', target: join(outer, 'inner'), type: 'tmpfs' })
  writeFileSync(join(outer, 'inner/file'), 'below')
  const to = (options: object, more: object = {}) => ({
    Type: 'bind',
    Source: outer,
    Target: '/b',
    ...more,
    BindOptions: options,
  })
  const look = 'ls /b/inner; touch /b/inner/new 2>&1; rm -f /b/inner/new'
  assert.match((await createWith([to({})], look)).text, /^file\n\[/)
  assert.match((await createWith([to({ NonRecursive: true })], look)).text, /^\[/)
  const readOnly = { ReadOnly: true }
  assert.match((await createWith([to({}, readOnly)], look)).text, /^file\ntouch: .*Read-only file system/)
  assert.match((await createWith([to({ ReadOnlyNonRecursive: true }, readOnly)], look)).text, /^file\n\[/)

  const watched = await docker('run', '-d', '-v', `${outer}:/b:rslave`, 'busybox', 'sleep', '1000')
  mkdirSync(join(outer, 'later'))
  mount({ source: 'tmpfs', target: join(outer, 'later'), type: 'tmpfs' })
  writeFileSync(join(outer, 'later/seen'), '')
  assert.equal(await docker('exec', watched, 'ls', '/b/later'), 'seen')
  await docker('rm', '-f', watched)
  mount({ source: 'none', target: outer, flags: mountFlags.private })
  assert.equal(
    (await refused('run', '--rm', '-v', `${outer}:/b:rshared`, 'busybox', 'true')).replace(
      /^.*?: (?=path)/,
      '',
    ),
    `path ${outer} is mounted on ${outer} but it is not a shared mount`,
  )
})

test('the local driver mounts what its options say, and tells what the kernel said', async () => {
  const create = (name: string, options: Record<string, string>) =>
    docker(
      'volume',
      'create',
      ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]),
      name,
    )
  const use = (name: string, command: string) =>
    docker('run', '--rm', '-v', `${name}:/v`, 'busybox', 'sh', '-c', command)
  const bound = join(host, 'bound')
  mkdirSync(bound)
  await create('bound', { type: 'none', o: 'bind', device: bound })
  await use('bound', 'echo kept > /v/file')
  assert.equal(readFileSync(join(bound, 'file'), 'utf8'), 'kept\n')
  await create('bound-ro', { type: 'none', o: 'bind,ro', device: bound })
  assert.equal(await use('bound-ro', 'cat /v/file; touch /v/no 2>&1 | grep -c Read-only'), 'kept\n1')
  await create('memory', { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=7,mode=750' })
  assert.match(await use('memory', 'stat -c "%u %a" /v; df -k /v | tail -n 1'), /^7 750\ntmpfs +1024 /)
  for (const type of ['ext4', 'btrfs'] as const) {
    const device = makeImage(join(host, `${type}.img`), type)
    await create(type, { type, device })
    await use(type, 'echo inside > /v/file')
    assert.equal(await use(type, `cat /v/file; grep -c "/v ${type} " /proc/mounts`), 'inside\n1')
  }
  await create('share', { type: 'nfs', device: ':/export', o: 'addr=127.0.0.1,rw' })
  const failure = await refused('run', '--rm', '-v', 'share:/v', 'busybox', 'true')
  const text = String.raw`error while mounting volume '.*/share/_data': failed to mount local volume: mount :/export:.*/share/_data, data: addr=127.0.0.1`
  assert.match(failure, new RegExp(text))
  if (!readFileSync('/proc/filesystems', 'utf8').includes('nfs')) {
    assert.match(
      failure,
      /no such device \(the kernel has no file system of type "nfs": see \/proc\/filesystems\)/,
    )
  }
  await create('secret', { type: 'cifs', device: '//127.0.0.1/x', o: 'username=u,password=hunter2' })
  const hidden = await refused('run', '--rm', '-v', 'secret:/v', 'busybox', 'true')
  assert.ok(hidden.includes('password=********') && !hidden.includes('hunter2'), hidden)
  await docker('volume', 'rm', 'bound', 'bound-ro', 'memory', 'ext4', 'btrfs', 'share', 'secret')
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(`${daemon.dataRoot}/volumes`))
})

test('hostile and odd mounts are refused in Docker’s words, and nothing outside is touched', async () => {
  const cases: [string[], RegExp][] = [
    [
      ['-v', '/tmp:/'],
      /invalid volume specification: '\/tmp:\/': invalid mount config for type "bind": invalid specification: destination can't be '\/'/,
    ],
    [
      ['-v', 'rel/path:/x'],
      /create rel\/path: "rel\/path" includes invalid characters for a local volume name, only "\[a-zA-Z0-9\]\[a-zA-Z0-9_.-\]" are allowed\. If you intended to pass a host directory, use absolute path/,
    ],
    [['-v', '-name:/x'], /create -name: "-name" includes invalid characters/],
    [['-v', '/tmp:/a', '-v', '/etc:/a'], /Duplicate mount point: \/a/],
    [['-v', 'v:/x:bogus'], /invalid mode: bogus/],
    [
      ['--mount', 'type=volume,src=sub,dst=/x,volume-subpath=/abs'],
      /subpath must be a relative path within the volume|unexpected key/,
    ],
  ]
  for (const [flags, reason] of cases)
    assert.match(await refused('run', '--rm', ...flags, 'busybox', 'true'), reason)
  assert.match(
    await refused('volume', 'create', 'x'),
    /volume name is too short, names should be at least two alphanumeric characters/,
  )
  const long = 'n'.repeat(256)
  assert.match(await refused('volume', 'create', long), /file name too long|name too long/i)
  assert.ok(!existsSync(join(daemon.dataRoot, 'volumes', long)))
  // A link in a volume means what it means to the container, to the engine too.
  const secret = join(host, 'secret')
  writeFileSync(secret, 'of the host')
  await docker('volume', 'create', 'linked')
  symlinkSync('/etc', join(daemon.dataRoot, 'volumes/linked/_data/out'))
  const through = { Type: 'volume', Source: 'linked', Target: '/x', VolumeOptions: { Subpath: 'out' } }
  assert.match(
    (await createWith([through])).text,
    /cannot access path .*\/out of volume linked: no such file or directory/,
  )
  for (const [target, reason] of [
    ['/proc', 'not of type proc'],
    ['/proc/sys', 'inside /proc'],
  ] as const) {
    const text = await refused('run', '--rm', '-v', `/tmp:${target}`, 'busybox', 'true')
    assert.match(
      text,
      new RegExp(`"/tmp" to rootfs at "${target}": .* cannot be mounted because it is ${reason}`),
    )
  }
  await docker('run', '--rm', '-v', '/proc:/proc', 'busybox', 'true')
  // Over one another, the deeper lies on top.
  const layered = await docker(
    'run',
    '--rm',
    '-v',
    'linked:/a',
    '-v',
    `${host}:/a/b:ro`,
    'busybox',
    'sh',
    '-c',
    'ls /a/b/secret; ls /a',
  )
  assert.match(layered, /^\/a\/b\/secret\nb\nout$/)
  assert.match(await refused('volume', 'rm', 'nowhere'), /get nowhere: no such volume/i)
  const updated = await daemon.api('PUT', '/volumes/linked?version=1', { Spec: {} })
  assert.deepEqual(
    [updated.status, (updated.json as { message: string }).message],
    [503, 'volume update only valid for cluster volumes, but swarm is unavailable'],
  )
  await docker('volume', 'rm', '-f', 'nowhere')
})

test('a read-only or full file system is told, and leaves no half of a volume', async () => {
  const full = join(host, 'full')
  mkdirSync(full)
  mount({ source: 'tmpfs', target: full, type: 'tmpfs', data: 'size=64k' })
  await docker('volume', 'create', '-o', 'type=none', '-o', 'o=bind', '-o', `device=${full}`, 'small')
  const copied = await refused('run', '--rm', '-v', 'small:/bin', 'busybox', 'true')
  assert.match(copied, /no space left on device/i)
  execFileSync('mount', ['-o', 'remount,ro', full])
  const made = await refused('run', '--rm', '-v', `${full}/new:/x`, 'busybox', 'true')
  assert.match(
    made,
    new RegExp(`error while creating mount source path '${full}/new': .*read-only file system`, 'i'),
  )
  await docker('volume', 'rm', 'small')
})
