/** The kernel kills a process in a container for memory: what the daemon says of it while the container lives. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { detectCgroups } from '../../../src/kernel/cgroup-layout.ts'
import { Cgroups } from '../../../src/kernel/cgroups.ts'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'
import type { TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon
before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
})
after(async () => await daemon[Symbol.asyncDispose]())

/** A hog each time its input has a line; it lives on itself. */
const script = 'while read line; do (tail /dev/zero) 2>/dev/null; echo killed; done'

async function runHog(name: string): Promise<void> {
  const limits = ['--memory', '24m', '--memory-swap', '24m']
  const shell = ['sh', '-c', `mkfifo /in; exec 3<>/in; ${script} <&3`]
  const { code, stderr } = await daemon.docker(['run', '-d', '--name', name, ...limits, 'busybox', ...shell])
  assert.equal(code, 0, stderr)
}

async function hog(name: string): Promise<void> {
  assert.equal((await daemon.docker(['exec', name, 'sh', '-c', 'echo go >/in'])).code, 0)
}

async function state(name: string): Promise<string> {
  const { json } = await daemon.api('GET', `/containers/${name}/json`)
  const { State } = json as { State: { OOMKilled: boolean; Running: boolean } }
  return `${State.OOMKilled} ${State.Running}`
}

async function oomEvents(name: string): Promise<number> {
  const until = Math.floor(Date.now() / 1000) + 1
  const filters = encodeURIComponent(JSON.stringify({ container: [name], event: ['oom'] }))
  const { body } = await daemon.api('GET', `/events?since=0&until=${until}&filters=${filters}`)
  return body.split('\n').filter((line) => line.includes('"oom"')).length
}

test('an oom event is told for each kill, while the container runs on', async () => {
  await runHog('lives')
  assert.equal(await state('lives'), 'false true')
  for (const count of [1, 2]) {
    await hog('lives')
    await eventually(`${count} oom events`, async () => (await oomEvents('lives')) === count)
  }
  assert.equal(await state('lives'), 'true true')
  await daemon.docker(['rm', '-f', 'lives'])
  assert.equal(await oomEvents('lives'), 2)
})

test('a kill while the daemon is away is told once when it is back, one that was told is not told again', async () => {
  await runHog('before')
  await runHog('away')
  await hog('before')
  await eventually('the first is told', async () => (await oomEvents('before')) === 1)
  // The line waits in the pipe until the container is let go on, which nobody does by way of the daemon.
  const { stdout } = await daemon.docker(['inspect', '-f', '{{.Id}} {{.State.Pid}}', 'away'])
  const [id = '', pid = ''] = stdout.trim().split(' ')
  const cgroups = new Cgroups(detectCgroups(), daemon.names.cgroupParent)
  process.kill(Number(pid), 'SIGSTOP')
  await hog('away')
  await daemon.kill9()
  process.kill(Number(pid), 'SIGCONT')
  await eventually('the kernel killed', async () => (await cgroups.oomKills(cgroups.pathFor(id, ''))) > 0)
  await daemon.start()
  await eventually('the second is told', async () => (await oomEvents('away')) === 1)
  assert.equal(await oomEvents('before'), 1)
  assert.deepEqual([await state('before'), await state('away')], ['true true', 'true true'])
})
