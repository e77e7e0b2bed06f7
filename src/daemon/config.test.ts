import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixedChanges, mergeSettings, parseCommandLine, parseConfig, usage } from './config.ts'
import { ineffectiveKeys } from './config-support.ts'
import { parseBytes, Settings } from './config-values.ts'
import { parseHost } from './hosts.ts'

const flags = (...args: string[]) => new Settings(parseCommandLine(args).settings)

test('flags are read in every form', () => {
  const settings = flags(
    '-H',
    'unix:///a',
    '--host=tcp://:1',
    '-Htcp://b',
    '-D',
    '--live-restore=false',
    '-g/data',
    '--log-opt',
    'max-size=1m',
    '--log-opt=max-file=3',
    '--default-ulimit',
    'nofile=10:20',
    '--add-runtime',
    'x=/bin/x',
    '--default-shm-size',
    '64m',
    '--default-address-pool',
    'base=10.0.0.0/8,size=24',
    '--shutdown-timeout',
    '3',
    '--feature',
    'a=false',
  )
  assert.deepEqual(settings.list('hosts'), ['unix:///a', 'tcp://:1', 'tcp://b'])
  assert.equal(settings.flag('debug'), true)
  assert.equal(settings.flag('live-restore', true), false)
  assert.equal(settings.text('data-root'), '/data')
  assert.deepEqual(settings.map('log-opts'), { 'max-size': '1m', 'max-file': '3' })
  assert.deepEqual(settings.ulimits(), [{ Name: 'nofile', Soft: 10, Hard: 20 }])
  assert.deepEqual(settings.runtimes(), { x: { path: '/bin/x' } })
  assert.equal(settings.number('default-shm-size', 0), 64 * 1024 * 1024)
  assert.deepEqual(settings.pools(), [{ base: '10.0.0.0/8', size: 24 }])
  assert.equal(settings.number('shutdown-timeout', 15), 3)
  assert.deepEqual(settings.record('features'), { a: false })
})

test('wrong flags are refused', () => {
  const cases: [string[], RegExp][] = [
    [['--nope'], /^EngineError: unknown flag: --nope/],
    [['-Z'], /unknown shorthand flag: 'Z' in -Z/],
    [['--mtu'], /flag needs an argument: --mtu/],
    [['--mtu', 'x'], /invalid argument "x" for "--mtu" flag: strconv.ParseInt/],
    [['--debug=maybe'], /strconv.ParseBool: parsing "maybe"/],
    [['serve'], /accepts no arguments/],
    [['--default-ulimit', 'nofile=a'], /invalid ulimit argument/],
  ]
  for (const [args, message] of cases) assert.throws(() => parseCommandLine(args), message)
})

test('the command flags are no settings', () => {
  const command = parseCommandLine(['--config-file', '/x', '--validate', '-v', '--help'])
  assert.deepEqual(command, {
    settings: new Map(),
    configFile: '/x',
    validate: true,
    version: true,
    help: true,
  })
})

test("daemon.json is read with Docker's keys and kinds", () => {
  const settings = new Settings(
    parseConfig(`{
      "hosts": ["fd://"], "debug": true, "mtu": 1400, "default-shm-size": "1g", "log-opts": {"max-file": "2"},
      "runtimes": {"r": {"path": "/r", "runtimeArgs": ["--a"]}}, "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}},
      "default-address-pools": [{"base": "10.1.0.0/16", "size": 20}], "features": {"x": true}, "graph": "/old"
    }`),
  )
  assert.deepEqual(settings.list('hosts'), ['fd://'])
  assert.equal(settings.number('default-shm-size', 0), 2 ** 30)
  assert.deepEqual(settings.runtimes(), { r: { path: '/r', runtimeArgs: ['--a'] } })
  assert.deepEqual(settings.ulimits(), [{ Name: 'nofile', Soft: 1, Hard: 2 }])
  assert.deepEqual(settings.pools(), [{ base: '10.1.0.0/16', size: 20 }])
  assert.equal(settings.text('data-root'), '/old')
})

test('a wrong daemon.json is refused with a reason', () => {
  assert.throws(
    () => parseConfig('{"a": 1, "debug": true, "b": 2}'),
    /the following directives don't match any configuration option: a, b/,
  )
  assert.throws(
    () => parseConfig('{"debug": "yes"}'),
    /cannot unmarshal string into Go struct field Config.debug of type bool/,
  )
  assert.throws(() => parseConfig('{"hosts": [1]}'), /of type \[\]string/)
  assert.throws(() => parseConfig('{'), /unexpected EOF/)
  assert.throws(() => parseConfig('[]'), /cannot unmarshal/)
  assert.equal(parseConfig('').size, 0)
})

