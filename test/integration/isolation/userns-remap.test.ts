/** `userns-remap`: containers whose root is nobody in particular on the host. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { busyboxArchive } from '../../fixtures/busybox-image.ts'
import { ownEtc, type OwnEtc } from '../../fixtures/own-etc.ts'
import { eventually, runCommand, type CommandOptions } from '../../fixtures/processes.ts'
import { Terminal } from '../../fixtures/terminal.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

/** Where the ids of containers begin on the host, different for users and groups. */
const uid0 = 200_000
const gid0 = 300_000
const storeName = `${uid0}.${gid0}`

let etc: OwnEtc
let scratch: string

before(async () => {
  etc = await ownEtc()
  scratch = mkdtempSync(join(tmpdir(), 'wharf-userns-'))
  chmodSync(scratch, 0o755)
  const made = await etc.run(`
    useradd --system --shell /bin/false --user-group mapped
    printf 'mapped:${uid0}:65536\\n' > /etc/subuid
    printf 'mapped:${gid0}:65536\\n' > /etc/subgid
    printf 'gap:${uid0}:1000\\ngap:400000:64536\\n' >> /etc/subuid`)
  assert.equal(made.code, 0, made.stderr)
})

after(async () => {
  await etc[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

async function remapped(config: Record<string, unknown> = {}): Promise<TestDaemon> {
  const daemon = await startDaemon({
    config: { 'userns-remap': 'mapped', ...config },
    mountNamespace: etc.file,
  })
  await daemon.loadBusybox()
  return daemon
}

/** Words of a command line: those of the first text, and each further one as it is. */
function words([first = '', ...more]: readonly string[]): string[] {
  return [...first.split(' '), ...more]
}

/** Runs the stock CLI on `words(args)`; its standard output. Throws where it fails. */
async function docker(
  daemon: TestDaemon,
  args: readonly string[],
  options?: CommandOptions,
): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(words(args), options)
  assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

/** `uid:gid` of a file on the host. */
function owner(path: string): string {
  const { uid, gid } = lstatSync(path)
  return `${uid}:${gid}`
}

/** The host's owner of what a container's user owns. */
function host(uid: number, gid = uid): string {
  return `${uid0 + uid}:${gid0 + gid}`
}

/** Owners of an archive's entries, by name. */
async function ownersIn(archive: string): Promise<Map<string, string>> {
  const { code, stdout, stderr } = await runCommand('tar', ['--numeric-owner', '-tvf', archive])
  assert.equal(code, 0, stderr)
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [, ids = '', , , , name = ''] = line.split(/\s+/)
        return [name, ids.replace('/', ':')]
      }),
  )
}

