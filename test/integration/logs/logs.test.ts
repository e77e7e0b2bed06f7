import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'
import type { TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

/** Runs a detached container and gives its name. */
async function run(name: string, script: string, ...flags: string[]): Promise<string> {
  const args = ['run', '-d', '--network', 'none', '--name', name, ...flags, 'busybox', 'sh', '-c', script]
  const { code, stderr } = await daemon.docker(args)
  assert.equal(code, 0, stderr)
  return name
}

async function ran(name: string, script: string, ...flags: string[]): Promise<string> {
  await run(name, script, ...flags)
  await daemon.docker(['wait', name])
  return name
}

async function logs(name: string, ...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(['logs', ...flags, name])
  assert.equal(code, 0, stderr)
  return stdout + stderr
}

async function logPath(name: string): Promise<string> {
  return (await daemon.docker(['inspect', '-f', '{{.LogPath}}', name])).stdout.trim()
}

/** The raw answer of the logs route. */
async function stream(path: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request({ socketPath: daemon.socketPath, path }, resolve).on('error', reject).end()
  return await promise
}

for (const driver of ['json-file', 'local']) {
  test(`${driver}: streams, tail, timestamps and a missing last line feed`, async () => {
    const name = await ran(`basic-${driver}`, 'echo one; echo two >&2; printf three', '--log-driver', driver)
    const { stdout, stderr } = await daemon.docker(['logs', name])
    assert.deepEqual([stdout, stderr], ['one\nthree', 'two\n'])
    assert.equal(await logs(name, '--tail', '1'), 'three')
    assert.match(await logs(name, '-t', '-n', '1'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z three$/)
    assert.equal(await logs(name, '--since', '1h', '--until', '30m'), '')
  })

  test(`${driver}: follows to the end over rotations, long lines whole`, async () => {
    // One process, for two thousand forks take long; it pauses so that the reader follows.
    const lines =
      'BEGIN { for (i = 1; i <= 2000; i++) { x = substr("' +
      'x'.repeat(50) +
      '", 1, i % 50); print "line " i " " x; fflush(); if (i % 200 == 0) system("sleep 0.05") } }'
    const script = `awk '${lines}'; head -c 50000 /dev/zero | tr "\\0" y; echo`
    const name = await run(
      `follow-${driver}`,
      script,
      '--log-driver',
      driver,
      '--log-opt',
      'max-size=20k',
      '--log-opt',
      'max-file=100',
    )
    const followed = await logs(name, '-f')
    const expected = `${Array.from({ length: 2000 }, (_, index) => `line ${index + 1} ${'x'.repeat((index + 1) % 50)}\n`).join('')}${'y'.repeat(50_000)}\n`
    assert.ok(followed === expected)
    assert.ok((await logs(name)) === expected)
    assert.ok(
      (await logs(name, '-n', '30')) ===
        expected
          .split(/(?<=\n)/)
          .slice(-30)
          .join(''),
    )
  })

  test(`${driver}: the output and its log outlive a daemon that is killed`, async () => {
    const name = await run(
      `killed-${driver}`,
      'echo before; while [ ! -e /go ]; do sleep 0.05; done; echo after',
      '--log-driver',
      driver,
    )
    await eventually('first line', async () => (await logs(name)) === 'before\n')
    await daemon.kill9()
    await daemon.start()
    const following = logs(name, '-f')
    await daemon.docker(['exec', name, 'touch', '/go'])
    assert.equal(await following, 'before\nafter\n')
  })
}

test('local: binary output is exact', async () => {
  const name = await ran('binary', 'head -c 300000 /bin/busybox', '--log-driver', 'local')
  const answer = await stream(`/containers/${name}/logs?stdout=1`)
  const frames: Buffer[] = []
  for await (const chunk of answer) frames.push(chunk as Buffer)
  const framed = Buffer.concat(frames)
  const payload: Buffer[] = []
  for (let at = 0; at < framed.length;) {
    const end = at + 8 + framed.readUInt32BE(at + 4)
    payload.push(framed.subarray(at + 8, end))
    at = end
  }
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  assert.equal(digest(Buffer.concat(payload)), digest(readFileSync('/bin/busybox').subarray(0, 300_000)))
})

test('json-file: the file is Docker’s, with what tag, labels and env ask for', async () => {
  const options = [
    '--log-opt',
    'tag={{.Name}}/{{.ImageName}}',
    '--log-opt',
    'labels=tier',
    '--log-opt',
    'env-regex=^GREET',
  ]
  const name = await ran(
    'attributes',
    'echo "<hi> \\"there\\""',
    '--label',
    'tier=web',
    '-e',
    'GREETING=yes',
    ...options,
  )
  const path = await logPath(name)
  const entry = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  assert.equal(entry['log'], '<hi> "there"\n')
  assert.equal(entry['stream'], 'stdout')
  assert.deepEqual(entry['attrs'], { GREETING: 'yes', tag: 'attributes/busybox', tier: 'web' })
  assert.match(readFileSync(path, 'utf8'), /^\{"log":"\\u003chi\\u003e /)
  assert.equal(await logs(name, '--details'), 'GREETING=yes,tag=attributes%2Fbusybox,tier=web <hi> "there"\n')
})

test('logs are bounded, filled files are compressed, and both stay readable', async () => {
  const script = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done'
  const name = await ran(
    'bounded',
    script,
    '--log-opt',
    'max-size=30k',
    '--log-opt',
    'max-file=3',
    '--log-opt',
    'compress=true',
  )
  const path = await logPath(name)
  const files = () => readdirSync(dirname(path)).filter((file) => file.includes('-json.log'))
  await eventually('compressed files', () => files().filter((file) => file.endsWith('.gz')).length === 2)
  assert.equal(files().length, 3)
  const lines = (await logs(name)).split('\n')
  assert.equal(lines.at(-2), 'line 2999')
  assert.ok(lines.length > 500 && lines.length < 2000)
})

test('the none driver keeps nothing and says so; bad options are refused as Docker does', async () => {
  const name = await ran('none', 'echo lost', '--log-driver', 'none')
  const refused = await daemon.docker(['logs', name])
  assert.equal(refused.code, 1)
  assert.equal(
    refused.stderr,
    'Error response from daemon: configured logging driver does not support reading\n',
  )
  const create = async (...flags: string[]) => (await daemon.docker(['create', ...flags, 'busybox'])).stderr
  assert.match(await create('--log-opt', 'colour=red'), /unknown log opt 'colour' for json-file log driver/)
  assert.match(
    await create('--log-driver', 'nope'),
    /error looking up logging plugin nope: plugin "nope" not found/,
  )
})

test('a slow reader holds up neither the container nor another reader', async () => {
  const name = await run(
    'slow',
    'yes 0123456789012345678901234567890123456789 | head -c 40000000',
    '--log-opt',
    'max-size=500m',
  )
  const slow = await stream(`/containers/${name}/logs?stdout=1&follow=1`)
  slow.pause()
  const fast = await stream(`/containers/${name}/logs?stdout=1&follow=1`)
  let bytes = 0
  for await (const chunk of fast) bytes += (chunk as Buffer).length
  // Each line has a header of eight bytes.
  assert.equal(bytes, 40_000_000 + 8 * Math.ceil(40_000_000 / 41))
  slow.destroy()
  const path = await logPath(name)
  await daemon.docker(['rm', '-f', name])
  assert.equal(existsSync(path), false)
})
