/**
 * Credentials that a program keeps: the stock command and ours, called `docker`, do the same with a store for all and
 * with helpers for single registries, call these in the same way, say the same, and leave the same config.json.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  buildImage,
  startDockerRegistry,
  uploadImage,
  type DockerRegistry,
} from '../../fixtures/docker-registry.ts'
import { runCommand } from '../../fixtures/processes.ts'
import { projectRoot, startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { startTokenRegistry, type TokenRegistry } from '../../fixtures/token-registry.ts'
import { tarOf } from './tars.ts'

let daemon: TestDaemon
let behind: DockerRegistry
let registry: TokenRegistry
let programs = ''

/** Keeps what it is told in files, and notes its calls. */
const keeper = `#!/bin/sh
input=$(cat)
echo "$(basename $0) $1 $input" >>$KEPT/calls
case $1 in
  store) server=$(echo "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/'); echo "$input" >$KEPT/$(echo $server | tr /: __) ;;
  get) cat $KEPT/$(echo $input | tr /: __) 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
  erase) rm $KEPT/$(echo $input | tr /: __) 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
  list) echo {} ;;
esac
`

before(async () => {
  behind = await startDockerRegistry()
  registry = await startTokenRegistry(behind.url)
  daemon = await startDaemon()
  await uploadImage(behind.url, 'mine', 'v1', buildImage([await tarOf({ file: randomBytes(1000) })]))
  programs = join(daemon.names.root, 'programs')
  mkdirSync(join(programs, 'ours'), { recursive: true })
  symlinkSync(join(projectRoot, 'bin/wharf'), join(programs, 'ours/docker'))
  const helpers = { keeper, other: keeper, broken: '#!/bin/sh\ncat >/dev/null; echo out of order; exit 3\n' }
  for (const [name, text] of Object.entries(helpers)) {
    const path = join(programs, `docker-credential-${name}`)
    writeFileSync(path, text)
    chmodSync(path, 0o755)
  }
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
  await behind?.[Symbol.asyncDispose]()
})

/** All that is to be seen of some commands: what they print, the helper's calls and the file afterwards. */
async function session(file: string, config: object, commands: string): Promise<string> {
  const directory = join(daemon.names.root, 'session')
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config))
  const script = `exec 2>&1; c() { "$D" "$@" || echo "exit $?"; }\n${commands}\ncat $KEPT/calls 2>/dev/null`
  const { stdout } = await runCommand('bash', ['-c', script], {
    env: {
      ...daemon.clientEnvironment(),
      PATH: `${programs}:${process.env['PATH'] ?? ''}`,
      DOCKER_CONFIG: directory,
      KEPT: directory,
      D: file,
      H: registry.host,
    },
    timeoutMs: 60_000,
  })
  const left = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as object
  const sorted = Object.entries(left).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return stdout + JSON.stringify(Object.fromEntries(sorted))
}

const everything = `
  echo secret | c login -u bob --password-stdin $H
  c login $H
  c pull -q $H/mine:v1
  "$D" tag $H/mine:v1 $H/mine:v2
  c push -q $H/mine:v2
  c logout $H
  c pull -q $H/mine:v1
  c push -q $H/mine:v2
  c login $H </dev/null
  c logout $H
  "$D" rmi -f $H/mine:v1 $H/mine:v2 >/dev/null`

async function compare(config: () => object, commands: string): Promise<string> {
  const theirs = await session('docker', config(), commands)
  assert.equal(await session(join(programs, 'ours/docker'), config(), commands), theirs)
  return theirs
}

test('a store for all registries', async () => {
  const said = await compare(() => ({ credsStore: 'keeper' }), everything)
  assert.match(said, /Login Succeeded\n/)
  assert.match(said, /docker-credential-keeper get 127\.0\.0\.1/)
  assert.match(said, /push access denied|denied/)
})

test('a helper for one registry goes before the store', async () => {
  const said = await compare(
    () => ({ credHelpers: { [registry.host]: 'keeper', 'else.where': 'broken' }, credsStore: 'other' }),
    everything,
  )
  assert.match(said, /docker-credential-keeper store/)
  assert.doesNotMatch(said, /docker-credential-other (?!erase https?:)/)
})

test('a helper for another registry changes nothing', async () => {
  const said = await compare(() => ({ credHelpers: { 'else.where': 'broken' } }), everything)
  assert.doesNotMatch(said, /out of order/)
})

test('helpers that are absent or out of order', async () => {
  for (const name of ['absent', 'broken']) {
    const commands = `
      echo secret | c login -u bob --password-stdin $H
      c login $H </dev/null
      c pull -q $H/mine:v1
      c logout $H`
    await compare(() => ({ credsStore: name }), commands)
  }
})

test('a server that gives identity tokens gets them back, from a store and from the file', async () => {
  registry.identityToken = 'an-identity'
  try {
    const stored = await compare(() => ({ credsStore: 'keeper' }), everything)
    assert.match(stored, /keeper store \{.*"Username":"\\u003ctoken\\u003e","Secret":"an-identity"/)
    registry.seen.length = 0
    const kept = await compare(
      () => ({}),
      everything.replace('c logout $H', 'cat $KEPT/config.json; c logout $H'),
    )
    assert.match(kept, /"identitytoken": "an-identity"/)
    assert.ok(registry.seen.some(({ method, path }) => method === 'POST' && path === '/token'))
  } finally {
    registry.identityToken = ''
  }
})
