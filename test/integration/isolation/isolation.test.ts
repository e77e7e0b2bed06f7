import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { execId } from '../../../src/spec/ids.ts'
import { buildExecProcess } from '../../../src/runtime/oci-spec-process.ts'
import { buildOciSpec, serializeOci } from '../../../src/runtime/oci-spec.ts'
import { Bundle, facts } from './bundle.ts'

const hex = (text: string, name: string) =>
  BigInt(`0x${new RegExp(`${name}:\\s*([0-9a-f]+)`).exec(text)?.[1]}`)

test('a plain container: own namespaces, own root, Docker environment and capabilities', async () => {
  await using bundle = new Bundle()
  const script =
    'for n in mnt pid net ipc uts; do readlink /proc/self/ns/$n; done; hostname; echo $$; pwd; cat /proc/self/status; ls /'
  const text = await bundle.output(script)
  for (const name of ['mnt', 'pid', 'net', 'ipc', 'uts']) {
    const host = execFileSync('readlink', [`/proc/self/ns/${name}`], { encoding: 'utf8' }).trim()
    assert.ok(!text.includes(host), name)
  }
  assert.match(text, /^box\n1\n\/$/m)
  assert.equal(hex(text, 'CapEff'), 0xa80425fbn)
  assert.equal(hex(text, 'CapBnd'), 0xa80425fbn)
  assert.equal(hex(text, 'CapInh'), 0n)
  assert.match(text, /Seccomp:\t2/)
  assert.match(text, /^bin\ndev\netc\nproc\nsys\ntmp$/m, 'nothing of the host is seen')
})

test('environment: defaults, overrides and removals', async () => {
  await using bundle = new Bundle()
  const text = await bundle.output('env | sort', { config: { Env: ['A=b=c', 'PATH=/bin', 'HOSTNAME'] } })
  assert.match(text, /^A=b=c\nHOME=\/root\nPATH=\/bin\n/)
  assert.ok(!text.includes('HOSTNAME='))
})

test('masked paths are empty, read-only ones refuse writes, also for root', async () => {
  await using bundle = new Bundle()
  const text = await bundle.output(
    'cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware /proc/acpi 2>/dev/null | wc -l; ' +
      'echo 1 > /proc/sys/kernel/panic; echo b > /proc/sysrq-trigger; mkdir /sys/fs/cgroup/memory/x; echo x > /sys/kernel/mm/ksm/run; ' +
      'mount -o remount,rw /proc/sys 2>/dev/null || echo refused',
  )
  assert.match(text, /^0\n/)
  assert.match(text, /refused/)
  const sys = await bundle.run({ ...bundle.start('echo 1 > /proc/sys/kernel/panic') })
  assert.notEqual(sys.code, 0)
  assert.match(sys.stderr, /Read-only file system/)
})

test('systempaths=unconfined (empty lists) uncovers them', async () => {
  await using bundle = new Bundle()
  const text = await bundle.output('cat /proc/mounts', { host: { MaskedPaths: [], ReadonlyPaths: [] } })
  assert.ok(!text.includes(' /proc/keys ') && !text.includes(' /proc/sys '))
})

test('devices: the default ones work, the host disk cannot be made or opened', async () => {
  await using bundle = new Bundle()
  const { stdout, stderr } = await bundle.run(
    bundle.start(
      'head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null; mknod /tmp/disk b 254 0 && cat /tmp/disk; ls /dev',
    ),
  )
  assert.match(stdout, /^4\n4\n/)
  assert.match(stderr, /Operation not permitted/)
  assert.ok(!/^(vda|sda|kvm|mem|kmsg)$/m.test(stdout))
})

test('--device makes the node and lets it through, --device-cgroup-rule lets a made one through', async () => {
  await using bundle = new Bundle()
  const Devices = [{ PathOnHost: '/dev/loop-control', PathInContainer: '/dev/mine', CgroupPermissions: 'r' }]
  const list = existsSync('/dev/loop-control') ? Devices : [{ ...Devices[0], PathOnHost: '/dev/kmsg' }]
  const { rdev } = statSync(list[0]?.PathOnHost ?? '')
  const script =
    'stat -c "%t:%T" /dev/mine; mknod /tmp/k c 242 77; cat /tmp/k 2>&1; mknod /tmp/l c 242 78; cat /tmp/l 2>&1; true'
  const text = await bundle.output(script, { host: { Devices: list, DeviceCgroupRules: ['c 242:77 r'] } })
  assert.match(text, new RegExp(`^${((rdev >> 8) & 0xfff).toString(16)}:${(rdev & 0xff).toString(16)}$`, 'm'))
  // No driver answers to these numbers: past the device cgroup the error is another one.
  assert.match(text, /\/tmp\/k': No such device/)
  assert.match(text, /\/tmp\/l': Operation not permitted/)
  await assert.rejects(
    buildOciSpec(
      bundle.start('', { host: { Devices: [{ PathOnHost: '/dev/none', PathInContainer: '/x' }] } }),
      bundle.settings,
    ),
    {
      message:
        'error gathering device information while adding custom device "/dev/none": no such file or directory',
    },
  )
  await assert.rejects(
    buildOciSpec(
      bundle.start('', { host: { DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }] } }),
      bundle.settings,
    ),
    {
      kind: 'invalid',
      message: 'could not select device driver "" with capabilities: [[gpu]]',
    },
  )
})