test('a key from both flag and file is a conflict', () => {
  const file = parseConfig('{"debug": false, "labels": ["a=b"]}')
  assert.throws(
    () => mergeSettings(parseCommandLine(['-D', '--label', 'c=d']).settings, file, '/f'),
    /file \/f: the following directives are specified both as a flag and in the configuration file: debug: \(from flag: true, from file: false\), label: \(from flag: \[c=d\], from file: \[a=b\]\)/,
  )
  assert.throws(
    () => mergeSettings(new Map(), parseConfig('{"log-level": "loud"}'), '/f'),
    /invalid logging level: loud/,
  )
  assert.throws(
    () => mergeSettings(new Map(), parseConfig('{"default-runtime": "x"}'), '/f'),
    /default runtime 'x' does not exist/,
  )
})

test('what would refuse every container, and labels that contradict each other, are refused at once', () => {
  const merge = (text: string) => mergeSettings(new Map(), parseConfig(text), '/f')
  const refused: [text: string, message: RegExp][] = [
    ['{"log-driver": "foo"}', /^failed to set log opts: .*plugin "foo" not found$/],
    [
      '{"log-opts": {"foo": "1"}}',
      /^failed to set log opts: unknown log opt 'foo' for json-file log driver$/,
    ],
    ['{"log-driver": "local", "log-opts": {"max-size": "much"}}', /^failed to set log opts: /],
    ['{"labels": ["a=b", "c=d", "a=c"]}', /^conflict labels for a=c and a=b$/],
    ['{"labels": ["=b"]}', /^bad attribute format: =b$/],
  ]
  for (const [text, message] of refused) assert.throws(() => merge(text), { kind: 'invalid', message })
  merge('{"log-driver": "none", "labels": ["a=b", "a=b"]}')
  merge('{"log-opts": {"max-size": "10m", "max-file": 3, "mode": "non-blocking"}}')
})

test("every key of Docker's own example is known", () => {
  const keys = [
    'builder',
    'bridge-accept-fwmark',
    'containerd-plugins-namespace',
    'swarm-default-advertise-addr',
  ]
  const values = [{ gc: { enabled: true } }, '', 'plugins.moby', '']
  const settings = parseConfig(JSON.stringify(Object.fromEntries(keys.map((key, at) => [key, values[at]]))))
  assert.deepEqual(
    [...settings.keys()],
    keys.map((key) => key.replace('plugins-', 'plugin-')),
  )
  assert.deepEqual(ineffectiveKeys(mergeSettings(new Map(), settings, '/f')).toSorted(), [
    'builder',
    'containerd-plugin-namespace',
  ])
})

test('only some keys change by a reload', () => {
  const settings = (text: string) => mergeSettings(new Map(), parseConfig(text), '/f')
  assert.deepEqual(
    fixedChanges(settings('{}'), settings('{"debug": true, "mtu": 1400, "labels": ["a=b"]}')),
    ['mtu'],
  )
})

test('sizes and hosts', () => {
  assert.deepEqual(['1', '2k', '1.5m', '3GiB', '4TB', 'x', ''].map(parseBytes), [
    1,
    2048,
    1572864,
    3 * 2 ** 30,
    4 * 2 ** 40,
    undefined,
    undefined,
  ])
  const parse = (text: string, tls = false) => parseHost(text, { tls, defaultSocket: '/s' })
  assert.deepEqual(parse(''), { kind: 'unix', path: '/s' })
  assert.deepEqual(parse('unix:///x/y'), { kind: 'unix', path: '/x/y' })
  assert.deepEqual(parse('tcp://'), { kind: 'tcp', address: '127.0.0.1', port: 2375 })
  assert.deepEqual(parse('tcp://0.0.0.0', true), { kind: 'tcp', address: '0.0.0.0', port: 2376 })
  assert.deepEqual(parse('tcp://[::1]:99'), { kind: 'tcp', address: '::1', port: 99 })
  assert.deepEqual(parse(':4243'), { kind: 'tcp', address: '127.0.0.1', port: 4243 })
  assert.deepEqual(parse('fd://'), { kind: 'fd', name: '' })
  for (const text of ['udp://x', 'tcp://a/b', 'tcp://a:99999'])
    assert.throws(() => parse(text), /invalid bind address/)
})

test('the help text has every flag once', () => {
  assert.match(usage(), /-g, --data-root string/)
  assert.match(usage(), /-H, --host list/)
  assert.doesNotMatch(usage(), /--proxies/)
})
