/** Pulls from the reference registry, with Wharf's daemon and the stock CLI. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  buildImage,
  sha256,
  startDockerRegistry,
  uploadImage,
  type DockerRegistry,
} from '../../fixtures/docker-registry.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { tarOf } from './tars.ts'

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

type Message = { status?: string; id?: string; error?: string }

/** What a stream said, without bars. */
function messages(body: string): Message[] {
  return body
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Message)
}

test('a pull says what Docker says and keeps the digest', async () => {
  const layers = [await tarOf({ a: randomBytes(300_000) }), await tarOf({ b: Buffer.from('b') })]
  const image = buildImage(layers)
  await uploadImage(registry.url, 'team/app', 'v1', image)
  const name = `${registry.host}/team/app`
  const answer = await daemon.api('POST', `/v1.44/images/create?fromImage=${name}&tag=v1`)
  assert.equal(answer.status, 200, answer.body)
  const said = messages(answer.body)
  assert.deepEqual(said[0], { status: 'Pulling from team/app', id: 'v1' })
  assert.deepEqual(said.slice(-2), [
    { status: `Digest: ${image.digest}` },
    { status: `Status: Downloaded newer image for ${name}:v1` },
  ])
  for (const blob of image.blobs.slice(1)) {
    const id = sha256(blob).slice(7, 19)
    const words = said.filter((message) => message.id === id).map((message) => message.status)
    const distinct = words.filter((word, index) => word !== words[index - 1])
    const expected = ['Pulling fs layer', 'Download complete', 'Pull complete']
    assert.deepEqual(
      distinct.filter((word) => expected.includes(word ?? '')),
      expected,
    )
  }
  const inspected = await daemon.api('GET', `/v1.44/images/${name}:v1/json`)
  const { Id, RepoDigests } = inspected.json as { Id: string; RepoDigests: string[] }
  assert.equal(Id, image.id)
  assert.deepEqual(RepoDigests, [`${name}@${image.digest}`])
  const again = await daemon.api('POST', `/v1.44/images/create?fromImage=${name}&tag=v1`)
  assert.equal(messages(again.body).at(-1)?.status, `Status: Image is up to date for ${name}:v1`)
})

test('what was pulled is pushed with the same digest, what is there is not sent again', async () => {
  const image = buildImage([await tarOf({ c: randomBytes(100_000) })], { kind: 'oci' })
  await uploadImage(registry.url, 'from', 'v1', image)
  const pulled = await daemon.docker(['pull', '-q', `${registry.host}/from:v1`])
  assert.equal(pulled.code, 0, pulled.stderr)
  await daemon.docker(['tag', `${registry.host}/from:v1`, `${registry.host}/other/to:v2`])
  const pushed = await daemon.docker(['push', `${registry.host}/other/to:v2`])
  assert.equal(pushed.code, 0, pushed.stderr)
  assert.match(pushed.stdout, /^The push refers to repository \[127\.0\.0\.1:\d+\/other\/to\]\n/)
  assert.match(pushed.stdout, /: Mounted from from\n/)
  const last = `v2: digest: ${image.digest} size: ${image.manifest.length}`
  assert.ok(pushed.stdout.includes(last), pushed.stdout)
  const there = await fetch(`${registry.url}/v2/other/to/manifests/v2`, {
    headers: { accept: image.mediaType },
  })
  assert.deepEqual(Buffer.from(await there.arrayBuffer()), image.manifest)
  const again = await daemon.docker(['push', `${registry.host}/other/to:v2`])
  assert.match(again.stdout, /: Layer already exists\n/)
})

test('a loaded image is compressed for its push, always to the same digest, and pulls as it was', async () => {
  await daemon.loadBusybox()
  const name = `${registry.host}/made/busybox`
  const digests: string[] = []
  for (const tag of ['a', 'b']) {
    await daemon.docker(['tag', 'busybox', `${name}:${tag}`])
    const pushed = await daemon.docker(['push', `${name}:${tag}`])
    assert.equal(pushed.code, 0, pushed.stderr)
    digests.push(/digest: (sha256:\S+)/.exec(pushed.stdout)?.[1] ?? '')
  }
  assert.match(digests[0] ?? '', /^sha256:/)
  assert.equal(digests[0], digests[1])
  const before = await daemon.docker(['image', 'inspect', '-f', '{{.Id}}', 'busybox'])
  await daemon.docker(['rmi', '-f', `${name}:a`, `${name}:b`, 'busybox'])
  const run = await daemon.docker(['run', '--rm', '--network=none', `${name}:a`, 'echo', 'hello'])
  assert.equal(run.stdout, 'hello\n', run.stderr)
  assert.ok(run.stderr.startsWith(`Unable to find image '${name}:a' locally\n`), run.stderr)
  const after_ = await daemon.docker(['image', 'inspect', '-f', '{{.Id}}', `${name}:a`])
  assert.equal(after_.stdout, before.stdout)
})

test('push -a pushes every tag of a repository and nothing else', async () => {
  const image = buildImage([await tarOf({ tagged: randomBytes(10_000) })])
  await uploadImage(registry.url, 'tagged', 'v1', image)
  await daemon.docker(['pull', '-q', `${registry.host}/tagged:v1`])
  const said: string[][] = []
  for (const cli of ['docker', 'wharf'] as const) {
    const name = `${registry.host}/all/${cli}`
    for (const target of [`${name}:1`, `${name}:2`, `${name}-not:1`]) {
      await daemon.docker(['tag', `${registry.host}/tagged:v1`, target])
    }
    const pushed = await daemon[cli](['push', '-a', name])
    assert.equal(pushed.code, 0, pushed.stderr)
    const listed = await fetch(`${registry.url}/v2/all/${cli}/tags/list`)
    assert.deepEqual(((await listed.json()) as { tags: string[] }).tags.toSorted(), ['1', '2'])
    assert.equal((await fetch(`${registry.url}/v2/all/${cli}-not/tags/list`)).status, 404)
    const quiet = await daemon[cli](['push', '-aq', name])
    const tagged = await daemon[cli](['push', '-a', `${name}:1`])
    const absent = await daemon[cli](['push', '-a', `${name}/absent`])
    const lines = [pushed.stdout, quiet.stdout, tagged.stderr, absent.stdout, absent.stderr].join('\n')
    said.push(
      lines
        .replaceAll(name, 'NAME')
        .replaceAll(/Mounted from .*/g, 'Mounted')
        .split('\n')
        .toSorted(),
    )
  }
  assert.deepEqual(said[1], said[0])
  assert.ok(
    said[0]?.includes(`1: digest: ${image.digest} size: ${image.manifest.length}`),
    said[0]?.join('\n'),
  )
})
