import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Harbour, until } from './harbour.ts'

test('a container runs from an image, and its output and exit code come back', async (t) => {
  await using harbour = await Harbour.open(t)
  const { id, output, exitCode } = await harbour.run(['sh', '-c', 'echo out; echo err >&2; hostname; exit 3'])
  assert.deepEqual(output.split('\n').sort(), ['', 'err', 'out', id.slice(0, 12)].toSorted())
  assert.equal(exitCode, 3)
  await until(
    async () => (await harbour.engine.inspect(id, { size: false })).State.Status === 'exited',
    'exited',
  )
  assert.deepEqual(
    harbour.actions(id).filter((action) => action !== 'connect' && action !== 'disconnect'),
    ['create', 'attach', 'start', 'die'],
  )
})

test('auto-remove leaves nothing', async (t) => {
  await using harbour = await Harbour.open(t)
  const { id, exitCode } = await harbour.run(['true'], { hostConfig: { AutoRemove: true } })
  assert.equal(exitCode, 0)
  assert.throws(() => harbour.engine.paths(id), { kind: 'notFound' })
})

test('a command that is not there is refused with 127 and leaves nothing running', async (t) => {
  await using harbour = await Harbour.open(t)
  const id = await harbour.create(['/nope'])
  await assert.rejects(harbour.engine.start(id, { detachKeys: '' }), /no such file or directory|not found/)
  const { State } = await harbour.engine.inspect(id, { size: false })
  assert.equal(State.ExitCode, 127)
  assert.equal(State.Status, 'created')
})

test('exec, top, stats, pause and stop work on a running container', async (t) => {
  await using harbour = await Harbour.open(t)
  const { engine } = harbour
  const id = await harbour.start(['sleep', '1000'], { config: { StopSignal: 'SIGKILL' } })
  assert.deepEqual(await harbour.exec(id, ['sh', '-c', 'echo hi; exit 4']), { output: 'hi\n', exitCode: 4 })
  const top = await engine.top(id, '')
  assert.equal(top.Processes.length, 1)
  assert.equal(top.Processes[0]?.at(-1), 'sleep 1000')
  for await (const one of await engine.stats(
    id,
    { stream: false, oneShot: true },
    AbortSignal.timeout(5000),
  )) {
    assert.ok(Number(one.memory_stats['usage']) > 0)
    assert.ok(Object.keys(one.networks ?? {}).includes('eth0'))
  }
  await engine.pause(id)
  assert.equal((await engine.inspect(id, { size: false })).State.Status, 'paused')
  await engine.unpause(id)
  await engine.stop(id, { signal: '', timeoutSeconds: null })
  assert.equal((await engine.inspect(id, { size: false })).State.ExitCode, 137)
  await engine.start(id, { detachKeys: '' })
  assert.equal((await engine.inspect(id, { size: false })).State.Running, true)
})

test('a running container is adopted by the next engine, with its exec and its exit', async (t) => {
  await using harbour = await Harbour.open(t)
  const id = await harbour.start(['sleep', '1000'])
  const { Pid } = (await harbour.engine.inspect(id, { size: false })).State
  await harbour.reboot()
  const { State, NetworkSettings } = await harbour.engine.inspect(id, { size: false })
  assert.deepEqual([State.Status, State.Pid], ['running', Pid])
  assert.notEqual(NetworkSettings.IPAddress, '')
  assert.equal((await harbour.exec(id, ['true'])).exitCode, 0)
  await harbour.engine.kill(id, 'KILL')
  assert.equal((await harbour.engine.inspect(id, { size: false })).State.ExitCode, 137)
})

test('a volume outlives its container; an anonymous one goes with rm -v', async (t) => {
  await using harbour = await Harbour.open(t)
  const hostConfig = { Binds: ['data:/data'] }
  const first = await harbour.run(['sh', '-c', 'echo kept > /data/file'], { hostConfig })
  assert.equal(first.exitCode, 0)
  await harbour.engine.remove(first.id, { force: false, volumes: true, link: false })
  const second = await harbour.run(['cat', '/data/file'], { hostConfig })
  assert.equal(second.output, 'kept\n')
  const third = await harbour.run(['true'], { config: { Volumes: { '/anon': {} } } })
  assert.equal((await harbour.volumes.list(new Map())).volumes.length, 2)
  await harbour.engine.remove(third.id, { force: false, volumes: true, link: false })
  assert.deepEqual(
    (await harbour.volumes.list(new Map())).volumes.map(({ Name }) => Name),
    ['data'],
  )
})

test('containers share a network and shared memory where they are told to', async (t) => {
  await using harbour = await Harbour.open(t)
  const server = await harbour.start(['sleep', '1000'], {
    name: 'server',
    hostConfig: { IpcMode: 'shareable' },
  })
  await harbour.exec(server, ['sh', '-c', 'echo shared > /dev/shm/note'])
  const side = await harbour.run(['sh', '-c', 'hostname; cat /dev/shm/note; ip -4 -o addr show eth0'], {
    hostConfig: { NetworkMode: 'container:server', IpcMode: 'container:server' },
  })
  const { NetworkSettings } = await harbour.engine.inspect(server, { size: false })
  assert.match(side.output, new RegExp(`^${server.slice(0, 12)}\nshared\n.*${NetworkSettings.IPAddress}/`))
  await harbour.engine.kill('server', '')
  const late = await harbour.create(['true'], { hostConfig: { NetworkMode: 'container:server' } })
  await assert.rejects(
    harbour.engine.start(late, { detachKeys: '' }),
    /cannot join network namespace of a non running container: container server is exited/,
  )
})

test('files of a stopped container can be reached, with its volumes', async (t) => {
  await using harbour = await Harbour.open(t)
  const { id } = await harbour.run(['sh', '-c', 'echo a > /etc/note'], {
    hostConfig: { Binds: ['store:/v'] },
  })
  const seen = await harbour.engine.withRootfs(id, async (root) => {
    const { readFile } = await import('node:fs/promises')
    return { text: await readFile(`${root.directory}/etc/note`, 'utf8'), mounts: root.mounts }
  })
  assert.equal(seen.text, 'a\n')
  assert.equal(seen.mounts[0]?.destination, '/v')
  const changes = await harbour.engine.changes(id)
  assert.ok(changes.some(({ Path, Kind }) => Path === '/etc/note' && Kind === 1))
})
