/**
 * Shell scripts as users write them, run with the stock docker CLI and with ours against a real daemon. What they
 * print must be what they print with Docker itself: `scripts/NAME.expected`, recorded with a real dockerd and the
 * stock CLI. A script finds the CLI in `$D`, starts in an empty directory and cleans up what it made.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { leaked } from '../fixtures/kernel-state.ts'
import type { KernelState } from '../fixtures/kernel-state.ts'
import { eventually, runCommand } from '../fixtures/processes.ts'
import { projectRoot, startDaemon } from '../fixtures/test-daemon.ts'
import type { TestDaemon } from '../fixtures/test-daemon.ts'

const directory = join(import.meta.dirname, 'scripts')
const scripts = readdirSync(directory)
  .filter((file) => file.endsWith('.sh'))
  .map((file) => file.slice(0, -3))
const clis = { docker: 'docker', wharf: join(projectRoot, 'bin/wharf') }

async function runScript(daemon: TestDaemon, script: string, cli: string): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'wharf-script-'))
  try {
    const { stdout } = await runCommand('bash', ['-c', `exec 2>&1; . ${join(directory, `${script}.sh`)}`], {
      cwd,
      env: { ...daemon.clientEnvironment(), D: cli },
      timeoutMs: 120_000,
    })
    return stdout
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

/** Whether mounts and links are no more than before, beside namespaces kept ready: each has a mount and a link. */
function isNoMore(now: KernelState, before: KernelState): boolean {
  const own = ({ mounts }: KernelState) => mounts.filter((path) => !path.includes('/netns/')).length
  const links = (state: KernelState) => state.links.length - (state.mounts.length - own(state))
  return own(now) <= own(before) && links(now) <= links(before)
}

describe('scripts print with Wharf what they print with Docker', () => {
  let daemon: TestDaemon
  let clean: KernelState

  before(async () => {
    daemon = await startDaemon()
    await daemon.loadBusybox()
    // The first container's start makes what stays: the table, the bridge, the cgroup's parent.
    await daemon.docker(['run', '--rm', 'busybox', 'true'])
    clean = await daemon.kernelState()
  })
  after(async () => await daemon[Symbol.asyncDispose]())

  for (const script of scripts) {
    for (const [name, cli] of Object.entries(clis)) {
      test(`${script}, with ${name}`, async () => {
        const expected = readFileSync(join(directory, `${script}.expected`), 'utf8')
        assert.equal(await runScript(daemon, script, cli), expected)
        const left = await daemon.docker(['ps', '-aq'])
        assert.equal(left.stdout, '', 'containers left behind')
        await eventually('the kernel is as it was', async () => {
          const now = await daemon.kernelState()
          const { cgroups = [], processes = [] } = leaked(clean, now)
          return cgroups.length === 0 && processes.length === 0 && isNoMore(now, clean)
        })
      })
    }
  }
})
