import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { createServer, connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import type { IncomingMessage } from 'node:http'
import { busyboxArchive } from '../../fixtures/busybox-image.ts'
import { eventually, runCommand } from '../../fixtures/processes.ts'
import { DaemonFixture, removeLeavings } from './daemon-fixture.ts'

const run = promisify(execFile)
const json = (body: string) => JSON.parse(body) as Record<string, unknown>

before(removeLeavings)

test('a daemon answers on its socket, for root and its group alone, and goes without leaving it', async () => {
  await using daemon = new DaemonFixture()
  await daemon.start()
  const mode = statSync(daemon.socket).mode & 0o777
  assert.equal(mode, 0o660)
  const ping = await daemon.call('GET', '/_ping')
  assert.deepEqual([ping.status, ping.body], [200, 'OK'])
  assert.equal(ping.headers['api-version'], '1.55')
  assert.equal(ping.headers['docker-experimental'], 'false')
  assert.equal(ping.headers['ostype'], 'linux')
  assert.equal(ping.headers['swarm'], 'inactive')
  assert.match(String(ping.headers['server']), /^Wharf\/[0-9.]+ \(linux\)$/)
  const head = await daemon.call('HEAD', '/v1.44/_ping')
  assert.deepEqual([head.status, head.body], [200, ''])
  assert.equal(await daemon.stop(), 0)
  assert.equal(existsSync(daemon.socket), false)
  assert.equal(existsSync(join(daemon.directory, 'pid')), false)
})

test('the docker command talks to it', async () => {
  await using daemon = new DaemonFixture()
  await daemon.start()
  const docker = async (...args: string[]) =>
    (await run('docker', ['-H', `unix://${daemon.socket}`, ...args])).stdout
  assert.match(
    await docker('version', '--format', '{{.Server.APIVersion}} {{.Server.MinAPIVersion}}'),
    /^1\.55 1\.24$/m,
  )
  assert.match(
    await docker('info', '--format', '{{.OSType}} {{.Driver}} {{.Swarm.LocalNodeState}}'),
    /^linux overlay2 inactive$/m,
  )
  assert.equal(await docker('ps', '-aq'), '')
  await assert.rejects(docker('node', 'ls'), /This node is not a swarm manager/)
})

test('one data root has one daemon; after a kill the next one takes over socket and lock', async () => {
  await using daemon = new DaemonFixture()
  await daemon.start()
  await using second = new DaemonFixture()
  const other = await second.run([
    ...daemon.ownArguments(),
    '--pidfile',
    join(second.directory, 'pid'),
    '-H',
    `unix://${second.socket}`,
  ])
  assert.equal(other.code, 1)
  assert.match(other.output, /another wharfd \(process \d+\) works in/)
  await daemon.stop('SIGKILL')
  assert.equal(existsSync(daemon.socket), true)
  await daemon.start()
  assert.equal((await daemon.call('GET', '/_ping')).status, 200)
})

test('a socket on which somebody else answers is not taken away', async () => {
  await using daemon = new DaemonFixture()
  const server = createServer().listen(daemon.socket)
  await once(server, 'listening')
  const { code, output } = await daemon.run([...daemon.ownArguments(), '-H', `unix://${daemon.socket}`])
  assert.equal(code, 1)
  assert.match(output, /another process answers on/)
  server.close()
})

test('SIGHUP reloads what may change and tells the journal; a bad file changes nothing', async () => {
  await using daemon = new DaemonFixture()
  const config = daemon.configFile({ labels: ['a=1'], mtu: 1400 })
  await daemon.start(['-H', `unix://${daemon.socket}`, '--config-file', config])
  const info = async () => json((await daemon.call('GET', '/info')).body)
  assert.deepEqual((await info())['Labels'], ['a=1'])
  daemon.configFile({ labels: ['b=2'], debug: true, mtu: 1300 })
  process.kill(daemon.pid, 'SIGHUP')
  await daemon.waitForOutput('configuration reloaded')
  assert.match(daemon.output, /these settings change only with a restart keys=\["mtu"\]/)
  assert.deepEqual([(await info())['Labels'], (await info())['Debug']], [['b=2'], true])
  const past = await daemon.call('GET', `/events?since=0&until=${Math.ceil(Date.now() / 1000) + 1}`)
  const events = past.body.trim().split('\n').map(json)
  assert.deepEqual(
    events.map((event) => [event['Type'], event['Action']]),
    [['daemon', 'reload']],
  )
  daemon.configFile('{"colour": "blue"}')
  process.kill(daemon.pid, 'SIGHUP')
  await daemon.waitForOutput('configuration not reloaded')
  assert.match(daemon.output, /the following directives don't match any configuration option: colour/)
  assert.deepEqual((await info())['Labels'], ['b=2'])
})

test('a prune of the build cache is told of, though there is none', async () => {
  await using daemon = new DaemonFixture()
  await daemon.start(['-H', `unix://${daemon.socket}`, '--config-file', daemon.configFile({})])
  const pruned = await daemon.call('POST', '/build/prune')
  assert.deepEqual(json(pruned.body), { CachesDeleted: null, SpaceReclaimed: 0 })
  const past = await daemon.call('GET', `/events?since=0&until=${Math.ceil(Date.now() / 1000) + 1}`)
  const { Type: type, Action: action, Actor: actor } = json(past.body)
  assert.deepEqual([type, action, actor], ['builder', 'prune', { ID: '', Attributes: { reclaimed: '0' } }])
})

test('SIGHUP changes the runtimes that there are, and the default one', async () => {
  await using daemon = new DaemonFixture()
  const config = daemon.configFile({})
  await daemon.start(['-H', `unix://${daemon.socket}`, '--config-file', config])
  daemon.configFile({ runtimes: { own: { path: '/bin/true' } }, 'default-runtime': 'own' })
  process.kill(daemon.pid, 'SIGHUP')
  await daemon.waitForOutput('configuration reloaded')
  await eventually('the new runtimes are told', async () => {
    const info = json((await daemon.call('GET', '/info')).body)
    const { DefaultRuntime, Runtimes } = info
    return DefaultRuntime === 'own' && JSON.stringify(Runtimes).includes('"own":{"path":"/bin/true"')
  })
})

test('validate, version, help and refusals of the command line', async () => {
  await using daemon = new DaemonFixture()
  const good = daemon.configFile({ debug: true })
  assert.deepEqual(await daemon.run(['--validate', '--config-file', good]), {
    code: 0,
    output: 'configuration OK\n',
  })
  const conflict = await daemon.run(['--validate', '--config-file', good, '-D'])
  assert.equal(conflict.code, 1)
  assert.match(
    conflict.output,
    /specified both as a flag and in the configuration file: debug: \(from flag: true, from file: true\)/,
  )
  const missing = await daemon.run(['--validate', '--config-file', join(daemon.directory, 'none.json')])
  assert.match(missing.output, /open .*none.json: no such file or directory/)
  assert.match((await daemon.run(['--version'])).output, /^Wharf version [0-9.]+/)
  assert.match((await daemon.run(['--help'])).output, /--data-root string/)
  assert.equal((await daemon.run(['--frobnicate'])).code, 1)
})

test('the executable works through a symbolic link and from any directory', async () => {
  await using daemon = new DaemonFixture()
  const bin = join(daemon.directory, 'bin')
  mkdirSync(bin)
  symlinkSync(join(import.meta.dirname, '../../../bin/wharfd'), join(bin, 'direct'))
  symlinkSync('direct', join(bin, 'wharfd'))
  const environment = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` }
  const { stdout } = await run('wharfd', ['--version'], { cwd: '/', env: environment })
  assert.match(stdout, /^Wharf version/)
})

test('TCP without TLS answers with a warning, in the log and in info', async () => {
  await using daemon = new DaemonFixture()
  await daemon.start(['-H', `unix://${daemon.socket}`, '-H', 'tcp://127.0.0.1:0'])
  assert.match(daemon.output, /API is open over TCP without TLS/)
  const port = Number(/tcp:\/\/127\.0\.0\.1:(\d+)/.exec(daemon.output)?.[1])
  const socket = connect({ port, host: '127.0.0.1' })
  socket.end('GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  assert.match(await text(socket), /^HTTP\/1.1 200 OK[^]*\r\n\r\nOK$/)
  assert.match((await daemon.call('GET', '/info')).body, /API is accessible on http:\/\/127.0.0.1/)
})

test('TLS with client verification lets nobody in without a certificate of the authority', async () => {
  await using daemon = new DaemonFixture()
  const at = (name: string) => join(daemon.directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
  const issue = (name: string, extension: string) => {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      at(`${name}-key.pem`),
      '-out',
      at(`${name}.csr`),
      '-subj',
      `/CN=${name}`,
    )
    writeFileSync(at('ext'), extension)
    openssl(
      'x509',
      '-req',
      '-in',
      at(`${name}.csr`),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca-key.pem'),
      '-CAcreateserial',
      '-out',
      at(`${name}.pem`),
      '-days',
      '1',
      '-extfile',
      at('ext'),
    )
  }
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at('ca-key.pem'),
    '-out',
    at('ca.pem'),
    '-days',
    '1',
    '-subj',
    '/CN=ca',
  )
  issue('server', 'subjectAltName=IP:127.0.0.1')
  issue('client', 'extendedKeyUsage=clientAuth')
  await daemon.start([
    '-H',
    'tcp://127.0.0.1:0',
    '--tlsverify',
    '--tlscacert',
    at('ca.pem'),
    '--tlscert',
    at('server.pem'),
    '--tlskey',
    at('server-key.pem'),
  ])
  const port = /tcp:\/\/127\.0\.0\.1:(\d+)/.exec(daemon.output)?.[1] ?? ''
  const ca = readFileSync(at('ca.pem'))
  const ask = async (credentials: { cert?: Buffer; key?: Buffer }) => {
    const outgoing = httpsRequest({ host: '127.0.0.1', port, path: '/_ping', ca, ...credentials })
    outgoing.end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    return text(response)
  }
  assert.equal(
    await ask({ cert: readFileSync(at('client.pem')), key: readFileSync(at('client-key.pem')) }),
    'OK',
  )
  await assert.rejects(ask({}))
  const flags = [
    '--tlsverify',
    '--tlscacert',
    at('ca.pem'),
    '--tlscert',
    at('client.pem'),
    '--tlskey',
    at('client-key.pem'),
  ]
  const { stdout } = await run('docker', [
    '-H',
    `tcp://127.0.0.1:${port}`,
    ...flags,
    'version',
    '--format',
    '{{.Server.Os}}',
  ])
  assert.equal(stdout, 'linux\n')

  // The client's end of input must not end what the container still has to say.
  const target = ['-H', `tcp://127.0.0.1:${port}`, ...flags]
  const loaded = await runCommand('docker', [...target, 'load'], { input: await busyboxArchive() })
  assert.equal(loaded.code, 0, loaded.stderr)
  const input = randomBytes(3_000_001).toString('hex')
  const echoed = await runCommand(
    'docker',
    [...target, 'run', '--rm', '-i', '--network', 'none', 'busybox', 'cat'],
    {
      input,
    },
  )
  assert.equal(echoed.stderr, '')
  assert.ok(echoed.stdout === input, `${echoed.stdout.length} of ${input.length} bytes came back`)
})

test('sockets that systemd passed are used', async () => {
  await using daemon = new DaemonFixture()
  // A shell stands for systemd: it opens the socket, passes it as descriptor 3 and names itself.
  const script = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(16)
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='wharf.socket')
os.execv(sys.argv[2], sys.argv[2:])`
  const child = daemon.spawnProgram('python3', [
    '-c',
    script,
    daemon.socket,
    join(import.meta.dirname, '../../../bin/wharfd'),
    ...daemon.ownArguments(),
    '-H',
    'fd://',
  ])
  await daemon.waitForOutput('daemon started')
  assert.equal((await daemon.call('GET', '/_ping')).body, 'OK')
  assert.ok(child.pid !== undefined)
})
