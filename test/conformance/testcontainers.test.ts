import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startDaemon } from '../fixtures/test-daemon.ts'
import type { TestDaemon } from '../fixtures/test-daemon.ts'

let daemon: TestDaemon

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
  // Read by testcontainers when it is first used; this file has a process of its own.
  Object.assign(process.env, daemon.clientEnvironment(), { TESTCONTAINERS_RYUK_DISABLED: 'true' })
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

test('testcontainers: starts a container, waits for its log, runs commands in it, copies files', async () => {
  const { GenericContainer, Wait } = await import('testcontainers')
  const container = await new GenericContainer('busybox:latest')
    .withCommand(['sh', '-c', 'echo ready to serve; exec sleep 1000'])
    .withCopyContentToContainer([{ content: 'given', target: '/given.txt' }])
    .withEnvironment({ GREETING: 'hello' })
    .withWaitStrategy(Wait.forLogMessage('ready to serve'))
    .start()
  try {
    assert.deepEqual(
      await container.exec(['cat', '/given.txt']).then(({ exitCode, stdout }) => ({ exitCode, stdout })),
      {
        exitCode: 0,
        stdout: 'given',
      },
    )
    const { output, exitCode } = await container.exec(['sh', '-c', 'echo $GREETING; exit 4'])
    assert.deepEqual([output, exitCode], ['hello\n', 4])
  } finally {
    await container.stop()
  }
})

test('testcontainers: publishes ports and reaches them', async () => {
  const { GenericContainer, Wait } = await import('testcontainers')
  const container = await new GenericContainer('busybox:latest')
    .withCommand(['sh', '-c', 'echo page > /tmp/index.html; exec httpd -f -h /tmp -p 80'])
    .withExposedPorts(80)
    .withWaitStrategy(Wait.forListeningPorts())
    .start()
  try {
    const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/`)
    assert.equal(await answer.text(), 'page\n')
  } finally {
    await container.stop()
  }
})
