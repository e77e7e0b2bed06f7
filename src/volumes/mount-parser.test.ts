import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Mount } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import { isValidMode, parseBind, parseMount, volumesFromWritable } from './mount-parser.ts'

const binds: [string, object][] = [
  ['/data', { type: 'volume', source: '', destination: '/data', writable: true }],
  [
    '/host:/data',
    { type: 'bind', source: '/host', destination: '/data', createSource: true, propagation: 'rprivate' },
  ],
  ['/host/:/data/../x/', { type: 'bind', source: '/host', destination: '/x' }],
  ['/host:/data:ro', { writable: false, mode: 'ro' }],
  ['/host:/data:ro,z,rslave', { writable: false, propagation: 'rslave', mode: 'ro,z,rslave' }],
  ['/host:/data:Z,cached', { writable: true, mode: 'Z,cached' }],
  ['name:/data', { type: 'volume', source: 'name', driver: 'local-driver', createSource: false }],
  ['name:/data:nocopy', { type: 'volume', noCopy: true }],
  ['name:/data:ro', { type: 'volume', writable: false }],
]

test('parseBind reads every form of -v', () => {
  for (const [text, expected] of binds) {
    const parsed = parseBind(text, 'local-driver')
    assert.deepEqual({ ...parsed, ...expected }, parsed, text)
  }
})

const badBinds: [string, RegExp][] = [
  ['', /^invalid volume specification: ''$/],
  [':/x', /^invalid volume specification/],
  ['/x:ro', /^invalid volume specification: '\/x:ro'$/],
  ['/a:/b:rw:x', /^invalid volume specification/],
  ['/a:/b:rwx', /^invalid mode: rwx$/],
  ['/a:/b:ro,rw', /^invalid mode: ro,rw$/],
  ['/a:/b:slave,shared', /^invalid mode/],
  ['/a:b', /invalid mount config for type "bind": invalid mount path: 'b' mount path must be absolute$/],
  ['/a:/', /destination can't be '\/'$/],
  ['/a:/x/..', /destination can't be '\/'$/],
  ['name:/x:rshared', /invalid mount config for type "volume": field BindOptions must not be specified/],
]

test('parseBind refuses with Docker texts', () => {
  for (const [text, message] of badBinds) {
    assert.throws(() => parseBind(text, ''), { name: 'EngineError', kind: 'invalid', message }, text)
  }
})

test('a mode has known words, at most one of a kind', () => {
  for (const mode of ['', 'ro', 'rw,z', 'Z,nocopy,rprivate,consistent']) assert.ok(isValidMode(mode), mode)
  for (const mode of ['x', 'ro,', 'z,Z', 'nocopy,nocopy', 'rw,ro']) assert.ok(!isValidMode(mode), mode)
})

const mounts: [object, object][] = [
  [
    { Type: 'bind', Source: '/h/', Target: '/t', ReadOnly: true },
    { source: '/h', writable: false, createSource: false },
  ],
  [
    { Type: 'bind', Source: '/h', Target: '/t', BindOptions: { CreateMountpoint: true } },
    { createSource: true },
  ],
  [
    { Type: 'bind', Source: '/h', Target: '/t', BindOptions: { NonRecursive: true, Propagation: 'shared' } },
    { nonRecursive: true, propagation: 'shared' },
  ],
  [
    { Type: 'volume', Target: '/t' },
    { type: 'volume', source: '' },
  ],
  [
    {
      Type: 'volume',
      Source: 'n',
      Target: '/t',
      VolumeOptions: {
        NoCopy: true,
        Subpath: 'a/b',
        Labels: { x: 'y' },
        DriverConfig: { Name: 'd', Options: { o: '1' } },
      },
    },
    { noCopy: true, subpath: 'a/b', labels: { x: 'y' }, driver: 'd', driverOptions: { o: '1' } },
  ],
  [
    { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1048576, Mode: 0o1770, Options: [['exec']] } },
    { type: 'tmpfs', tmpfs: ['nosuid', 'nodev', 'rprivate', 'mode=1770', 'size=1048576', 'exec'] },
  ],
]

test('parseMount reads every type of --mount', () => {
  for (const [given, expected] of mounts) {
    const parsed = parseMount(Mount.parse(given))
    assert.deepEqual({ ...parsed, ...expected }, parsed, JSON.stringify(given))
  }
})

const badMounts: [object, string][] = [
  [{ Type: 'bind', Target: '/t' }, 'invalid mount config for type "bind": field Source must not be empty'],
  [{ Type: 'bind', Source: '/h' }, 'invalid mount config for type "bind": field Target must not be empty'],
  [
    { Type: 'bind', Source: 'h', Target: '/t' },
    `invalid mount config for type "bind": invalid mount path: 'h' mount path must be absolute`,
  ],
  [
    { Type: 'bind', Source: '/h', Target: '/t', BindOptions: { Propagation: 'x' } },
    'invalid mount config for type "bind": invalid propagation mode: x',
  ],
  [
    { Type: 'bind', Source: '/h', Target: '/t', VolumeOptions: {} },
    'invalid mount config for type "bind": field VolumeOptions must not be specified',
  ],
  [
    { Type: 'volume', Target: '/t', ReadOnly: true },
    'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes',
  ],
  [
    { Type: 'volume', Source: 'n', Target: '/t', VolumeOptions: { Subpath: '../x' } },
    'invalid mount config for type "volume": subpath must be a relative path within the volume',
  ],
  [
    { Type: 'volume', Target: '/t', VolumeOptions: { Subpath: 'x' } },
    'invalid mount config for type "volume": must not set Subpath when using anonymous volumes',
  ],
  [
    { Type: 'tmpfs', Source: 'x', Target: '/t' },
    'invalid mount config for type "tmpfs": field Source must not be specified',
  ],
  [{ Type: 'nope', Target: '/t' }, 'invalid mount config for type "nope": mount type unknown'],
]

test('parseMount refuses with Docker texts', () => {
  for (const [given, message] of badMounts) {
    assert.throws(() => parseMount(Mount.parse(given)), { kind: 'invalid', message })
  }
})

test('volumes-from takes no propagation and no copy mode', () => {
  assert.equal(volumesFromWritable(''), true)
  assert.equal(volumesFromWritable('ro'), false)
  assert.equal(volumesFromWritable('rw,z'), true)
  for (const mode of ['rshared', 'nocopy', 'bad']) {
    assert.throws(() => volumesFromWritable(mode), { message: `invalid mode: ${mode}` })
  }
})

test('generated text is a mount with an absolute, clean target or a refusal, never anything else', () => {
  const pieces = [
    '/',
    ':',
    '.',
    '..',
    'a',
    'ro',
    'rw',
    'z',
    ',',
    'nocopy',
    'rshared',
    '\\',
    ' ',
    '\0',
    'ü',
    '//',
  ]
  let state = 5
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0)
  let parsedCount = 0
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: next() % 9 }, () => pieces[(next() >>> 8) % pieces.length]).join('')
    try {
      const { destination, source, type } = parseBind(text, '')
      assert.ok(/^\/[^]/.test(destination) && !/(^|\/)\.\.?(\/|$)|\/\/|.\/$/.test(destination), text)
      assert.equal(type === 'bind', source.startsWith('/'), text)
      parsedCount += 1
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== 'invalid') throw error
    }
  }
  assert.ok(parsedCount > 100)
})
