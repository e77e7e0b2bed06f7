/** `userns-remap`: the setting, storage drivers, and what outlives a daemon. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ownEtc } from '../../fixtures/own-etc.ts'
import { runCommand } from '../../fixtures/processes.ts'
import {
  docker,
  layersOf,
  loadOwned,
  owner,
  ownersIn,
  remapping,
  type Remapping,
  uid0,
} from '../../fixtures/remapping.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'

let world: Remapping

before(async () => {
  world = await remapping()
})
after(() => world[Symbol.asyncDispose]())

for (const driver of ['vfs', 'fuse-overlayfs']) {
  test(`the storage driver ${driver} keeps shifted owners and gives back those of the container`, async (t) => {
    if (driver === 'fuse-overlayfs' && (await runCommand('which', [driver]).then(({ code }) => code)) !== 0) {
      return t.skip('fuse-overlayfs is not here')
    }
    await using daemon = await world.daemon({ 'storage-driver': driver })
    await loadOwned(daemon)
    await docker(daemon, [
      'run --name wrote -u 0 owned sh -c',
      'stat -c %u:%g / /data/mine; touch /root-file; echo x > /data/new; chown 7:8 /data/new',
    ])
    assert.equal(await docker(daemon, ['logs wrote']), '0:0\n1000:2000')
    await docker(daemon, ['commit wrote wrote-image'])
    const saved = join(world.scratch, `${driver}.tar`)
    await docker(daemon, ['save -o', saved, 'wrote-image'])
    const owners = await ownersIn((await layersOf(saved)).at(-1) ?? '')
    assert.deepEqual([owners.get('root-file'), owners.get('data/new')], ['0:0', '7:8'])
  })
}

test('containers run on without the daemon, and the next one takes them over', async () => {
  await using daemon = await world.daemon()
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
    `--mount=${world.etc.file}`,
    'ls',
    join(daemon.names.root, 'run/netns'),
  ])
  // What is ready for the next ones, and nothing else.
  assert.ok(left.stdout.trim().split('\n').length <= 5, left.stdout)
})

test('each mapping has a store of its own, and going back brings all back', async () => {
  await using daemon = await startDaemon({ mountNamespace: world.etc.file })
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
  assert.equal(owner(daemon.dataRoot), '0:0')
  assert.equal(statSync(daemon.dataRoot).mode & 0o7777, 0o710)
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
  await world.etc.run('useradd --system --user-group gap; printf "gap:500000:65536\\n" >> /etc/subgid')
  await using daemon = await world.daemon({ 'userns-remap': 'gap' })
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
  await world.etc.run('useradd --system --user-group poor')
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
      startDaemon({ config: { 'userns-remap': setting }, mountNamespace: world.etc.file }),
      text,
      setting,
    )
  }
  await using daemon = await startDaemon({
    config: { 'userns-remap': 'root' },
    mountNamespace: world.etc.file,
  })
  assert.match(daemon.log, /root cannot be remapped with itself/)
  assert.ok(existsSync(join(daemon.dataRoot, 'wharf.db')))
})

test('a data root that the containers could not reach is told at the start', async () => {
  const closed = mkdtempSync(join(world.scratch, 'closed-'))
  chmodSync(closed, 0o700)
  const dataRoot = join(closed, 'data')
  await assert.rejects(
    startDaemon({ config: { 'userns-remap': 'mapped' }, mountNamespace: world.etc.file, dataRoot }),
    /a subdirectory in your graphroot path \(.*\) restricts access to the remapped root uid\/gid; please fix by allowing 'o\+x' permissions on existing directories/,
  )
})
