/** Requests and answers whose meaning depends on the version of the API in their path, asked of a whole daemon. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

const platform = (architecture: string) =>
  `platform=${encodeURIComponent(JSON.stringify({ os: 'linux', architecture }))}`
const several =
  'multiple platform parameters are not supported in this API version; use API version 1.52 or later'
const noIdentity = 'conflicting options: identity requires manifests=1'
const noSwarm = /not a swarm manager/
const clusterVolume = { Name: 'shelf', ClusterVolumeSpec: {} }

/** Method, path, body, and the status from each version on; a text beside it is what the refusal says. */
const rows: [string, string, unknown, Record<number, number | [number, string | RegExp]>][] = [
  ['GET', `/images/busybox/get?${platform('none')}`, undefined, { 47: 200, 48: 404 }],
  [
    'GET',
    `/images/busybox/get?${platform('amd64')}&${platform('amd64')}`,
    undefined,
    { 47: 200, 48: [400, several], 51: [400, several], 52: 200 },
  ],
  ['GET', '/images/json?identity=1', undefined, { 53: 200, 54: [400, noIdentity] }],
  ['GET', '/images/json?identity=1&manifests=1', undefined, { 53: 200, 54: 200 }],
  ['POST', '/volumes/create', clusterVolume, { 41: 201, 42: [503, noSwarm] }],
  ['GET', '/system/df?type=chair', undefined, { 41: 200, 42: [400, 'unknown object type: chair'] }],
]

for (const [method, path, body, expected] of rows) {
  test(`${method} ${path} answers as its version has it`, async () => {
    for (const [version, wanted] of Object.entries(expected)) {
      const [status, message] = typeof wanted === 'number' ? [wanted, undefined] : wanted
      const answer = await daemon.api(method, `/v1.${version}${path}`, body)
      assert.equal(answer.status, status, `${version}: ${answer.body.slice(0, 500)}`)
      if (message === undefined) continue
      const said = (answer.json as { message: string }).message
      if (typeof message === 'string') assert.equal(said, message)
      else assert.match(said, message)
    }
  })
}

test('read-only binds leave what is mounted below them writable before 1.44', async () => {
  const source = join(daemon.names.root, 'source')
  const below = join(source, 'below')
  mkdirSync(below, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', 'below', below])
  try {
    const mount = { Type: 'bind', Source: source, Target: '/in', ReadOnly: true }
    for (const hostConfig of [{ Binds: [`${source}:/in:ro`] }, { Mounts: [mount] }]) {
      const outcome = async (version: number) => {
        const config = { Image: 'busybox', Cmd: ['touch', '/in/below/file'], HostConfig: hostConfig }
        const created = await daemon.api('POST', `/v1.${version}/containers/create`, config)
        assert.equal(created.status, 201, created.body)
        const { Id: id } = created.json as { Id: string }
        assert.equal((await daemon.api('POST', `/containers/${id}/start`)).status, 204)
        const { json } = await daemon.api('POST', `/containers/${id}/wait`)
        return (json as { StatusCode: number }).StatusCode
      }
      assert.deepEqual([await outcome(43), await outcome(44)], [0, 1], JSON.stringify(hostConfig))
    }
  } finally {
    execFileSync('umount', [below])
  }
})

test('a MAC address for one more network is taken in every version', async () => {
  const created = await daemon.api('POST', '/containers/create?name=wired', {
    Image: 'busybox',
    Cmd: ['true'],
  })
  assert.equal(created.status, 201, created.body)
  await daemon.api('POST', '/networks/create', { Name: 'lan' })
  const mac = '02:42:00:00:00:17'
  const connect = { Container: 'wired', EndpointConfig: { MacAddress: mac } }
  const answer = await daemon.api('POST', '/v1.53/networks/lan/connect', connect)
  assert.equal(answer.status, 200, answer.body)
  const { body } = await daemon.api('GET', '/containers/wired/json')
  assert.ok(body.includes(mac), body)
})