/** Unpacks an image's archive and answers the paths of its layers' tars, from the bottom up. */
async function layersOf(archive: string): Promise<string[]> {
  const directory = mkdtempSync(join(scratch, 'image-'))
  assert.equal((await runCommand('tar', ['-xf', archive, '-C', directory])).code, 0)
  const manifest: unknown = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'))
  const [{ Layers: layers }] = manifest as [{ Layers: string[] }]
  return layers.map((name) => join(directory, name))
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** An image `owned` with files of several users. */
async function loadOwned(daemon: TestDaemon): Promise<void> {
  const directory = mkdtempSync(join(scratch, 'owned-'))
  chmodSync(directory, 0o755)
  mkdirSync(join(directory, 'data/deep'), { recursive: true })
  writeFileSync(join(directory, 'data/mine'), 'mine')
  writeFileSync(join(directory, 'data/deep/file'), 'deep')
  for (const name of ['data', 'data/deep', 'data/mine']) chownSync(join(directory, name), 1000, 2000)
  chownSync(join(directory, 'data/deep/file'), 65_535, 0)
  const layer = join(scratch, 'owned.tar')
  await runCommand('tar', ['-C', directory, '-cf', layer, 'data'])
  await docker(daemon, ['create --name base busybox'])
  await docker(daemon, ['cp - base:/'], { input: readFileSync(layer) })
  await docker(daemon, ['commit --change', 'USER 1000:2000', 'base', 'owned'])
  await docker(daemon, ['rm base'])
}

describe('a daemon that remaps', () => {
  let daemon: TestDaemon
  const run = (...args: string[]) => docker(daemon, args)
  const inside = (first: string, ...more: string[]) => run(`run --rm ${first}`, ...more)

  before(async () => {
    daemon = await remapped()
    await loadOwned(daemon)
  })
  after(() => daemon[Symbol.asyncDispose]())

  const store = (...parts: string[]) => join(daemon.dataRoot, storeName, ...parts)

  test('keeps to a directory that is named after the root of its containers, and says so', async () => {
    const info = JSON.parse(await run('info --format', '{{json .}}')) as Record<string, unknown>
    assert.equal(info['DockerRootDir'], store())
    assert.ok((info['SecurityOptions'] as string[]).includes('name=userns'))
    assert.equal(owner(store()), `0:${gid0}`)
    assert.equal(statSync(store()).mode & 0o7777, 0o710)
    assert.ok(!existsSync(join(daemon.dataRoot, 'wharf.db')))
  })

  test('root of a container is another user on the host, in every process', async () => {
    const id = await run('run -d --name ids busybox sleep 1000')
    const pid = await run('inspect -f {{.State.Pid}}', id)
    assert.deepEqual(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/), [
      '0',
      `${uid0}`,
      '65536',
    ])
    assert.deepEqual(readFileSync(`/proc/${pid}/gid_map`, 'utf8').trim().split(/\s+/), [
      '0',
      `${gid0}`,
      '65536',
    ])
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    assert.match(status, new RegExp(`^Uid:\\s+${uid0}\\s`, 'm'))
    assert.match(status, new RegExp(`^Gid:\\s+${gid0}\\s`, 'm'))
    assert.equal(await run('exec ids id -u'), '0')
    assert.equal(await run('exec -u 5:6 ids sh -c', 'id -u; id -g'), '5\n6')
    assert.equal(
      await run('exec --privileged ids cat /proc/self/uid_map').then((t) => t.split(/\s+/)[1]),
      `${uid0}`,
    )
    assert.match(await run('top ids -eo pid,uid'), new RegExp(`\\b${uid0}\\b`))
    assert.equal(await run('inspect -f [{{.HostConfig.UsernsMode}}] ids'), '[]')
    await run('rm -f ids')
  })

  test('every container has a user namespace of its own', async () => {
    const read = () => inside('busybox readlink /proc/self/ns/user')
    const [first, second] = [await read(), await read()]
    await run('run -d --name one busybox sleep 1000')
    const running = await run('exec one readlink /proc/self/ns/user')
    const beside = await read()
    assert.notEqual(running, beside)
    const own = (await runCommand('readlink', ['/proc/self/ns/user'])).stdout.trim()
    for (const namespace of [first, second, running, beside]) assert.notEqual(namespace, own)
    await run('rm -f one')
  })

  test('layers lie on the host with the owners shifted, containers see those of the image', async () => {
    const seen = await inside(
      '-u 0 owned stat -c',
      '%u:%g %n',
      '/',
      '/etc',
      '/data',
      '/data/mine',
      '/data/deep/file',
    )
    assert.deepEqual(seen.split('\n'), [
      '0:0 /',
      '0:0 /etc',
      '1000:2000 /data',
      '1000:2000 /data/mine',
      '65535:0 /data/deep/file',
    ])
    const upper = await run('image inspect -f {{.GraphDriver.Data.UpperDir}} owned')
    assert.equal(owner(join(upper, 'data/mine')), host(1000, 2000))
    assert.equal(owner(join(upper, 'data/deep/file')), host(65_535, 0))
    assert.equal(owner(upper), host(0))
  })

  test('images go out as they came in: saved again their layers have the same digests', async () => {
    const source = join(scratch, 'in.tar')
    const saved = join(scratch, 'out.tar')
    writeFileSync(source, await busyboxArchive())
    await run('save -o', saved, 'busybox')
    const [before_, after_] = [await layersOf(source), await layersOf(saved)]
    assert.deepEqual(after_.map(sha256), before_.map(sha256))
  })

  test('commit writes the owners that the container sees', async () => {
    await run(
      'run --name wrote -u 0 owned sh -c',
      'mkdir /w; echo x > /w/f; chown 7:8 /w/f; touch /data/new; rm /data/mine',
    )
    const diff = await run('diff wrote')
    assert.deepEqual(diff.split('\n').sort(), ['A /data/new', 'A /w', 'A /w/f', 'C /data', 'D /data/mine'])
    await run('commit wrote wrote-image')
    const saved = join(scratch, 'wrote.tar')
    await run('save -o', saved, 'wrote-image')
    const owners = await ownersIn((await layersOf(saved)).at(-1) ?? '')
    assert.deepEqual(
      [owners.get('w/'), owners.get('w/f'), owners.get('data/'), owners.get('data/new')],
      ['0:0', '7:8', '1000:2000', '0:0'],
    )
    assert.equal(await inside('-u 0 wrote-image stat -c %u:%g /w/f'), '7:8')
    await run('rm wrote')
  })

  test('a file capability set inside is one that holds elsewhere in the image', async () => {
    // Version 3 with the namespace's root is what the kernel makes of it inside (capabilities(7)).
    await run('create --name capable busybox')
    await run('start capable')
    const upper = await run('inspect -f {{.GraphDriver.Data.UpperDir}} capable')
    writeFileSync(join(upper, 'tool'), 'x')
    chownSync(join(upper, 'tool'), uid0, gid0)
    const root = Buffer.alloc(4)
    root.writeUInt32LE(uid0)
    const value = `0x0100000300200000000000000000000000000000${root.toString('hex')}`
    const set = await runCommand('python3', [
      '-c',
      `import os,sys; os.setxattr(sys.argv[1], 'security.capability', bytes.fromhex(sys.argv[2][2:]))`,
      join(upper, 'tool'),
      value,
    ])
    assert.equal(set.code, 0, set.stderr)
    await run('commit capable capable-image')
    const layer = await run('image inspect -f {{.GraphDriver.Data.UpperDir}} capable-image')
    const get = await runCommand('python3', [
      '-c',
      `import os,sys; print(os.getxattr(sys.argv[1], 'security.capability').hex())`,
      join(layer, 'tool'),
    ])
    assert.equal(get.stdout.trim(), '0100000200200000000000000000000000000000')
    await run('rm capable')
  })

  test('cp goes both ways with the ids of the container', async () => {
    await run('run -d --name copies -v copied:/v busybox sleep 1000')
    const source = join(scratch, 'cp.tar')
    const directory = mkdtempSync(join(scratch, 'cp-'))
    writeFileSync(join(directory, 'f'), 'f')
    chownSync(join(directory, 'f'), 1234, 4321)
    await runCommand('tar', ['-C', directory, '-cf', source, 'f'])
    for (const path of ['/tmp', '/v']) {
      await docker(daemon, ['cp -', `copies:${path}`], { input: readFileSync(source) })
      assert.equal(await run('exec copies stat -c %u:%g', `${path}/f`), '1234:4321')
      await daemon.docker(words(['exec copies sh -c', `cat ${path}/f`]))
      const back = join(scratch, 'back.tar')
      const { code } = await runCommand('sh', ['-c', `docker cp copies:${path}/f - > ${back}`], {
        env: daemon.clientEnvironment(),
      })
      assert.equal(code, 0)
      assert.equal((await ownersIn(back)).get('f'), '1234:4321')
    }
    assert.equal(owner(join(store('volumes/copied/_data'), 'f')), host(1234, 4321))
    chownSync(join(directory, 'f'), 70_000, 0)
    await runCommand('tar', ['-C', directory, '-cf', source, 'f'])
    const refused = await daemon.docker(words(['cp - copies:/tmp']), { input: readFileSync(source) })
    assert.match(refused.stderr, /Container ID 70000 cannot be mapped to a host ID/)
    await run('rm -f copies')
  })

  test('directories that an archive does not name belong to root of the container', async () => {
    await run('create --name implied -v /made/by/cp busybox')
    const source = join(scratch, 'implied.tar')
    const directory = mkdtempSync(join(scratch, 'implied-'))
    mkdirSync(join(directory, 'a/b'), { recursive: true })
    writeFileSync(join(directory, 'a/b/c'), 'c')
    await runCommand('tar', ['-C', directory, '-cf', source, 'a/b/c'])
    await docker(daemon, ['cp - implied:/tmp'], { input: readFileSync(source) })
    const upper = await run('inspect -f {{.GraphDriver.Data.UpperDir}} implied')
    assert.deepEqual(
      [owner(join(upper, 'tmp/a')), owner(join(upper, 'tmp/a/b')), owner(join(upper, 'made/by'))],
      [host(0), host(0), host(0)],
    )
    await run('rm -v implied')
  })

  test('export has the ids of the container', async () => {
    await run('create --name exported owned')
    const target = join(scratch, 'export.tar')
    await run('export -o', target, 'exported')
    const owners = await ownersIn(target)
    assert.deepEqual(
      [
        owners.get('data/'),
        owners.get('data/mine'),
        owners.get('data/deep/file'),
        owners.get('bin/'),
        owners.get('etc/hosts'),
      ],
      ['1000:2000', '1000:2000', '65535:0', '0:0', '0:0'],
    )
    assert.ok([...owners.values()].every((ids) => !ids.startsWith(`${uid0}`)))
    await run('rm exported')
  })

  test('volumes, binds and directories made for binds belong to the root of containers', async () => {
    const bind = join(scratch, 'made/for/it')
    await inside('-v fresh:/v -v', `${bind}:/b`, 'busybox', 'sh', '-c', 'touch /v/f /b/f; chown 9:10 /v/f')
    assert.equal(owner(store('volumes/fresh/_data')), host(0))
    assert.equal(owner(store('volumes/fresh/_data/f')), host(9, 10))
    assert.deepEqual(
      [owner(bind), owner(join(scratch, 'made')), owner(join(bind, 'f'))],
      [host(0), host(0), host(0)],
    )
  })

  test("what is the host's stays out of reach: its files are nobody's inside", async () => {
    const directory = mkdtempSync(join(scratch, 'theirs-'))
    chmodSync(directory, 0o755)
    writeFileSync(join(directory, 'secret'), 'x', { mode: 0o600 })
    const seen = await inside(
      '-v',
      `${directory}:/h`,
      'busybox',
      'sh',
      '-c',
      'stat -c %u:%g /h; cat /h/secret 2>&1; touch /h/x 2>&1; true',
    )
    assert.match(seen, /^65534:65534\n.*[Pp]ermission denied\n.*[Pp]ermission denied$/)
  })

  test('a new volume takes the content of the image with its owners', async () => {
    const seen = await inside(
      '-v filled:/data owned sh -c',
      'stat -c %u:%g /data /data/mine /data/deep/file; echo own > /data/own',
    )
    assert.equal(seen, '1000:2000\n1000:2000\n65535:0')
    assert.equal(owner(store('volumes/filled/_data')), host(1000, 2000))
    assert.equal(owner(store('volumes/filled/_data/own')), host(1000, 2000))
  })

  test('a part of a volume and an image can be mounted', async () => {
    await inside('-v parts:/v busybox sh -c', 'mkdir /v/sub; echo part > /v/sub/f')
    assert.equal(
      await inside('--mount type=volume,src=parts,dst=/p,volume-subpath=sub busybox cat /p/f'),
      'part',
    )
    assert.equal(
      await inside('--mount type=image,src=owned,dst=/i busybox stat -c %u:%g /i/data/mine'),
      '1000:2000',
    )
  })

  test("the engine's files, shared memory, tmpfs and devices are as in any container", async () => {
    const script = `
      stat -c '%u:%g' /etc/hosts /etc/hostname /etc/resolv.conf /dev/shm /t /proc/1/cwd
      echo 127.0.0.9 added >> /etc/hosts && grep -c added /etc/hosts
      echo x > /dev/shm/f && echo x > /t/f && echo y > /dev/null && head -c 4 /dev/zero | wc -c
      stat -c '%t:%T' /dev/loop-control
      echo out > /dev/stdout; echo err > /dev/stderr
      mount | grep -c ' /sys '; ls /sys/class/net/eth0 > /dev/null && ls -d /sys/fs/cgroup; cat /proc/sys/net/ipv4/ip_unprivileged_port_start`
    const { code, stdout, stderr } = await daemon.docker(
      words(['run --rm --tmpfs /t:uid=0,mode=700 --device /dev/loop-control busybox sh -c', script]),
    )
    assert.equal(code, 0, stderr)
    assert.deepEqual(stdout.trim().split('\n'), [
      '0:0',
      '0:0',
      '0:0',
      '0:0',
      '0:0',
      '0:0',
      '1',
      '4',
      'a:ed',
      'out',
      '1',
      '/sys/fs/cgroup',
      '0',
    ])
    assert.equal(stderr.trim(), 'err')
  })

  test('users other than root work too, with their own standard streams', async () => {
    assert.equal(
      await inside(
        'owned sh -c',
        'id -u; id -g; echo mine > /data/x; echo out > /dev/stdout; echo in | cat /dev/stdin',
      ),
      '1000\n2000\nout\nin',
    )
    assert.equal(
      await inside(
        '-u 1234:5678 -w /not/there busybox sh -c',
        'id -u; stat -c %u:%g .; touch /no 2>/dev/null || echo kept',
      ),
      '1234\n0:0\nkept',
    )
    const { stdout } = await daemon.docker(
      ['run', '-i', '--rm', '-u', '3', 'busybox', 'sh', '-c', 'cat /dev/stdin'],
      { input: 'given' },
    )
    assert.equal(stdout, 'given')
  })

  test('a read-only root, limits, names and an init', async () => {
    assert.match(
      await inside(
        '--read-only --tmpfs /run busybox sh -c',
        'touch /x 2>&1; touch /run/x /dev/shm/x && echo made',
      ),
      /Read-only file system\nmade$/,
    )
    assert.equal(
      await inside(
        '--init --ulimit nofile=100:200 --oom-score-adj 300 --hostname h --domainname d.test busybox sh -c',
        'ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj /proc/1/comm; hostname; cat /proc/sys/kernel/domainname',
      ),
      '100\n200\n300\ndocker-init\nh\nd.test',
    )
    await run(
      'run -d --name limited --oom-score-adj 300 --ulimit nofile=100:200 -m 64m --sysctl net.ipv4.ip_forward=1 busybox sleep 1000',
    )
    assert.equal(
      await run(
        'exec limited sh -c',
        'ulimit -n; cat /proc/self/oom_score_adj; cat /proc/sys/net/ipv4/ip_forward',
      ),
      '100\n300\n1',
    )
    await run('rm -f limited')
  })

  test('root of a container rules its own network, and none else', async () => {
    assert.match(
      await inside(
        '--cap-add NET_ADMIN busybox sh -c',
        'ip link add d0 type dummy 2>&1; ip addr add 10.1.2.3/32 dev lo && ip addr show lo; ping -c 1 -W 5 127.0.0.1',
      ),
      /10\.1\.2\.3(.|\n)*1 packets received/,
    )
    assert.match(
      await inside('--network none busybox sh -c', 'ip addr; nc -l -p 80 & sleep 0.1; ls /sys/class/net'),
      /lo$/,
    )
  })

  test('a published port leads to a low port inside', async () => {
    await run(
      'run -d --name web -p 127.0.0.1::80 busybox sh -c',
      'while echo hello | nc -l -p 80; do :; done',
    )
    const address = await run('port web 80')
    const port = Number(address.split(':').at(-1))
    const answer = await eventually('the port answers', async () => {
      const { promise, resolve } = Promise.withResolvers<string>()
      const socket = connect({ host: '127.0.0.1', port })
      let text = ''
      socket.on('data', (chunk) => (text += chunk.toString()))
      socket.on('error', () => resolve(''))
      socket.on('close', () => resolve(text))
      const answered = await promise
      return answered !== '' && answered
    })
    assert.equal(answer, 'hello\n')
    await run('rm -f web')
  })

  test('networks are joined and left while it runs, and names are known there', async () => {
    await run('network create both')
    await run('run -d --name server --network both busybox sleep 1000')
    await run('run -d --name client busybox sleep 1000')
    await run('network connect both client')
    assert.match(await run('exec client ping -c 1 -W 5 server'), /1 packets received/)
    await run('network disconnect both client')
    assert.equal(await run('exec client sh -c', 'ls /sys/class/net'), 'eth0\nlo')
    await run('rm -f server client')
    await run('network rm both')
  })

  test('a health check runs inside', async () => {
    await run(
      'run -d --name healthy --health-cmd',
      'test "$(id -u)" = 0',
      '--health-interval',
      '100ms',
      'busybox',
      'sleep',
      '1000',
    )
    await eventually(
      'it is healthy',
      async () => (await run('inspect -f {{.State.Health.Status}} healthy')) === 'healthy',
    )
    await run('rm -f healthy')
  })

  test('a terminal belongs to who runs in it', async () => {
    await using terminal = new Terminal(
      'docker',
      [
        'run',
        '--rm',
        '-it',
        '-u',
        '5',
        'busybox',
        'sh',
        '-c',
        'tty; stat -c %u $(tty); read line; echo got-$line; id -u > /dev/tty',
      ],
      { env: daemon.clientEnvironment() },
    )
    await terminal.expect(/\/dev\/pts\/0\s+5\s/)
    terminal.send('typed\r')
    await terminal.expect(/got-typed\s+5\s/)
    assert.equal(await terminal.exited, 0)
    await using exec = new Terminal(
      'docker',
      ['run', '--rm', '-it', 'busybox', 'sh', '-c', 'stat -c %u:%g $(tty) /dev/console'],
      { env: daemon.clientEnvironment() },
    )
    await exec.expect(/0:5\s+0:5/)
    assert.equal(await exec.exited, 0)
  })

  test('containers that share namespaces share the user namespace', async () => {
    await run('run -d --name shares --ipc shareable busybox sh -c', 'echo s > /dev/shm/f; sleep 1000')
    const users = await run('exec shares readlink /proc/self/ns/user')
    assert.match(
      await inside('--pid container:shares busybox sh -c', 'readlink /proc/self/ns/user; ps'),
      new RegExp(`^${users.replaceAll(/[[\]]/g, '\\$&')}(.|\n)*sleep 1000`),
    )
    assert.equal(
      await inside(
        '--ipc container:shares busybox sh -c',
        'readlink /proc/self/ns/user; cat /dev/shm/f; stat -c %u /dev/shm',
      ),
      `${users}\ns\n0`,
    )
    assert.equal(await inside('--network container:shares busybox readlink /proc/self/ns/user'), users)
    await run('rm -f shares')
  })

  test('nothing is shared across user namespaces, where the host would show through', async () => {
    await run('run -d --name outer --userns=host --ipc shareable busybox sleep 1000')
    await run('run -d --name inner --ipc shareable busybox sleep 1000')
    const refused = async (flags: string, what: string) => {
      const { code, stderr } = await daemon.docker(words([`run --rm ${flags} busybox true`]))
      assert.equal(code, 125)
      assert.ok(
        stderr.includes(`cannot share the ${what} namespace of a container without sharing its user`),
        stderr,
      )
    }
    await refused('--network container:outer', 'network')
    await refused('--pid container:outer', 'PID')
    await refused('--ipc container:outer', 'IPC')
    await run('run -d --name other --ipc shareable busybox sleep 1000')
    await refused('--pid container:inner --ipc container:other', 'IPC')
    await refused('--network container:inner --pid container:other', 'PID')
    assert.equal(
      await inside('--network container:inner --pid container:inner --ipc container:inner busybox id -u'),
      '0',
    )
    assert.equal(await inside('--userns=host --network container:inner busybox id -u'), '0')
    await run('rm -f outer inner other')
  })

  test('--userns=host gives the ids of the host, and what goes only with them', async () => {
    const seen = await inside('--userns=host -v hosts:/v owned sh -c', 'cat /proc/self/uid_map; id -u')
    assert.deepEqual(seen.trim().split(/\s+/), ['0', '0', '4294967295', '1000'])
    assert.equal(await inside('--userns=host -u 0 owned stat -c %u:%g /data/mine'), host(1000, 2000))
    assert.equal(
      await inside('--userns=host --privileged busybox readlink /proc/self/ns/user'),
      (await runCommand('readlink', ['/proc/self/ns/user'])).stdout.trim(),
    )
    assert.match(
      await inside('--userns=host --pid=host --network=host busybox ps'),
      new RegExp(`\\b${process.pid}\\b`),
    )
    await run('create --name asked --userns=host busybox')
    assert.equal(await run('inspect -f {{.HostConfig.UsernsMode}} asked'), 'host')
    await run('rm asked')
  })

  test('refuses what would reach beyond, with the texts of Docker', async () => {
    const refusals: Record<string, string> = {
      '--privileged':
        'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
      '--network=host': "cannot share the host's network namespace when user namespaces are enabled",
      '--pid=host': 'cannot share the host PID namespace when user namespaces are enabled',
    }
    for (const [flag, text] of Object.entries(refusals)) {
      const { code, stderr } = await daemon.docker(words(['create', flag, 'busybox']))
      assert.equal(code, 1)
      assert.equal(stderr.trim(), `Error response from daemon: ${text}`)
    }
    const asked = await daemon.api('POST', '/containers/create', {
      Image: 'busybox',
      HostConfig: { Privileged: true },
    })
    assert.equal(asked.status, 400)
  })

  test('an image with ids that no container can have is refused, and nothing of it stays', async () => {
    const directory = mkdtempSync(join(scratch, 'far-'))
    writeFileSync(join(directory, 'far'), 'x')
    chownSync(join(directory, 'far'), 65_536, 0)
    const layer = join(scratch, 'far.tar')
    await runCommand('tar', ['-C', directory, '-cf', layer, 'far'])
    const { code, stderr } = await daemon.docker(words(['import', layer, 'far']))
    assert.equal(code, 1)
    assert.match(stderr, /Container ID 65536 cannot be mapped to a host ID/)
    assert.equal(await run('images -q far'), '')
  })

  test("the host's files stay the host's: standard streams are given to the container", async () => {
    const script = 'stat -c %u /dev/null; cat; cat /dev/stdin; echo x 2>&- >&0 || echo sealed'
    for (const flags of ['--name plain', '--runtime runc --name plain']) {
      assert.match(await run(`run ${flags} busybox sh -c`, script), /^65534/)
      await run('rm plain')
    }
    await run('run -d -t --name plain busybox sleep 1000')
    await run('exec plain true')
    await run('exec -d plain true')
    assert.equal(owner('/dev/null'), '0:0')
    await run('rm -f plain')
  })

  test('only root and the root of containers come through to what is mounted of a volume', async () => {
    await inside('-v hidden:/v busybox mkdir /v/sub')
    await run('run -d --name part --mount type=volume,src=hidden,dst=/p,volume-subpath=sub busybox sleep 1000')
    const mounts = join(daemon.names.root, 'run/mounts')
    for (const path of [mounts, join(mounts, await run('inspect -f {{.Id}} part'))]) {
      assert.equal(owner(path), `0:${gid0}`)
      assert.equal(statSync(path).mode & 0o777, 0o710)
    }
    await run('rm -f part')
  })

  test('an annotation of that name means nothing to a container with the ids of the host', async () => {
    await run('run -d --name noted --userns=host --annotation io.wharf.oom-score=900 busybox sleep 1000')
    assert.equal(await run('exec noted cat /proc/self/oom_score_adj'), '0')
    await run('rm -f noted')
  })

  test('runc runs containers as well', async () => {
    assert.deepEqual((await inside('--runtime runc busybox cat /proc/self/uid_map')).split(/\s+/), [
      '0',
      `${uid0}`,
      '65536',
    ])
  })
})