test('--cap-drop and --cap-add change the sets', async () => {
  await using bundle = new Bundle()
  const chown = await bundle.run(bundle.start('chown 1:1 /tmp', { host: { CapDrop: ['CHOWN'] } }))
  assert.match(chown.stderr, /Operation not permitted/)
  const all = await bundle.output('cat /proc/self/status', {
    host: { CapDrop: ['ALL'], CapAdd: ['net_admin'] },
  })
  assert.equal(hex(all, 'CapEff'), 1n << 12n)
})

test('--privileged has every capability, the host devices, and no masks', async () => {
  await using bundle = new Bundle()
  const text = await bundle.output(
    'cat /proc/self/status; ls /dev; grep -c proc/keys /proc/mounts; mount -t tmpfs x /tmp && echo mounted; grep "/sys " /proc/mounts',
    { host: { Privileged: true } },
  )
  assert.equal(hex(text, 'CapEff'), hex(readFileSync('/proc/self/status', 'utf8'), 'CapBnd'))
  assert.match(text, /^kmsg$/m)
  assert.match(text, /^0\nmounted$/m)
  assert.match(text, /sysfs \/sys sysfs rw/)
  assert.match(text, /Seccomp:\t0/)
})

test('seccomp: default, unconfined and a profile of the user', async () => {
  await using bundle = new Bundle()
  const probe = 'unshare -U true && echo ok; mkdir -p /tmp/d && echo made'
  const strict = await bundle.run(bundle.start(probe))
  assert.match(strict.stderr, /Operation not permitted/)
  const open = await bundle.output(probe, { host: { SecurityOpt: ['seccomp=unconfined'] } })
  assert.match(open, /ok\n/)
  const profile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 }],
  }
  const architectures = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64']
    .slice(facts.architecture === 'x86_64' ? 0 : 1)
    .slice(0, 1)
  const own = await bundle.run(
    bundle.start('mkdir /tmp/e', {
      host: { SecurityOpt: [`seccomp=${JSON.stringify({ ...profile, architectures })}`] },
    }),
  )
  assert.match(own.stderr, /(Operation )?not supported/i)
})

test('no-new-privileges', async () => {
  await using bundle = new Bundle()
  assert.match(
    await bundle.output('grep NoNewPrivs /proc/self/status', {
      host: { SecurityOpt: ['no-new-privileges'] },
    }),
    /1$/m,
  )
})

test('users: by name, number, with group, with further groups; capabilities only bounded', async () => {
  await using bundle = new Bundle()
  const who = async (User: string, host = {}) =>
    (await bundle.output('id; echo $HOME', { config: { User }, host })).trim()
  assert.equal(
    await who('alice'),
    'uid=1000(alice) gid=1000(alice) groups=10(wheel),1000(alice)\n/home/alice',
  )
  assert.equal(
    await who('alice:audio', { GroupAdd: ['wheel', '777'] }),
    'uid=1000(alice) gid=29(audio) groups=10(wheel),29(audio),777\n/home/alice',
  )
  assert.equal(await who('4242'), 'uid=4242 gid=0(root) groups=0(root)\n/')
  const caps = await bundle.output('cat /proc/self/status', { config: { User: 'alice' } })
  assert.equal(hex(caps, 'CapEff'), 0n)
  assert.equal(hex(caps, 'CapBnd'), 0xa80425fbn)
  await assert.rejects(who('nobody'), {
    message: 'unable to find user nobody: no matching entries in passwd file',
  })
  await assert.rejects(who('root:none'), {
    message: 'unable to find group none: no matching entries in group file',
  })
})

