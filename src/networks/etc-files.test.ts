import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { editHosts, hostsText, ownNames, readInPlace, writeInPlace } from './etc-files.ts'
import { directResolvConf, embeddedResolvConf, hostResolvConf, parseResolvConf } from './resolv-conf.ts'

const none = { servers: [], search: [], options: [] }
const lines = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

test('hosts: standard lines, then the own', () => {
  const text = hostsText([{ address: '172.17.0.2', names: ownNames('web', 'example.org') }])
  assert.equal(text.startsWith('127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n'), true)
  assert.equal(text.endsWith('ff02::2\tip6-allrouters\n172.17.0.2\tweb.example.org web\n'), true)
})

test('editHosts() leaves foreign lines and takes only exact ones', () => {
  const text = '1.1.1.1\tmine\n10.0.0.2\tweb\n10.0.0.2\tweb2\n# note'
  assert.equal(
    editHosts(text, [{ address: '10.0.0.2', names: 'web' }], [{ address: '10.0.0.9', names: 'web' }]),
    '1.1.1.1\tmine\n10.0.0.2\tweb2\n# note\n10.0.0.9\tweb\n',
  )
})

test('writeInPlace() keeps the inode and follows no link', () => {
  const directory = mkdtempSync(join(tmpdir(), 'etc-'))
  try {
    const path = join(directory, 'hosts')
    writeInPlace(path, 'a longer text\n')
    const inode = statSync(path).ino
    writeInPlace(path, 'short\n')
    assert.equal(readFileSync(path, 'utf8'), 'short\n')
    assert.equal(statSync(path).ino, inode)
    const victim = join(directory, 'victim')
    writeFileSync(victim, 'untouched')
    symlinkSync(victim, join(directory, 'link'))
    assert.throws(() => writeInPlace(join(directory, 'link'), 'x'), { code: 'ELOOP' })
    assert.equal(readFileSync(victim, 'utf8'), 'untouched')
    assert.equal(readInPlace(join(directory, 'link')), undefined)
    assert.equal(readInPlace(join(directory, 'missing')), undefined)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('resolv.conf on the default bridge drops servers that only the host can reach', () => {
  const host = parseResolvConf(
    'nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fd00::1\nsearch a b\noptions edns0\n',
  )
  assert.deepEqual(lines(directResolvConf(host, none, false)), [
    'nameserver 10.0.0.1',
    'search a b',
    'options edns0',
  ])
  const only = parseResolvConf('nameserver 127.0.0.53\n')
  assert.deepEqual(lines(directResolvConf(only, none, false)), ['nameserver 8.8.8.8', 'nameserver 8.8.4.4'])
  assert.deepEqual(lines(hostResolvConf(only, none)), ['nameserver 127.0.0.53'])
  const asked = { servers: ['127.0.0.1'], search: ['.'], options: ['ndots:2'] }
  assert.deepEqual(lines(directResolvConf(host, asked, false)), ['nameserver 127.0.0.1', 'options ndots:2'])
})

test('resolv.conf on other networks names the resolver inside and keeps the rest for it', () => {
  const host = parseResolvConf('nameserver 127.0.0.53\nnameserver 10.0.0.1\noptions edns0 ndots:x\n')
  const { text, servers } = embeddedResolvConf(host, none, '127.0.0.11')
  assert.deepEqual(lines(text), ['nameserver 127.0.0.11', 'options edns0 ndots:0'])
  assert.deepEqual(servers, ['127.0.0.53', '10.0.0.1'])
  assert.match(text, /^# ExtServers: \[host\(127\.0\.0\.53\) 10\.0\.0\.1\]$/m)
  const ndots = embeddedResolvConf(host, { ...none, options: ['ndots:3'] }, '127.0.0.11')
  assert.deepEqual(lines(ndots.text), ['nameserver 127.0.0.11', 'options ndots:3'])
})