for (const driver of ['vfs', 'fuse-overlayfs']) {
  test(`the storage driver ${driver} keeps shifted owners and gives back those of the container`, async (t) => {
    if (driver === 'fuse-overlayfs' && (await runCommand('which', [driver]).then(({ code }) => code)) !== 0) {
      return t.skip('fuse-overlayfs is not here')
    }
    await using daemon = await remapped({ 'storage-driver': driver })
    await loadOwned(daemon)
    await docker(daemon, [
      'run --name wrote -u 0 owned sh -c',
      'stat -c %u:%g / /data/mine; touch /root-file; echo x > /data/new; chown 7:8 /data/new',
    ])
    assert.equal(await docker(daemon, ['logs wrote']), '0:0\n1000:2000')
    await docker(daemon, ['commit wrote wrote-image'])
    const saved = join(scratch, `${driver}.tar`)
    await docker(daemon, ['save -o', saved, 'wrote-image'])
    const owners = await ownersIn((await layersOf(saved)).at(-1) ?? '')
    assert.deepEqual([owners.get('root-file'), owners.get('data/new')], ['0:0', '7:8'])
  })
}

test('containers run on without the daemon, and the next one takes them over', async () => {
  await using daemon = await remapped()
  await docker(daemon, [
    'run -d --name on -p 127.0.0.1::80 -v vol:/v busybox sh -c',
    'while :; do date > /v/t; sleep 0.1; done',
  ])
  const pid = await docker(daemon, ['inspect -f {{.State.Pid}} on'])
  await daemon.kill9()
  await daemon.start()
  assert.equal(await docker(daemon, ['inspect -f', '{{.State.Pid}} {{.State.Running}}', 'on']), `${pid} true`)
  assert.equal(await docker(daemon, ['exec on sh -c', 'ping -c 1 -W 5 127.0.0.1 > /dev/null; id -u']), '0')
  await docker(daemon, ['restart -t 0 on'])
  assert.equal(await docker(daemon, ['exec on id -u']), '0')
  await docker(daemon, ['run --rm --network container:on busybox true'])
  await docker(daemon, ['rm -f on'])
  const left = await runCommand('nsenter', [
    `--mount=${etc.file}`,
    'ls',
    join(daemon.names.root, 'run/netns'),
  ])
  // What is ready for the next ones, and nothing else.
  assert.ok(left.stdout.trim().split('\n').length <= 5, left.stdout)
})

