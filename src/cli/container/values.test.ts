import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createFlags } from './create-flags.ts'
import { createRequest } from './create-request.ts'
import { keepEnding, placeCopy, rebaseEntry, splitCopyArgument } from './copy-paths.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import { displayPorts } from './list-format.ts'
import { parsePorts } from './ports.ts'
import { parseFlags } from '../../lib/flags.ts'

function request(...words: string[]): Record<string, unknown> {
  const { values, args, given } = parseFlags(createFlags, words, false)
  const input = { flags: values, args, given, env: { HOME: '/root' }, config: {}, host: 'unix:///x' }
  return createRequest(input).body
}
const host = (...words: string[]) => request(...words)['HostConfig'] as Record<string, unknown>

test('published ports are paired, spread and exposed', () => {
  assert.deepEqual(parsePorts(['8080:80', '[::1]:53:53/udp', '90-91', '100-101:7'], ['1000-1001/sctp']), {
    exposed: {
      '80/tcp': {},
      '53/udp': {},
      '90/tcp': {},
      '91/tcp': {},
      '7/tcp': {},
      '1000/sctp': {},
      '1001/sctp': {},
    },
    bindings: {
      '80/tcp': [{ HostIp: '', HostPort: '8080' }],
      '53/udp': [{ HostIp: '::1', HostPort: '53' }],
      '90/tcp': [{ HostIp: '', HostPort: '' }],
      '91/tcp': [{ HostIp: '', HostPort: '' }],
      '7/tcp': [{ HostIp: '', HostPort: '100-101' }],
    },
  })
})

test('a create request carries what was asked for', () => {
  const body = request(
    '-it',
    '-e',
    'HOME',
    '-e',
    'X=1',
    '--entrypoint',
    'sh',
    '-v',
    '/a:/b',
    '-v',
    '/anon',
    'img',
    '-c',
    'x',
  )
  assert.deepEqual(
    [
      body['Env'],
      body['Cmd'],
      body['Entrypoint'],
      body['Image'],
      body['Tty'],
      body['StdinOnce'],
      body['Volumes'],
    ],
    [['HOME=/root', 'X=1'], ['-c', 'x'], ['sh'], 'img', true, true, { '/anon': {} }],
  )
  assert.deepEqual(host('-v', '/a:/b', 'i')['Binds'], ['/a:/b'])
  assert.equal(host('--cpus', '1.5', 'i')['NanoCpus'], 1_500_000_000)
  assert.deepEqual(host('--restart', 'on-failure:3', 'i')['RestartPolicy'], {
    Name: 'on-failure',
    MaximumRetryCount: 3,
  })
  assert.equal('PidsLimit' in host('i'), false)
  assert.equal(host('--init', 'i')['Init'], true)
  assert.deepEqual(host('--security-opt', 'systempaths=unconfined', 'i')['MaskedPaths'], [])
})

test('networks are asked for in the short and the long form', () => {
  const long = request('--network', 'name=a,alias=x,ip=10.0.0.2', '--network', 'b', 'i')
  assert.deepEqual(long['NetworkingConfig'], {
    EndpointsConfig: { a: { Aliases: ['x'], IPAMConfig: { IPv4Address: '10.0.0.2' } }, b: {} },
  })
  assert.equal((long['HostConfig'] as Record<string, unknown>)['NetworkMode'], 'a')
  assert.deepEqual(request('--net', 'host', 'i')['NetworkingConfig'], { EndpointsConfig: {} })
})

test('mounts take only what belongs to their type', () => {
  assert.deepEqual(host('--mount', 'type=bind,src=/a,dst=/b,ro,bind-propagation=rshared', 'i')['Mounts'], [
    { Type: 'bind', Source: '/a', Target: '/b', ReadOnly: true, BindOptions: { Propagation: 'rshared' } },
  ])
  assert.deepEqual(host('--mount', '"type=tmpfs",dst=/t,tmpfs-size=1m,tmpfs-mode=1777', 'i')['Mounts'], [
    { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1_048_576, Mode: 0o1777 } },
  ])
})

// Refusals of the docker client 28.2.
const refusals: [string[], string][] = [
  [['-p', 'abc', 'i'], 'invalid containerPort: abc'],
  [['-p', '80-90:80-85', 'i'], 'invalid ranges specified for container and host Ports: 80-85 and 80-90'],
  [['--expose', '80:90', 'i'], 'invalid port format for --expose: 80:90'],
  [['--restart', 'always', '--rm', 'i'], 'conflicting options: cannot specify both --restart and --rm'],
  [['--restart', ':3', 'i'], 'invalid restart policy format: no policy provided before colon'],
  [['--memory-swappiness', '101', 'i'], 'invalid value: 101. Valid memory swappiness range is 0-100'],
  [['--pid', 'x', 'i'], '--pid: invalid PID mode'],
  [['--no-healthcheck', '--health-cmd', 'x', 'i'], '--no-healthcheck conflicts with --health-* options'],
  [['--health-retries', '-1', 'i'], '--health-retries cannot be negative'],
  [['--log-driver', 'none', '--log-opt', 'a=b', 'i'], 'invalid logging opts for driver none'],
  [['--storage-opt', 'x', 'i'], 'invalid storage option'],
  [
    ['--network', 'a', '--network', 'host', 'i'],
    'conflicting options: cannot attach both user-defined and non-user-defined network-modes',
  ],
  [['--mac-address', 'x', 'i'], 'x is not a valid mac address'],
  [['-v', ':/x', 'i'], 'invalid spec: :/x: empty section between colons'],
  [['--ulimit', 'foo=1', 'i'], 'invalid argument "foo=1" for "--ulimit" flag: invalid ulimit type: foo'],
  [
    ['--mount', 'type=bind,dst=/x,volume-nocopy', 'i'],
    'invalid argument "type=bind,dst=/x,volume-nocopy" for "--mount" flag: cannot mix \'volume-*\' options with mount type \'bind\'',
  ],
]
for (const [words, message] of refusals) {
  test(`${words.join(' ')} is refused in Docker's words`, () =>
    assert.throws(() => request(...words), { message }))
}

