/** `userns-remap`: containers whose root is nobody in particular on the host. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { eventually, runCommand } from '../../fixtures/processes.ts'
import {
  docker,
  gid0,
  host,
  loadOwned,
  owner,
  remapping,
  storeName,
  type Remapping,
  uid0,
  words,
} from '../../fixtures/remapping.ts'
import { Terminal } from '../../fixtures/terminal.ts'
import { type TestDaemon } from '../../fixtures/test-daemon.ts'

let world: Remapping

before(async () => {
  world = await remapping()
})
after(() => world[Symbol.asyncDispose]())

describe('a daemon that remaps', () => {
  let daemon: TestDaemon
  const run = (...args: string[]) => docker(daemon, args)
  const inside = (first: string, ...more: string[]) => run(`run --rm ${first}`, ...more)

  before(async () => {
    daemon = await world.daemon()
    await loadOwned(daemon)
  })
  after(() => daemon[Symbol.asyncDispose]())

  const store = (...parts: string[]) => join(daemon.dataRoot, storeName, ...parts)

  test('keeps to a directory that is named after the root of its containers, and says so', async () => {
    const info = JSON.parse(await run('info --format', '{{json .}}')) as Record<string, unknown>
    assert.equal(info['DockerRootDir'], store())
    assert.ok((info['SecurityOptions'] as string[]).includes('name=userns'))
    for (const path of [daemon.dataRoot, store()]) {
      assert.equal(owner(path), `0:${gid0}`)
      assert.equal(statSync(path).mode & 0o7777, 0o710)
    }
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