test('each mapping has a store of its own, and going back brings all back', async () => {
  await using daemon = await startDaemon({ mountNamespace: etc.file })
  await daemon.loadBusybox()
  await docker(daemon, [
    'run -d --name plain -v kept:/v busybox sh -c',
    'trap "echo told > /v/end; exit 3" TERM; echo plain > /v/f; while :; do sleep 0.1; done',
  ])
  const pid = await docker(daemon, ['inspect -f {{.State.Pid}} plain'])
  await daemon.stop()
  assert.ok(existsSync(`/proc/${pid}`))
  daemon.setFlag('--userns-remap', 'mapped')
  await daemon.start()
  assert.ok(!existsSync(`/proc/${pid}`), 'nobody would look after it')
  assert.equal(await docker(daemon, ['ps -aq']), '')
  assert.equal(await docker(daemon, ['images -q']), '')
  assert.equal(await docker(daemon, ['volume ls -q']), '')
  await daemon.loadBusybox()
  await docker(daemon, ['run --name shifted -v kept:/v busybox sh -c', 'echo shifted > /v/f'])
  await daemon.stop()
  daemon.setFlag('--userns-remap', '')
  await daemon.start()
  assert.equal(await docker(daemon, ['ps -a --format {{.Names}}']), 'plain')
  assert.equal(await docker(daemon, ['inspect -f {{.State.Status}} plain']), 'exited')
  await docker(daemon, ['start plain'])
  assert.equal(await docker(daemon, ['exec plain cat /v/f /v/end']), 'plain\ntold')
  assert.deepEqual(
    await docker(daemon, ['exec plain cat /proc/self/uid_map']).then((text) => text.split(/\s+/)),
    ['0', '0', '4294967295'],
  )
  await daemon.stop()
  daemon.setFlag('--userns-remap', 'mapped')
  await daemon.start()
  assert.equal(await docker(daemon, ['ps -a --format {{.Names}}']), 'shifted')
  assert.equal(await docker(daemon, ['run --rm -v kept:/v busybox cat /v/f']), 'shifted')
})

