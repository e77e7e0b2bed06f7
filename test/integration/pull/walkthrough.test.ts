/** What users do with a registry of their own: commit, push, remove, pull again, and registries on other addresses. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { startDockerRegistry, type DockerRegistry } from '../../fixtures/docker-registry.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon
let registry: DockerRegistry

before(async () => {
  registry = await startDockerRegistry()
  daemon = await startDaemon()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

for (const cli of ['docker', 'wharf'] as const) {
  test(`${cli}: commit, push, rm and pull bring back the same`, async () => {
    const base = `${registry.host}/base-${cli}`
    const name = `${registry.host}/devenv-${cli}`
    const run = async (...args: string[]) => {
      const result = await daemon[cli](args)
      assert.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`)
      return result.stdout
    }
    await daemon.loadBusybox()
    await run('tag', 'busybox', base)
    await run('push', base)
    await run('rmi', '-f', 'busybox', base)
    await run('pull', base)
    await run('run', '--name', `made-${cli}`, '--network=none', base, 'sh', '-c', 'echo changed >/changed')
    const id = (await run('commit', `made-${cli}`, `mydev/devenv-${cli}`)).trim()
    await run('rm', `made-${cli}`)
    await run('tag', `mydev/devenv-${cli}`, name)
    const pushed = await run('push', name)
    assert.match(pushed, /^Using default tag: latest\n/)
    const digest = /latest: digest: (sha256:\S+) size: \d+/.exec(pushed)?.[1]
    assert.match(await run('image', 'rm', `mydev/devenv-${cli}`), /^Untagged: mydev\/devenv-/)
    const removed = await run('image', 'rm', name)
    assert.match(removed, /^Untagged: .*:latest\nUntagged: .*@sha256:.*\nDeleted: sha256:/)
    const pulled = await run('pull', name)
    assert.match(pulled, /^Using default tag: latest\nlatest: Pulling from devenv-/)
    assert.match(pulled, /: Already exists\n/)
    assert.match(pulled, /: Pull complete\n/)
    assert.ok(pulled.includes(`Digest: ${digest}\n`), pulled)
    assert.equal((await run('image', 'inspect', '-f', '{{.Id}}', name)).trim(), id)
    assert.equal(await run('run', '--rm', '--network=none', name, 'cat', '/changed'), 'changed\n')
  })
}

test('a registry without TLS is refused beyond loopback until it is called insecure', async () => {
  const { json } = await daemon.api('GET', '/v1.44/networks/bridge')
  const { IPAM } = json as { IPAM: { Config: { Gateway: string }[] } }
  const address = IPAM.Config[0]?.Gateway ?? ''
  const server = createServer((_, response) =>
    response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}'),
  )
  server.listen(0, address)
  await once(server, 'listening')
  const bound = server.address()
  const host = `${address}:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
  try {
    const refused = await daemon.docker(['pull', `${host}/x`])
    assert.equal(
      refused.stderr.trim(),
      `Error response from daemon: Get "https://${host}/v2/": http: server gave HTTP response to HTTPS client`,
    )
    await using lenient = await startDaemon({ flags: ['--insecure-registry', `${address}/16`] })
    const asked = await lenient.docker(['pull', `${host}/x`])
    assert.match(
      asked.stderr,
      /repository .*\/x not found: name unknown: repository name not known to registry/,
    )
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
