import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndpointSettings } from '../spec/container-config.ts'
import { EngineFixture } from './testing.ts'

const filtered = (filters: Record<string, string[]>, all = true) => ({
  all,
  limit: 0,
  size: false,
  filters: new Map(Object.entries(filters)),
})

async function names(fixture: EngineFixture, filters: Record<string, string[]>, all = true): Promise<string> {
  const rows = await fixture.engine.list(filtered(filters, all))
  return rows.map(({ Names }) => Names[0]).join(' ')
}

async function harbour(): Promise<EngineFixture> {
  const fixture = await EngineFixture.make()
  await fixture.run(
    { Labels: { tier: 'web', x: '' } },
    { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
    'web',
  )
  await fixture.create({ ExposedPorts: { '5432/tcp': {} } }, {}, 'db')
  await fixture.run({}, { NetworkMode: 'front' }, 'worker')
  fixture.world.task(fixture.engine.paths('worker').id).end(3)
  const { result } = await fixture.engine.wait('worker', 'not-running', new AbortController().signal)
  await result
  return fixture
}

test('list() shows running containers, newest first, and all on request', async () => {
  await using fixture = await harbour()
  assert.equal(await names(fixture, {}, false), '/web')
  assert.equal(await names(fixture, {}), '/worker /db /web')
})

const cases: [Record<string, string[]>, string][] = [
  [{ name: ['w'] }, '/worker /web'],
  [{ name: ['^/?web$'] }, '/web'],
  [{ name: ['[bad'] }, ''],
  [{ label: ['tier=web'] }, '/web'],
  [{ label: ['tier=web', 'x'] }, '/web'],
  [{ label: ['tier=db'] }, ''],
  [{ status: ['exited'] }, '/worker'],
  [{ status: ['created', 'running'] }, '/db /web'],
  [{ exited: ['3'] }, '/worker'],
  [{ exited: ['0'] }, ''],
  [{ ancestor: ['busybox'] }, '/worker /db /web'],
  [{ ancestor: ['nope'] }, ''],
  [{ publish: ['80'] }, '/web'],
  [{ publish: ['70-90/tcp'] }, '/web'],
  [{ expose: ['5432'] }, '/db'],
  [{ network: ['front'] }, '/worker'],
  [{ before: ['worker'] }, '/db /web'],
  [{ since: ['db'] }, '/worker'],
  [{ health: ['none'] }, '/worker /db /web'],
  [{ 'is-task': ['true'] }, ''],
  [{ isolation: ['default'] }, '/worker /db /web'],
  [{ isolation: ['process'] }, ''],
  [{ volume: ['data'] }, ''],
]
for (const [filters, expected] of cases) {
  test(`list() with ${JSON.stringify(filters)} shows ${expected === '' ? 'nothing' : expected}`, async () => {
    await using fixture = await harbour()
    assert.equal(await names(fixture, filters), expected)
  })
}

const refused: [Record<string, string[]>, string][] = [
  [{ nope: ['1'] }, "invalid filter 'nope'"],
  [{ status: ['dancing'] }, "invalid filter 'status=dancing'"],
  [{ exited: ['x'] }, "invalid filter 'exited=x'"],
  [{ health: ['fine'] }, "invalid filter 'health=fine'"],
  [{ 'is-task': ['maybe'] }, "invalid filter 'is-task=maybe'"],
  [{ publish: ['8080:80'] }, "filter for 'publish' should not contain ':': 8080:80"],
]
for (const [filters, message] of refused) {
  test(`list() refuses ${JSON.stringify(filters)}`, async () => {
    await using fixture = await EngineFixture.make()
    await assert.rejects(fixture.engine.list(filtered(filters)), { kind: 'invalid', message })
  })
}

test('list() with a limit counts stopped ones too', async () => {
  await using fixture = await harbour()
  const rows = await fixture.engine.list({ ...filtered({}, false), limit: 2 })
  assert.deepEqual(
    rows.map(({ Names }) => Names[0]),
    ['/worker', '/db'],
  )
})

test('a row has the image it was made from, its command and its ports', async () => {
  await using fixture = await harbour()
  await fixture.create({ Cmd: ['sh', '-c', 'echo hi'] }, {}, 'talker')
  const rows = await fixture.engine.list({ ...filtered({}), size: true })
  const web = rows.find(({ Names }) => Names[0] === '/web')
  assert.equal(web?.Image, 'busybox')
  assert.deepEqual(web?.Ports, [{ IP: '', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }])
  assert.deepEqual([web?.SizeRw, web?.SizeRootFs], [10, 100])
  assert.equal(rows[0]?.Command, "sh -c 'echo hi'")
})

test('prune() removes stopped containers that the labels let through', async () => {
  await using fixture = await harbour()
  const { engine } = fixture
  assert.deepEqual(await engine.prune(new Map([['label', ['none']]])), { deleted: [], reclaimedBytes: 0 })
  const { deleted, reclaimedBytes } = await engine.prune(new Map())
  assert.equal(deleted.length, 2)
  assert.equal(reclaimedBytes, 20)
  assert.equal(await names(fixture, {}), '/web')
  await assert.rejects(engine.prune(new Map([['nope', ['1']]])), { message: "invalid filter 'nope'" })
})

test('rename() moves the name, in the networks too, and frees the old one', async () => {
  await using fixture = await harbour()
  const { engine, world } = fixture
  await engine.rename('web', 'front')
  assert.ok(world.calls.includes('networking.rename'))
  assert.throws(() => engine.paths('web'), { kind: 'notFound' })
  await fixture.create({}, {}, 'web')
  const { id } = engine.paths('front')
  await assert.rejects(engine.rename('db', 'front'), {
    kind: 'conflict',
    message: `Error when allocating new name: Conflict. The container name "/front" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  })
  await assert.rejects(engine.rename('db', 'db'), /same name as its current name/)
  await assert.rejects(engine.rename('db', ''), { message: 'Neither old nor new names may be empty' })
})

test('a network is joined at once while running, at the next start otherwise', async () => {
  await using fixture = await harbour()
  const { engine, world } = fixture
  const settings = EndpointSettings.parse({ Aliases: ['db'] })
  await engine.connectNetwork('web', 'front', settings)
  const { NetworkSettings } = await engine.inspect('web', { size: false })
  assert.equal(NetworkSettings.Networks['front']?.IPAddress, '10.0.0.2')
  await engine.disconnectNetwork('web', 'front', false)
  assert.ok(world.calls.includes('networking.disconnect'))
  await engine.connectNetwork('db', 'front', settings)
  await engine.start('db', { detachKeys: '' })
  const request = world.sandboxes.get(engine.paths('db').id)
  assert.deepEqual(
    request?.endpoints.map(({ network }) => network),
    ['bridge', 'front'],
  )
  assert.deepEqual(request?.endpoints[1]?.settings.Aliases, ['db'])
  await assert.rejects(engine.disconnectNetwork('db', 'none', false), /is not connected to network none/)
})

test('top() shows the processes of the container only', async () => {
  await using fixture = await harbour()
  const { engine, world } = fixture
  const { pid } = world.task(engine.paths('web').id)
  world.psOutput = `UID   PID CMD\nroot  ${pid} sh -c sleep 9\nroot  1 init\n`
  assert.deepEqual(await engine.top('web', ''), {
    Titles: ['UID', 'PID', 'CMD'],
    Processes: [['root', String(pid), 'sh -c sleep 9']],
  })
  world.psOutput = 'UID CMD\nroot sh\n'
  await assert.rejects(engine.top('web', '-o uid,cmd'), { message: "Couldn't find PID field in ps output" })
  await assert.rejects(engine.top('db', ''), { kind: 'conflict' })
})

test('stats() has the API shape, and nothing for a container that does not run', async () => {
  await using fixture = await harbour()
  const signal = new AbortController().signal
  const read = async (name: string) => {
    for await (const one of await fixture.engine.stats(name, { stream: false, oneShot: true }, signal))
      return one
    return undefined
  }
  const web = await read('web')
  assert.equal(web?.name, '/web')
  assert.equal(web?.cpu_stats['system_cpu_usage'], 5000)
  assert.deepEqual(web?.cpu_stats['cpu_usage'], {
    total_usage: 3000,
    usage_in_kernelmode: 1000,
    usage_in_usermode: 2000,
  })
  assert.equal(web?.memory_stats['limit'], 1e9)
  assert.equal(web?.networks?.['eth0']?.['rx_bytes'], 1)
  const db = await read('db')
  assert.deepEqual([db?.read, db?.memory_stats], ['0001-01-01T00:00:00Z', {}])
})

test('stats() streams a reading a second with the one before it', async () => {
  await using fixture = await harbour()
  const controller = new AbortController()
  const readings = await fixture.engine.stats('web', { stream: true, oneShot: false }, controller.signal)
  const seen: string[] = []
  for await (const one of readings) {
    seen.push(`${one.preread} ${one.read}`)
    if (seen.length === 2) controller.abort()
    else setImmediate(() => fixture.world.clock.advance(1000))
  }
  assert.deepEqual(seen, [
    '0001-01-01T00:00:00Z 2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z 2026-01-01T00:00:01Z',
  ])
})