test('ids may lie in several ranges', async () => {
  await etc.run('useradd --system --user-group gap; printf "gap:500000:65536\\n" >> /etc/subgid')
  await using daemon = await remapped({ 'userns-remap': 'gap' })
  const seen = await docker(daemon, [
    'run --rm -v vol:/v busybox sh -c',
    'cat /proc/self/uid_map; touch /v/f; chown 1500 /v/f',
  ])
  assert.deepEqual(seen.trim().split(/\s+/), ['0', `${uid0}`, '1000', '1000', '400000', '64536'])
  assert.equal(owner(join(daemon.dataRoot, `${uid0}.500000/volumes/vol/_data/f`)), '400500:500000')
})

test('`default` makes the user of Docker, with ranges that are free', async () => {
  await using own = await ownEtc()
  await own.run(
    'printf "somebody:100000:65536\\n" > /etc/subuid; printf "somebody:150000:10\\n" > /etc/subgid',
  )
  await using daemon = await startDaemon({ config: { 'userns-remap': 'default' }, mountNamespace: own.file })
  const made = await own.run(
    'grep -c "^dockremap:.*/bin/false$" /etc/passwd; grep -c ^dockremap: /etc/group; grep dockremap /etc/subuid /etc/subgid',
  )
  assert.equal(made.stdout, '1\n1\n/etc/subuid:dockremap:165536:65536\n/etc/subgid:dockremap:150010:65536\n')
  await daemon.restart()
  assert.ok(existsSync(join(daemon.dataRoot, '165536.150010/wharf.db')))
})