test('a hostile root: passwd and the working directory never reach the host', async () => {
  await using bundle = new Bundle()
  const outside = mkdtempSync(join(tmpdir(), 'wharf-outside-'))
  try {
    writeFileSync(join(outside, 'passwd'), 'evil:x:0:0::/:/bin/sh\n')
    rmSync(join(bundle.rootfs, 'etc/passwd'))
    symlinkSync(join(outside, 'passwd'), join(bundle.rootfs, 'etc/passwd'))
    symlinkSync(outside, join(bundle.rootfs, 'out'))
    symlinkSync(`../../../../../../..${outside}`, join(bundle.rootfs, 'up'))
    await assert.rejects(
      buildOciSpec(bundle.start('', { config: { User: 'evil' } }), bundle.settings),
      /unable to find user evil/,
    )
    for (const WorkingDir of ['/out/made', '/up/made', '/bin/../../../made']) {
      await buildOciSpec(bundle.start('', { config: { WorkingDir } }), bundle.settings)
    }
    assert.ok(!existsSync(join(outside, 'made')) && !existsSync('/made'))
    assert.ok(existsSync(join(bundle.rootfs, outside, 'made')))
    rmSync(join(bundle.rootfs, 'etc/group'))
    execFileSync('mkfifo', [join(bundle.rootfs, 'etc/group')])
    await buildOciSpec(bundle.start(''), bundle.settings)
    await assert.rejects(
      buildOciSpec(bundle.start('', { config: { WorkingDir: '/bin/busybox/x' } }), bundle.settings),
      {
        message: 'Cannot mkdir: /bin/busybox/x is not a directory',
      },
    )
  } finally {
    rmSync(outside, { recursive: true })
  }
})

test('--read-only, --tmpfs and --shm-size', async () => {
  await using bundle = new Bundle()
  const text = await bundle.output(
    'touch /x 2>&1; touch /scratch/y && ls /scratch; grep -E "/(scratch|dev/shm) " /proc/mounts',
    {
      host: { ReadonlyRootfs: true, Tmpfs: { '/scratch': 'size=1m,exec,mode=1777' }, ShmSize: 8 << 20 },
    },
  )
  assert.match(text, /Read-only file system\ny\n/)
  assert.match(text, /tmpfs \/scratch tmpfs rw,nosuid,nodev,relatime,size=1024k/)
  assert.match(text, /shm \/dev\/shm tmpfs rw,.*size=8192k/)
})

test('mounts: binds read-only into submounts, etc files over the image', async () => {
  await using bundle = new Bundle()
  const source = join(bundle.directory, 'source')
  mkdirSync(join(source, 'sub'), { recursive: true })
  writeFileSync(join(bundle.directory, 'hosts'), '10.9.8.7 other\n')
  execFileSync('mount', ['-t', 'tmpfs', 'sub', join(source, 'sub')])
  try {
    const point = {
      Type: 'bind' as const,
      Source: source,
      Destination: '/in',
      Mode: 'ro',
      RW: false,
      Propagation: 'rprivate',
    }
    const mounts = [
      { point, type: 'bind', source, destination: '/in', options: ['rbind', 'rprivate', 'rro', 'ro'] },
    ]
    const etcFiles = { hosts: join(bundle.directory, 'hosts') }
    for (const runtime of ['crun', 'runc']) {
      bundle.settings.runtimeTakesBpf = runtime === 'crun'
      const start = bundle.start('cat /etc/hosts; touch /in/x; touch /in/sub/x; echo end', {
        task: { mounts, etcFiles },
      })
      const { stdout, stderr } = await bundle.run(start, runtime)
      assert.equal(stdout, '10.9.8.7 other\nend\n', runtime + stderr)
      assert.equal(stderr.match(/Read-only file system/g)?.length, 2, runtime)
    }
  } finally {
    execFileSync('umount', [join(source, 'sub')])
  }
})

test('host namespaces and namespaces joined by path', async () => {
  await using bundle = new Bundle()
  const host = { kind: 'host' } as const
  const namespaces = { network: host, ipc: host, pid: host, uts: host, cgroup: host }
  const text = await bundle.output('for n in pid net ipc uts; do readlink /proc/self/ns/$n; done', {
    task: { namespaces },
    host: { IpcMode: 'host', NetworkMode: 'host', PidMode: 'host' },
  })
  for (const name of ['pid', 'net', 'ipc', 'uts']) {
    assert.ok(text.includes(execFileSync('readlink', [`/proc/self/ns/${name}`], { encoding: 'utf8' })), name)
  }
  const created = { kind: 'new' } as const
  const path = { kind: 'path', path: '/proc/self/ns/net' } as const
  const joined = await bundle.output('readlink /proc/self/ns/net', {
    task: { namespaces: { network: path, ipc: created, pid: created, uts: created, cgroup: created } },
  })
  assert.equal(joined, execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }))
})

test('sysctls, ulimits, hostname, domain name, oom score', async () => {
  await using bundle = new Bundle()
  const text = await bundle.output(
    'cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax /proc/sys/kernel/domainname /proc/self/oom_score_adj; ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_unprivileged_port_start',
    {
      host: {
        Sysctls: { 'net.core.somaxconn': '77', 'kernel.msgmax': '9000' },
        Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
        OomScoreAdj: 123,
      },
      config: { Domainname: 'example.test' },
    },
  )
  assert.equal(text, '77\n9000\nexample.test\n123\n100\n200\n0\n')
})

