/** Other engines as clients of our registry: a real dockerd with its own CLI, and podman. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { busyboxArchive } from '../fixtures/busybox-image.ts'
import { hasDockerd, startDockerd } from '../fixtures/dockerd.ts'
import { enterOwnNetwork } from '../fixtures/own-network.ts'
import { runCommand } from '../fixtures/processes.ts'
import { freePort, startRegistryProcess, type RegistryProcess } from '../fixtures/registry-process.ts'

const podman = '/usr/bin/podman'
let root = ''
let r: RegistryProcess

before(async () => {
  // What these engines do to a machine's network stays here.
  enterOwnNetwork()
  root = await mkdtemp(join(tmpdir(), 'wharf-registry-engines-'))
  await writeFile(join(root, 'busybox.tar'), await busyboxArchive())
  r = await startRegistryProcess(join(root, 'registry'), await freePort())
})
after(async () => {
  await r[Symbol.asyncDispose]()
  await rm(root, { recursive: true, force: true })
})

async function must(command: readonly string[]): Promise<string> {
  const [file = '', ...args] = command
  const { code, stdout, stderr } = await runCommand(file, args)
  assert.equal(code, 0, `${command.join(' ')}: ${stderr}`)
  return `${stdout}${stderr}`
}

async function digestIn(repository: string): Promise<string | null> {
  const answer = await fetch(`${r.url}/v2/${repository}/manifests/1`, {
    headers: {
      Accept:
        'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json',
    },
  })
  await answer.arrayBuffer()
  return answer.headers.get('docker-content-digest')
}

test('a real dockerd pushes, pulls by tag and digest, and searches', { skip: !hasDockerd }, async () => {
  await using dockerd = await startDockerd()
  const docker = (line: string) => dockerd.docker(...line.split(' '))
  await docker(`load -i ${join(root, 'busybox.tar')}`)
  const name = `127.0.0.1:${r.port}/team/box`
  await docker(`tag busybox:latest ${name}:1`)
  const pushed = /digest: (sha256:[0-9a-f]{64})/.exec(await docker(`push ${name}:1`))?.[1]
  assert.equal(pushed, await digestIn('team/box'))
  await docker(`rmi ${name}:1 busybox:latest`)
  assert.match(await docker(`pull ${name}:1`), new RegExp(`Digest: ${pushed}`))
  assert.match(await docker(`pull ${name}@${pushed}`), /up to date|Downloaded/)
  assert.match(await docker(`search 127.0.0.1:${r.port}/box`), /team\/box/)
})

test('podman pushes, pulls, searches, and lists tags', { skip: !existsSync(podman) }, async () => {
  const at = [
    '--root',
    join(root, 'podman'),
    '--runroot',
    join(root, 'podman-run'),
    '--storage-driver',
    'vfs',
  ]
  const run = (line: string) => must([podman, ...at, ...line.split(' ')])
  await run(`load -i ${join(root, 'busybox.tar')}`)
  const name = `127.0.0.1:${r.port}/other/box`
  await run(`push --tls-verify=false busybox:latest ${name}:1`)
  const digest = await digestIn('other/box')
  await run('rmi --all --force')
  await run(`pull --tls-verify=false ${name}:1`)
  assert.match(await run(`image inspect --format {{.Digest}} ${name}:1`), new RegExp(String(digest)))
  assert.match(await run(`search --tls-verify=false 127.0.0.1:${r.port}/box`), /other\/box/)
  assert.match(await run(`search --tls-verify=false --list-tags ${name}`), /other\/box +1/)
})
