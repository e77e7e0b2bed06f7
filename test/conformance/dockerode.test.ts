import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import Docker from 'dockerode'
import { tarHeader } from '../../src/lib/tar-format.ts'
import { denseContent, readTar, writeTar } from '../../src/lib/tar-stream.ts'
import { startDaemon } from '../fixtures/test-daemon.ts'
import type { TestDaemon } from '../fixtures/test-daemon.ts'

let daemon: TestDaemon
let docker: Docker

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
  docker = new Docker({ socketPath: daemon.socketPath })
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(Buffer.from(part))
  return Buffer.concat(parts).toString()
}

/** Both streams of a multiplexed connection, once it has ended. */
async function demultiplexed(stream: NodeJS.ReadWriteStream): Promise<{ stdout: string; stderr: string }> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  docker.modem.demuxStream(stream, stdout, stderr)
  stream.on('end', () => {
    stdout.end()
    stderr.end()
  })
  const [out, err] = await Promise.all([text(stdout), text(stderr)])
  return { stdout: out, stderr: err }
}

test('dockerode: run gives the output and the exit code', async () => {
  const output = new PassThrough()
  const collected = text(output)
  const [result, container] = await docker.run(
    'busybox',
    ['sh', '-c', 'echo out; echo err >&2; exit 7'],
    output,
    {
      Tty: false,
    },
  )
  output.end()
  assert.equal(result.StatusCode, 7)
  const shown = await collected
  assert.ok(shown.includes('out\n') && shown.includes('err\n'))
  await container.remove()
})

test('dockerode: attach carries stdin, half-closed, and both streams', async () => {
  const container = await docker.createContainer({
    Image: 'busybox',
    Cmd: ['sh', '-c', 'cat; echo done >&2'],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
  })
  const stream = await container.attach({
    stream: true,
    hijack: true,
    stdin: true,
    stdout: true,
    stderr: true,
  })
  const result = demultiplexed(stream)
  await container.start()
  const waited = container.wait()
  stream.write('typed\n')
  stream.end()
  assert.deepEqual(await result, { stdout: 'typed\n', stderr: 'done\n' })
  assert.equal((await waited).StatusCode, 0)
  await container.remove()
})

test('dockerode: logs, exec, inspect, stats, archives and removal of a running container', async () => {
  const container = await docker.createContainer({
    Image: 'busybox',
    name: 'dockerode-box',
    Cmd: ['sh', '-c', 'echo started; exec sleep 1000'],
    Labels: { role: 'test' },
  })
  await container.start()
  const following = await container.logs({ follow: true, stdout: true, stderr: true })
  await new Promise((resolve) => following.once('data', resolve))
  const inspected = await container.inspect()
  assert.equal(inspected.State.Running, true)
  assert.equal(inspected.Name, '/dockerode-box')

  const exec = await container.exec({
    Cmd: ['sh', '-c', 'cat; exit 3'],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  })
  const session = await exec.start({ hijack: true, stdin: true })
  const output = demultiplexed(session)
  session.write('into exec')
  session.end()
  assert.equal((await output).stdout, 'into exec')
  assert.equal((await exec.inspect()).ExitCode, 3)

  const stats = await container.stats({ stream: false })
  assert.ok(stats.memory_stats.usage > 0)

  const bytes = Buffer.from('copied')
  const archive = Readable.from(
    writeTar([{ header: tarHeader({ name: 'file', type: 'file', size: bytes.length }), content: [bytes] }]),
  )
  await container.putArchive(archive, { path: '/tmp' })
  const entries: string[] = []
  for await (const entry of readTar((await container.getArchive({ path: '/tmp/file' })) as Readable)) {
    for await (const content of denseContent(entry))
      entries.push(`${entry.header.name}: ${content.toString()}`)
  }
  assert.deepEqual(entries, ['file: copied'])

  const listed = await docker.listContainers({ filters: { label: ['role=test'] } })
  assert.deepEqual(
    listed.map((item) => item.Names),
    [['/dockerode-box']],
  )
  await container.stop({ t: 0 })
  await container.remove()
  await assert.rejects(container.inspect(), { statusCode: 404 })
})

test('dockerode: events tell a container’s life', async () => {
  const events = await docker.getEvents({ filters: { type: ['container'] } })
  const actions: string[] = []
  const destroyed = new Promise<void>((resolve) => {
    events.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n').filter(Boolean)) {
        const { Action } = JSON.parse(line) as { Action: string }
        actions.push(Action)
        if (Action === 'destroy') resolve()
      }
    })
  })
  const container = await docker.createContainer({
    Image: 'busybox',
    Cmd: ['true'],
  })
  await container.start()
  await container.wait()
  await container.remove()
  await destroyed
  ;(events as Readable).destroy()
  assert.deepEqual(actions, ['create', 'start', 'die', 'destroy'])
})

test('dockerode: errors have Docker’s status and message', async () => {
  await assert.rejects(docker.getContainer('nothing').inspect(), {
    statusCode: 404,
    json: { message: 'No such container: nothing' },
  })
  await assert.rejects(docker.createContainer({ Image: 'no-such-image' }), {
    statusCode: 404,
    json: { message: 'No such image: no-such-image:latest' },
  })
})