test('devices of the Container Device Interface become one request', () => {
  const asked = host('--device', 'vendor.com/class=a', '--device', 'v/c=b:1', '--device', '/dev/null', 'i')
  const request = { Driver: 'cdi', Count: 0, DeviceIDs: ['vendor.com/class=a', 'v/c=b:1'] }
  assert.deepEqual(asked['DeviceRequests'], [{ ...request, Capabilities: null, Options: null }])
  assert.equal((asked['Devices'] as unknown[]).length, 1)
})

test("files that make no sense are refused in Docker's words", () => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-values-'))
  const file = (content: Buffer) => {
    writeFileSync(join(directory, 'file'), content)
    return join(directory, 'file')
  }
  const seccomp = (text: string) => () => request('--security-opt', `seccomp=${file(Buffer.from(text))}`, 'i')
  const failed = `compacting json for seccomp profile (${join(directory, 'file')}) failed: `
  try {
    assert.throws(seccomp('{'), { message: `${failed}unexpected end of JSON input` })
    assert.throws(seccomp('{}x'), { message: `${failed}invalid character 'x' after top-level value` })
    assert.throws(seccomp('[1 2]'), { message: `${failed}invalid character '2' after array element` })
    assert.throws(() => request('--security-opt', `seccomp=${directory}`, 'i'), {
      message: `opening seccomp profile (${directory}) failed: read ${directory}: is a directory`,
    })
    assert.throws(() => request('--env-file', '/none', 'i'), {
      message: 'open /none: no such file or directory',
    })
    assert.throws(() => request('--env-file', directory, 'i'), {
      message: `invalid env file (${directory}): read ${directory}: is a directory`,
    })
    const binary = file(Buffer.from([65, 61, 10, 255, 254, 10, 66]))
    assert.throws(() => request('--env-file', binary, 'i'), {
      message: `invalid env file (${binary}): invalid utf8 bytes at line 2: [255 254]`,
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('ports of ps are grouped as Docker groups them', () => {
  const port = (PrivatePort: number, PublicPort?: number, IP = '0.0.0.0') =>
    PublicPort === undefined ? { PrivatePort, Type: 'tcp' } : { IP, PrivatePort, PublicPort, Type: 'tcp' }
  assert.equal(displayPorts([port(81, 81), port(80, 80), port(82, 82)]), '0.0.0.0:80-82->80-82/tcp')
  assert.equal(
    displayPorts([port(80, 8080), port(80, 8080, '::'), port(443)]),
    '443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp',
  )
})

test('detach keys are found across reads, and what only began like them is passed on', () => {
  const filter = () => new DetachFilter(parseDetachKeys('ctrl-p,ctrl-q'))
  assert.equal(filter().push(Buffer.from('a\x10\x11b')).detached, true)
  const split = filter()
  assert.deepEqual(split.push(Buffer.from('\x10')), { data: Buffer.from(''), detached: false })
  assert.equal(split.push(Buffer.from('\x11')).detached, true)
  const other = filter()
  other.push(Buffer.from('\x10'))
  assert.equal(other.push(Buffer.from('x')).data.toString(), '\x10x')
  assert.throws(() => parseDetachKeys('ctrl-1'), { message: "Unknown character: 'ctrl-1'" })
})

test('cp places files as docker cp does', () => {
  const file = (path: string) => ({ path, exists: true, isDirectory: false, rebaseName: '' })
  const directory = (path: string) => ({ path, exists: true, isDirectory: true, rebaseName: '' })
  const missing = (path: string) => ({ path, exists: false, isDirectory: false, rebaseName: '' })
  assert.deepEqual(placeCopy(file('/a/f'), directory('/d')), { directory: '/d', from: 'f', to: 'f' })
  assert.deepEqual(placeCopy(file('/a/f'), file('/d/g')), { directory: '/d', from: 'f', to: 'g' })
  assert.deepEqual(placeCopy(file('/a/f'), missing('/d/g')), { directory: '/d', from: 'f', to: 'g' })
  assert.deepEqual(placeCopy(directory('/a/.'), missing('/d/n')), { directory: '/d', from: '.', to: 'n' })
  assert.throws(() => placeCopy(directory('/a'), file('/d/g')), { message: 'cannot copy directory' })
  assert.throws(() => placeCopy(file('/a/f'), missing('/d/g/')), { message: 'no such directory' })
  assert.equal(rebaseEntry('./x/y', '.', 'n'), 'n/x/y')
  assert.equal(rebaseEntry('a/x', 'a', 'b'), 'b/x')
  assert.equal(rebaseEntry('ab/x', 'a', 'b'), 'ab/x')
  assert.equal(keepEnding('/a', 'a/.'), '/a/.')
  assert.deepEqual(splitCopyArgument('c:/x:y'), { container: 'c', path: '/x:y' })
  assert.deepEqual(splitCopyArgument('./c:x'), { container: '', path: './c:x' })
})