test('unlimited ulimits survive JSON, hard limits beyond the daemon are lowered', async () => {
  await using bundle = new Bundle()
  const Ulimits = [
    { Name: 'fsize', Soft: -1, Hard: -1 },
    { Name: 'nofile', Soft: -1, Hard: -1 },
  ]
  const text = await bundle.output('ulimit -f; ulimit -n', { host: { Ulimits } })
  const ceiling = facts.hardLimits?.['RLIMIT_NOFILE']
  assert.equal(text, `unlimited\n${ceiling ?? 'unlimited'}\n`)
})

test('--init reaps orphans, hands signals on and passes the exit code through', async () => {
  execFileSync('bash', [join(import.meta.dirname, '../../../tools/setup/build-native.sh')])
  await using bundle = new Bundle({ initPath: join(import.meta.dirname, '../../../build/wharf-init') })
  const orphans =
    'for i in 1 2 3; do (sh -c "true & exec true" &); done; while ls /proc | grep -v $$ | grep -qE "^([3-9]|[1-9][0-9])$" && [ $((n=n+1)) -lt 200 ]; do :; done; ' +
    'cat /proc/[0-9]*/stat | grep -c " Z "; readlink /proc/1/exe; exit 9'
  const outcome = await bundle.run(bundle.start(orphans, { host: { Init: true } }))
  assert.equal(outcome.code, 9, outcome.stderr)
  assert.match(outcome.stdout, /^0\n\/sbin\/docker-init\n/)
  const signalled = await bundle.run(bundle.start('kill -TERM 1; sleep 5', { host: { Init: true } }))
  assert.equal(signalled.code, 128 + 15)
  await using without = new Bundle()
  await assert.rejects(
    buildOciSpec(without.start('', { host: { Init: true } }), without.settings),
    /docker-init.*executable file not found/,
  )
})

test('runc runs the same configuration with the profile as JSON', async () => {
  await using bundle = new Bundle({ runtimeTakesBpf: false })
  const spec = await buildOciSpec(
    bundle.start('cat /proc/self/status; unshare -U true; id', { config: { User: 'alice' } }),
    bundle.settings,
  )
  assert.ok((spec.linux.seccomp?.syscalls.length ?? 0) > 10)
  const outcome = await bundle.runSpec(spec, 'runc')
  assert.match(outcome.stdout, /Seccomp:\t2[^]*uid=1000/, outcome.stderr)
  assert.match(outcome.stderr, /Operation not permitted/)
})

test('an exec takes over what the container has and changes what it asks for', async () => {
  await using bundle = new Bundle()
  const start = bundle.start('mkfifo /tmp/stop; cat /tmp/stop', {
    config: { Env: ['A=1'], WorkingDir: '/tmp' },
    host: { GroupAdd: ['audio'], CapDrop: ['KILL'] },
  })
  const spec = await buildOciSpec(start, bundle.settings)
  const running = bundle.runSpec(spec)
  const deadline = Date.now() + 20_000
  while (!existsSync(join(bundle.rootfs, 'tmp/stop'))) {
    assert.ok(Date.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const exec = async (script: string, change: object = {}) => {
    const request = {
      id: execId(bundle.id),
      containerId: bundle.id,
      args: ['/bin/sh', '-c', script],
      env: [],
      tty: false,
      openStdin: false,
      attached: false,
      privileged: false,
      user: '',
      workingDir: '',
      ...change,
    }
    const process = buildExecProcess(request, spec, {
      rootfs: bundle.rootfs,
      availableCapabilities: facts.capabilities,
    })
    const file = join(bundle.directory, 'process.json')
    writeFileSync(file, serializeOci(process))
    return bundle.runtime(['exec', '--process', file, bundle.id])
  }
  const plain = await exec('pwd; echo $A $HOME $B; id -G; grep -E "Seccomp:|CapEff" /proc/self/status', {
    env: ['B=2'],
  })
  assert.match(
    plain.stdout,
    /^\/tmp\n1 \/root 2\n0 29\nCapEff:\t00000000a80425db\nSeccomp:\t2\n$/,
    plain.stderr,
  )
  const alice = await exec('id; pwd; echo $HOME; grep CapEff /proc/self/status', {
    user: 'alice',
    workingDir: '/etc',
  })
  assert.equal(
    alice.stdout,
    'uid=1000(alice) gid=1000(alice) groups=10(wheel),29(audio),1000(alice)\n/etc\n/home/alice\nCapEff:\t0000000000000000\n',
  )
  const privileged = await exec('grep CapEff /proc/self/status', { privileged: true })
  assert.equal(hex(privileged.stdout, 'CapEff'), hex(readFileSync('/proc/self/status', 'utf8'), 'CapBnd'))
  await exec('echo > /tmp/stop')
  assert.equal((await running).code, 0)
})
