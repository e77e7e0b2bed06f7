import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const wharf = join(import.meta.dirname, '../../../bin/wharf')

test('what lies in the working directory is not for the CLI: no .env is read, no bunfig.toml is followed', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'wharf-surroundings-'))
  const here = directory.path
  const trace = join(here, 'ran')
  writeFileSync(join(here, '.env'), 'DOCKER_HOST=unix:///from-dotenv.sock\n')
  writeFileSync(join(here, 'bunfig.toml'), 'preload = ["./preload.js"]\n')
  writeFileSync(
    join(here, 'preload.js'),
    `require('node:fs').writeFileSync(${JSON.stringify(trace)}, '')\nprocess.env.DOCKER_HOST = 'unix:///from-preload.sock'\n`,
  )
  const asked = ['context', 'inspect', 'default', '--format', '{{.Endpoints.docker.Host}}']
  const env = { PATH: '/usr/bin:/bin', HOME: here }
  const { status, stdout, stderr } = spawnSync(wharf, asked, { cwd: here, env, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stdout, /from-/)
  assert.equal(existsSync(trace), false)
})
