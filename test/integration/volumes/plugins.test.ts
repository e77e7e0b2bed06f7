/** Docker volume plugins: how they are found, what is asked of them, and what comes of those that hang or lie. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Plugins } from '../../../src/lib/plugin-client.ts'
import { listPlugins } from '../../../src/lib/plugin-discovery.ts'
import { VolumeCreate } from '../../../src/spec/volume-types.ts'
import { Database } from '../../../src/store/database.ts'
import { LocalVolumeDriver } from '../../../src/volumes/local-driver.ts'
import { VolumeDrivers } from '../../../src/volumes/volume-drivers.ts'
import { VolumeService } from '../../../src/volumes/volume-service.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { startVolumePlugin } from '../../fixtures/volume-plugin.ts'

const root = mkdtempSync(join(tmpdir(), 'wharf-plugins-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** Directories of a test: for sockets, descriptions, the plugin's data and the engine's. */
function place(name: string) {
  const at = (part: string) => {
    const path = join(root, name, part)
    mkdirSync(path, { recursive: true })
    return path
  }
  return {
    sockets: at('sockets'),
    specifications: at('specifications'),
    data: at('data'),
    volumes: at('volumes'),
  }
}

type Place = ReturnType<typeof place>

/** Volumes that know the plugins of a place, and wait so long for an answer. */
function service({ sockets, specifications, volumes }: Place, answer = 30_000) {
  const plugins = new Plugins(
    { sockets: [sockets], specifications: [specifications] },
    { retryMs: 30_000, answerMs: { usual: answer, long: answer, short: answer } },
  )
  return new VolumeService({
    database: new Database(':memory:'),
    drivers: new VolumeDrivers([new LocalVolumeDriver(volumes)], plugins),
    events: { emit: () => {} },
    clock: systemClock,
    log: silentLog,
  })
}

const request = (fields: object) => VolumeCreate.parse(fields)
const none = new Map<string, string[]>()

test('a plugin makes, shows, mounts and removes volumes by its own methods', async () => {
  const where = place('methods')
  await using plugin = await startVolumePlugin(join(where.sockets, 'own.sock'), where.data)
  const volumes = service(where)
  const made = await volumes.create(
    request({ Name: 'v', Driver: 'own', DriverOpts: { size: '1' }, Labels: { a: 'b' } }),
  )
  const expected = {
    CreatedAt: made.CreatedAt,
    Driver: 'own',
    Labels: { a: 'b' },
    Mountpoint: join(where.data, 'v'),
    Name: 'v',
    Options: { size: '1' },
    Scope: 'global',
    Status: { colour: 'blue' },
  }
  assert.deepEqual(made, expected)
  assert.deepEqual(plugin.volumes.get('v'), { size: '1' })
  assert.equal(await volumes.mount('v', 'user'), join(where.data, 'v'))
  await volumes.unmount('v', 'user')
  assert.deepEqual(plugin.calls.at(-1), {
    method: 'VolumeDriver.Unmount',
    request: { Name: 'v', ID: 'user' },
  })
  // A volume that the plugin has from elsewhere is there for everybody.
  plugin.volumes.set('theirs', {})
  const names = async (filters = none) => (await volumes.list(filters)).volumes.map(({ Name: name }) => name)
  assert.deepEqual(await names(), ['theirs', 'v'])
  assert.deepEqual(await names(new Map([['driver', ['local']]])), [])
  assert.equal((await volumes.inspect('theirs')).Mountpoint, join(where.data, 'theirs'))
  await volumes.create(request({ Name: 'theirs', Driver: 'own' }))
  assert.equal(plugin.calls.filter(({ method }) => method === 'VolumeDriver.Create').length, 1)
  assert.deepEqual(await volumes.prune(new Map([['all', ['true']]])), {
    VolumesDeleted: [],
    SpaceReclaimed: 0,
  })
  await volumes.remove('v', false)
  await volumes.remove('theirs', false)
  assert.equal(plugin.volumes.size, 0)
  assert.ok(plugin.calls.filter(({ method }) => method === 'Plugin.Activate').length === 1)
})

