/** `ssh://` addresses, with a stand-in for ssh that runs its command here as sshd would. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'

const wharf = resolve(import.meta.dirname, '../../../bin/wharf')
const directory = mkdtempSync(join(tmpdir(), 'wharf-ssh-'))
const socket = join(directory, 'engine')
const server = createServer((request, response) => {
  response.setHeader('Api-Version', '1.55')
  response.setHeader('Content-Type', 'application/json')
  response.end(request.url?.endsWith('/_ping') === true ? 'OK' : '[]')
})

before(async () => {
  symlinkSync(wharf, join(directory, 'wharf'))
  const script = `#!/bin/sh
while [ $# -gt 0 ]; do case $1 in -o|-p) shift 2 ;; --) shift; break ;; *) break ;; esac; done
[ "$1" = me@good ] || { echo "no route to $1" >&2; exit 255; }
shift
exec env WHARF_HOST=unix://${socket} sh -c "$*"
`
  writeFileSync(join(directory, 'ssh'), script, { mode: 0o755 })
  await new Promise<void>((done) => server.listen(socket, done))
})
after(() => {
  server.close()
  rmSync(directory, { recursive: true, force: true })
})

async function run(host: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}`, DOCKER_CONFIG: directory }
  return await new Promise((done) => {
    execFile(wharf, ['-H', host, 'ps', '-q'], { env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      done({ code, stdout, stderr })
    })
  })
}

test('a command goes through ssh to system dial-stdio and comes back', async () => {
  assert.deepEqual(await run('ssh://me@good:22'), { code: 0, stdout: '', stderr: '' })
})

test('what ssh complains about is told', async () => {
  const { code, stderr } = await run('ssh://me@bad')
  assert.equal(code, 1)
  assert.match(stderr, /command \[ssh me@bad\] has exited with exit status 255.*stderr=no route to me@bad/)
})