test('a user that is not there, or has no ids to give, is told at the start, in the words of Docker', async () => {
  await etc.run('useradd --system --user-group poor')
  const complaints: Record<string, RegExp> = {
    nosuch: /Error during uid lookup for "nosuch": getent unable to find entry "nosuch" in passwd database/,
    'a:b:c': /Invalid user\/group specification in --userns-remap: "a:b:c"/,
    '77777':
      /Uid 77777 has no entry in \/etc\/passwd: getent unable to find entry "77777" in passwd database/,
    nobody: /Error during gid lookup for "nobody": getent unable to find entry "nobody" in group database/,
    'mapped:nosuch':
      /Error during groupname lookup for "nosuch": getent unable to find entry "nosuch" in group database/,
    'mapped:99999':
      /Gid 99999 has no entry in \/etc\/passwd: getent unable to find entry "99999" in group database/,
    poor: /Can't create ID mappings: no subuid ranges found for user "poor"/,
  }
  for (const [setting, text] of Object.entries(complaints)) {
    await assert.rejects(
      startDaemon({ config: { 'userns-remap': setting }, mountNamespace: etc.file }),
      text,
      setting,
    )
  }
  await using daemon = await startDaemon({ config: { 'userns-remap': 'root' }, mountNamespace: etc.file })
  assert.match(daemon.log, /root cannot be remapped with itself/)
  assert.ok(existsSync(join(daemon.dataRoot, 'wharf.db')))
})

test('a data root that the containers could not reach is told at the start', async () => {
  const closed = mkdtempSync(join(scratch, 'closed-'))
  chmodSync(closed, 0o700)
  const dataRoot = join(closed, 'data')
  await assert.rejects(
    startDaemon({ config: { 'userns-remap': 'mapped' }, mountNamespace: etc.file, dataRoot }),
    /a subdirectory in your graphroot path \(.*\) restricts access to the remapped root uid\/gid; please fix by allowing 'o\+x' permissions on existing directories/,
  )
})