test('plugins are found as sockets and as descriptions, sockets first', async () => {
  const where = place('found')
  await using plugin = await startVolumePlugin(0, where.data)
  const address = `tcp://127.0.0.1:${plugin.port}`
  writeFileSync(join(where.specifications, 'spec.spec'), `${address}\n`)
  mkdirSync(join(where.specifications, 'inner'))
  writeFileSync(join(where.specifications, 'inner/inner.json'), JSON.stringify({ Name: 'x', Addr: address }))
  writeFileSync(join(where.specifications, 'bad.json'), '{')
  writeFileSync(join(where.specifications, 'odd.spec'), 'gopher://x')
  const volumes = service(where)
  for (const driver of ['spec', 'inner']) {
    await volumes.create(request({ Name: `of-${driver}`, Driver: driver }))
  }
  const refused = (driver: string) => volumes.create(request({ Name: 'r', Driver: driver }))
  await assert.rejects(refused('bad'), /error looking up volume plugin bad: invalid plugin description/)
  await assert.rejects(refused('odd'), /invalid plugin address: gopher:\/\/x/)
  await assert.rejects(refused('absent'), {
    kind: 'notFound',
    message: 'create r: error looking up volume plugin absent: plugin "absent" not found',
  })
  await assert.rejects(refused('../found/x'), /plugin "..\/found\/x" not found/)
  const found = await listPlugins({ sockets: [where.sockets], specifications: [where.specifications] })
  assert.deepEqual(found, ['bad', 'inner', 'odd', 'spec'])
})

