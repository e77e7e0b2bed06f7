import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runCommand } from '../fixtures/processes.ts'
import type { CommandResult } from '../fixtures/processes.ts'
import { startDaemon } from '../fixtures/test-daemon.ts'
import type { TestDaemon } from '../fixtures/test-daemon.ts'

let daemon: TestDaemon
let project: string

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
  project = join(daemon.names.root, 'shop')
  mkdirSync(project)
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

async function compose(...args: string[]): Promise<CommandResult> {
  const result = await runCommand('docker-compose', args, { cwd: project, env: daemon.clientEnvironment() })
  assert.equal(result.code, 0, `docker-compose ${args.join(' ')}: ${result.stderr}`)
  return result
}

test('docker-compose 1.29: up, ps, logs, exec, run and down of services that find each other', async () => {
  writeFileSync(
    join(project, 'docker-compose.yml'),
    `version: "3.8"
services:
  web:
    image: busybox
    command: sh -c "echo page > /tmp/index.html; exec httpd -f -h /tmp -p 80"
    volumes: ["pages:/pages"]
  client:
    image: busybox
    command: sh -c "until wget -q -O- http://web/; do sleep 0.1; done; exec sleep 1000"
    depends_on: [web]
volumes:
  pages: {}
`,
  )
  await compose('up', '-d')
  assert.match((await compose('ps')).stdout, /shop_client_1 .* Up/)
  assert.equal((await compose('exec', '-T', 'web', 'cat', '/tmp/index.html')).stdout, 'page\n')
  assert.equal(
    (await compose('run', '--rm', '-T', 'client', 'wget', '-q', '-O-', 'http://web/')).stdout,
    'page\n',
  )
  assert.match((await compose('logs', '--no-color')).stdout, /client_1\s+\| page/)
  await compose('down', '--volumes', '--timeout', '0')
  const left = await daemon.api('GET', '/containers/json?all=1')
  assert.deepEqual(left.json, [])
})
