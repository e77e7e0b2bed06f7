/**
 * What is wrong with requests about networks and ports, asked of Docker's own daemon and of ours: the same status and
 * the same words. Debian's daemon is old (20.10); where the newest answers otherwise, the table has both, and ours must
 * say what the newest does.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { busyboxArchive } from '../fixtures/busybox-image.ts'
import { hasDocker, startDockerDaemon } from '../fixtures/docker-daemon.ts'
import { startDaemon, type ApiAnswer } from '../fixtures/test-daemon.ts'
import { serve } from '../integration/networks/lab.ts'
import { World } from '../integration/networks/world.ts'
import { networkAnswers, networkErrors, type ErrorCase } from './network-errors.ts'

type Api = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>

/** What the cases are about: network `a` with container `one` on it, and one that is stopped. */
async function prepare(api: Api): Promise<void> {
  const ok = async (...request: Parameters<Api>) => {
    const answer = await api(...request)
    assert.ok(answer.status < 300, `${request[1]}: ${answer.body}`)
  }
  await ok('POST', '/images/load?quiet=1', await busyboxArchive())
  await ok('POST', '/networks/create', { Name: 'a', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
  await ok('POST', '/networks/create', { Name: 'free' })
  const body = { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'a' } }
  await ok('POST', '/containers/create?name=one', {
    ...body,
    HostConfig: { NetworkMode: 'a', PortBindings: { '80/tcp': [{ HostPort: '8000' }] } },
    ExposedPorts: { '80/tcp': {} },
  })
  await ok('POST', '/containers/one/start')
  await ok('POST', '/containers/create?name=idle', body)
}

/** The answer of a case: that of its request, or of the start of the container that it makes. */
async function answer(
  api: Api,
  { method, path, body }: ErrorCase,
): Promise<{ status: number; text: string }> {
  let found = await api(method, path, body)
  const isContainer = path.startsWith('/containers/create')
  if (isContainer && found.status === 201) found = await api('POST', '/containers/bad/start')
  if (isContainer) await api('DELETE', '/containers/bad?force=1')
  if (path === '/networks/create') await api('DELETE', '/networks/x')
  const { message } = (found.json ?? {}) as { message?: string }
  return { status: found.status, text: plain(message ?? '') }
}

/** Without what differs from run to run. */
function plain(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{64}/g, 'ID')
    .replaceAll(/\bbr-[0-9a-f]{12}\b/g, 'br-ID')
    .replaceAll(/:10\.\d+\.\d+\.2:80\//g, ':ADDRESS:80/')
    .trim()
}

test('bad requests get Docker’s status and words', { skip: !hasDocker }, async (t) => {
  using theirWorld = new World()
  using ourWorld = new World()
  await using docker = await startDockerDaemon(theirWorld.host.path)
  await using daemon = await startDaemon({ namespace: ourWorld.host.path })
  const theirs: Api = (method, path, body) => docker.api(method, path, body)
  const ours: Api = (method, path, body) => daemon.api(method, path, body)
  using _theirListener = await serve(theirWorld.host.path, 7777, 'x')
  using _ourListener = await serve(ourWorld.host.path, 7777, 'x')
  await prepare(theirs)
  await prepare(ours)
  assert.deepEqual(
    networkErrors.map(({ name }) => name),
    Object.keys(networkAnswers),
  )
  for (const one of networkErrors) {
    await t.test(one.name, async () => {
      const [status = 0, text = '', oldStatus = status, oldText = text] = networkAnswers[one.name] ?? []
      assert.deepEqual(await answer(theirs, one), { status: oldStatus, text: oldText }, 'Docker 20.10')
      assert.deepEqual(await answer(ours, one), { status, text }, 'Wharf')
    })
  }
})