test('what a plugin says went wrong is answered, and leaves nothing', async () => {
  const where = place('wrong')
  await using plugin = await startVolumePlugin(join(where.sockets, 'own.sock'), where.data)
  await using _other = await startVolumePlugin(join(where.sockets, 'other.sock'), where.data, [
    'NetworkDriver',
  ])
  const volumes = service(where)
  await assert.rejects(volumes.create(request({ Name: 'refused', Driver: 'own' })), {
    message: 'create refused: VolumeDriver.Create: the plugin wants no such name',
  })
  await assert.rejects(
    volumes.create(request({ Name: 'x', Driver: 'other' })),
    /Plugin does not implement the requested driver/,
  )
  assert.deepEqual(await volumes.list(none), { volumes: [], warnings: [] })
  await volumes.create(request({ Name: 'v', Driver: 'own' }))
  const lies: [string, RegExp][] = [
    ['{"Mountpoint":"relative"}', /mountpoint "relative" of volume v cannot be used: it is no absolute path/],
    ['{"Mountpoint":"/no/such/place"}', /mountpoint "\/no\/such\/place" .* ENOENT/],
    ['{}', /mountpoint "" .* it is no absolute path/],
    ['not json', /VolumeDriver.Mount: the plugin's answer is no JSON/],
    ['{"Mountpoint":7}', /VolumeDriver.Mount: the plugin's answer has not the shape it should/],
    [`{"Mountpoint":"${'x'.repeat(5 << 20)}"}`, /VolumeDriver.Mount: the plugin's answer is too long/],
  ]
  for (const [answer, reason] of lies) {
    plugin.instead = ({ method }, response) => {
      if (method !== 'VolumeDriver.Mount') return false
      response.end(answer)
      return true
    }
    await assert.rejects(volumes.mount('v', 'user'), reason)
  }
  plugin.instead = (_call, response) => {
    response.statusCode = 500
    response.end('out of order')
    return true
  }
  await assert.rejects(volumes.remove('v', false), { message: 'remove v: VolumeDriver.Remove: out of order' })
  assert.equal((await volumes.list(none)).warnings.join(), 'list own: VolumeDriver.List: out of order')
  await volumes.remove('v', true)
  plugin.instead = () => false
  // Only the engine has forgotten it.
  assert.ok(existsSync(join(where.data, 'v')))
})

test('a plugin that hangs is given up, one that is not up yet is waited for', async () => {
  const where = place('late')
  const socket = join(where.sockets, 'own.sock')
  const volumes = service(where, 3000)
  {
    await using plugin = await startVolumePlugin(socket, where.data)
    await volumes.create(request({ Name: 'v', Driver: 'own' }))
    plugin.instead = ({ method }) => method !== 'VolumeDriver.Get'
    await assert.rejects(volumes.create(request({ Name: 'h', Driver: 'own' })), {
      kind: 'unavailable',
      message: 'create h: VolumeDriver.Create: the plugin has not answered within 3 s',
    })
    assert.match(
      (await volumes.list(none)).warnings.join(),
      /^list own: VolumeDriver.List: the plugin has not/,
    )
  }
  const mounting = volumes.mount('v', 'user')
  await using back = await startVolumePlugin(socket, where.data)
  assert.equal(await mounting, join(where.data, 'v'))
  assert.equal(back.calls.at(-1)?.method, 'VolumeDriver.Mount')
})

/** Runs a command of the docker CLI that must work. */
async function docker(daemon: TestDaemon, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args)
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

test('containers of a daemon use a plugin’s volumes, also after the plugin and the daemon were away', async () => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  const sockets = join(daemon.names.root, 'run/plugins')
  const data = join(daemon.names.root, 'plugin-data')
  mkdirSync(sockets, { recursive: true })
  const socket = join(sockets, 'shelf.sock')
  {
    await using plugin = await startVolumePlugin(socket, data)
    await docker(daemon, 'volume', 'create', '-d', 'shelf', '-o', 'tier=cold', 'books')
    const write = 'echo page > /b/one; ls /b; ls /etc2'
    assert.equal(
      await docker(
        daemon,
        'run',
        '--rm',
        '--volume-driver',
        'shelf',
        '-v',
        'books:/b',
        '-v',
        'fresh:/etc2',
        'busybox',
        'sh',
        '-c',
        write,
      ),
      'one',
    )
    // An empty volume takes over what the image has, a plugin's too.
    await docker(
      daemon,
      'run',
      '--rm',
      '--mount',
      'volume-driver=shelf,src=taken,dst=/etc',
      'busybox',
      'true',
    )
    assert.ok(existsSync(join(data, 'taken/passwd')))
    assert.deepEqual([...plugin.volumes.keys()], ['books', 'fresh', 'taken'])
    const ids = (method: string) =>
      plugin.calls.filter((call) => call.method === method).map(({ request: { ID: id } }) => id)
    assert.deepEqual(new Set(ids('VolumeDriver.Unmount')), new Set(ids('VolumeDriver.Mount')))
    assert.match(await docker(daemon, 'volume', 'ls'), /^shelf +books$/m)
    assert.match(await docker(daemon, 'info', '-f', '{{.Plugins.Volume}}'), /^\[local shelf\]$/)
    await docker(daemon, 'run', '-d', '--name', 'reader', '-v', 'books:/b', 'busybox', 'sleep', '1000')
    assert.match(
      (await daemon.docker(['volume', 'rm', 'books'])).stderr,
      /remove books: volume is in use - \[/,
    )
  }
  const absent = await daemon.docker(['volume', 'inspect', 'books'])
  assert.match(
    absent.stderr,
    /VolumeDriver\.Get: connect (ENOENT|ECONNREFUSED)|error looking up volume plugin shelf: plugin "shelf" not found/,
  )
  await daemon.kill9()
  await daemon.start()
  await using plugin = await startVolumePlugin(socket, data)
  plugin.volumes.set('books', {})
  assert.equal(await docker(daemon, 'exec', 'reader', 'cat', '/b/one'), 'page')
  await docker(daemon, 'rm', '-f', 'reader')
  await docker(daemon, 'volume', 'rm', 'books')
  assert.ok(!existsSync(join(data, 'books')))
})
