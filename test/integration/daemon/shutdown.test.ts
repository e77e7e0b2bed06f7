import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

async function docker(daemon: TestDaemon, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args)
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

/** Runs a shell that says when it has set its traps. */
async function runShell(daemon: TestDaemon, name: string, options: string[], script: string): Promise<void> {
  const shell = ['busybox', 'sh', '-c', `${script}; echo ready; while :; do sleep 0.1; done`]
  await docker(daemon, 'run', '-d', '--network', 'none', '--name', name, ...options, ...shell)
  await eventually('the shell is ready', async () => (await docker(daemon, 'logs', name)) === 'ready')
}

const inspect = async (daemon: TestDaemon, name: string, format: string) =>
  docker(daemon, 'inspect', '-f', format, name)

test('without live restore a stop of the daemon stops containers, each with its own patience', async () => {
  await using daemon = await startDaemon({ config: { 'live-restore': false, 'shutdown-timeout': 1 } })
  await daemon.loadBusybox()
  await runShell(daemon, 'deaf', ['--stop-timeout', '2'], "trap '' TERM")
  await runShell(daemon, 'obedient', ['--stop-timeout', '60', '--restart', 'always'], "trap 'exit 3' TERM")
  const pids = [await inspect(daemon, 'deaf', '{{.State.Pid}}')]
  pids.push(await inspect(daemon, 'obedient', '{{.State.Pid}}'))
  await daemon.stop()
  for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}`), pid)
  await daemon.start()
  assert.equal(await inspect(daemon, 'deaf', '{{.State.Status}} {{.State.ExitCode}}'), 'exited 137')
  await eventually(
    'its policy starts it again',
    async () => (await inspect(daemon, 'obedient', '{{.State.Status}}')) === 'running',
  )
  const range = ['--since', '1h', '--until', '-1s', '--filter', 'event=kill']
  const kills = async (name: string) =>
    docker(
      daemon,
      'events',
      ...range,
      '--filter',
      `container=${name}`,
      '--format',
      '{{.Actor.Attributes.signal}}',
    )
  assert.equal(await kills('deaf'), '15\n9')
  assert.equal(await kills('obedient'), '15')
})

test('a signal ends the care of the restart policy where no stop signal is set, or where it is that', async () => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  const hangup = "trap 'exit 3' HUP"
  await runShell(daemon, 'plain', ['--restart', 'always'], hangup)
  await runShell(daemon, 'other', ['--restart', 'always', '--stop-signal', 'TERM'], hangup)
  await runShell(daemon, 'unless', ['--restart', 'unless-stopped', '--stop-signal', 'TERM'], hangup)
  await docker(daemon, 'kill', '-s', 'HUP', 'plain', 'other', 'unless')
  await eventually(
    'it runs again',
    async () => (await inspect(daemon, 'other', '{{.RestartCount}} {{.State.Status}}')) === '1 running',
  )
  for (const name of ['plain', 'unless']) {
    await docker(daemon, 'wait', name)
    assert.equal(
      await inspect(daemon, name, '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}'),
      'exited 3 0',
    )
  }
})
