/** The `manifest` commands, with our command line and with Docker's on the same lists. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  buildImage,
  startDockerRegistry,
  uploadImage,
  type BuiltImage,
  type DockerRegistry,
} from '../../fixtures/docker-registry.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { tarOf } from './tars.ts'

let daemon: TestDaemon
let registry: DockerRegistry
const images = new Map<string, BuiltImage>()

before(async () => {
  registry = await startDockerRegistry()
  daemon = await startDaemon()
  for (const architecture of ['amd64', 'arm64']) {
    const image = buildImage([await tarOf({ [architecture]: randomBytes(200) })], { architecture })
    images.set(architecture, image)
    await uploadImage(registry.url, `app-${architecture}`, 'v1', image)
  }
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

async function both(args: string[]): Promise<string> {
  const ours = await daemon.wharf(args)
  const docker = await daemon.docker(args)
  assert.equal(docker.code, 0, docker.stderr)
  assert.equal(ours.code, 0, ours.stderr)
  assert.deepEqual(JSON.parse(ours.stdout), JSON.parse(docker.stdout))
  return ours.stdout
}

async function wharf(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.wharf(args)
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
  return stdout
}

async function failure(...args: string[]): Promise<string> {
  const { code, stderr } = await daemon.wharf(args)
  assert.equal(code, 1)
  return stderr.trim()
}

test('a list is made, annotated, inspected, pushed and purged; Docker reads it too', async () => {
  const list = `${registry.host}/app:v1`
  const parts = ['amd64', 'arm64'].map((name) => `${registry.host}/app-${name}:v1`)
  const [amd = '', arm = ''] = parts
  assert.equal(
    await wharf('manifest', 'create', '--insecure', list, ...parts),
    `Created manifest list ${list}\n`,
  )
  assert.match(
    await failure('manifest', 'create', list, amd),
    /^refusing to amend an existing manifest list with/,
  )
  await wharf('manifest', 'create', '--amend', list, amd)
  await wharf(
    'manifest',
    'annotate',
    list,
    arm,
    '--variant',
    'v8',
    '--os-features',
    'a,b',
    '--os-version',
    '1',
  )
  assert.match(
    await failure('manifest', 'annotate', list, arm, '--os', 'linux', '--arch', 'pdp11'),
    /^manifest entry for image has unsupported os\/arch combination: linux\/pdp11$/,
  )
  assert.match(await failure('manifest', 'annotate', list, 'absent:v1'), /does not exist in/)
  const shown = JSON.parse(await both(['manifest', 'inspect', list])) as {
    manifests: { digest: string; platform: object }[]
  }
  assert.deepEqual(
    shown.manifests.map(({ digest }) => digest),
    ['amd64', 'arm64'].map((name) => images.get(name)?.digest),
  )
  assert.deepEqual(shown.manifests[1]?.platform, {
    architecture: 'arm64',
    os: 'linux',
    'os.version': '1',
    'os.features': ['a', 'b'],
    variant: 'v8',
  })
  await both(['manifest', 'inspect', list, amd])
  const pushed = (await wharf('manifest', 'push', '--insecure', '--purge', list)).trim().split('\n')
  const digests = [...images.values()].map(({ digest }) => digest)
  assert.deepEqual(
    pushed.slice(0, 2),
    digests.map((digest) => `Pushed ref ${registry.host}/app@${digest} with digest: ${digest}`),
  )
  assert.match(await failure('manifest', 'push', list), /not found$/)
  // It is at the registry now, under the digest that was printed, and can be pulled.
  await both(['manifest', 'inspect', '--insecure', list])
  assert.match(await wharf('pull', list), new RegExp(`Digest: ${pushed[2]}`))
})

test('a single manifest is shown as it is, and by --verbose with its platform', async () => {
  const name = `${registry.host}/app-amd64:v1`
  const text = await both(['manifest', 'inspect', '--insecure', name])
  assert.equal(
    text,
    `${JSON.stringify(JSON.parse(images.get('amd64')?.manifest.toString() ?? ''), undefined, '\t')}\n`,
  )
  const shown = JSON.parse(await wharf('manifest', 'inspect', '-v', name)) as Record<string, unknown>
  assert.equal(shown['Ref'], name)
  assert.deepEqual((shown['Descriptor'] as { platform: object }).platform, {
    architecture: 'amd64',
    os: 'linux',
  })
  assert.match(await failure('manifest', 'inspect', `${registry.host}/absent:v1`), /manifest unknown/)
})

test("Docker's lists can be gone on with, and lists are forgotten", async () => {
  const list = `${registry.host}/theirs:v1`
  const amd = `${registry.host}/app-amd64:v1`
  const created = await daemon.docker(['manifest', 'create', '--insecure', list, amd])
  assert.equal(created.code, 0, created.stderr)
  await wharf('manifest', 'annotate', list, amd, '--variant', 'v2')
  await both(['manifest', 'inspect', list])
  assert.match(await failure('manifest', 'create', `${registry.host}/x:v1`, list), /No such|manifest unknown/)
  await wharf('manifest', 'create', 'elsewhere.invalid/x:v1', amd)
  assert.match(
    await failure('manifest', 'push', 'elsewhere.invalid/x:v1'),
    /^cannot use source images from a different registry than the target image: .* != elsewhere\.invalid$/,
  )
  await wharf('manifest', 'rm', list)
  assert.equal(await failure('manifest', 'rm', list), `No such manifest: ${list}`)
})
