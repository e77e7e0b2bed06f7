/** `system check` on a store that was tampered with: it finds each fault, repairs what can be, and says what cannot. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mount } from '../../../src/kernel/mount.ts'
import type { CheckFinding, CheckReport } from '../../../src/spec/check-types.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

const hex = 'c'.repeat(64)

async function check(daemon: TestDaemon, options = ''): Promise<CheckReport> {
  const answer = await daemon.api('POST', `/wharf/system/check?${options}`)
  assert.equal(answer.status, 200, answer.body)
  return answer.json as CheckReport
}

/** Findings without their words. */
function brief(report: CheckReport): string[] {
  const line = ({ Area, Kind, Repair }: CheckFinding) => `${Area} ${Kind} ${Repair}`
  return report.Findings.map(line).sort()
}

const file = (daemon: TestDaemon, ...parts: string[]) => join(daemon.dataRoot, ...parts)

/** The largest blob: the layer. */
function layerBlob(daemon: TestDaemon): string {
  const directory = file(daemon, 'content/sha256')
  const sized = readdirSync(directory).map((name) => ({
    path: join(directory, name),
    size: statSync(join(directory, name)).size,
  }))
  return sized.toSorted((a, b) => b.size - a.size)[0]?.path ?? ''
}

test('system check', async (t) => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  await daemon.api('POST', '/volumes/create', { Name: 'kept' })
  const make = async (name: string) => {
    const body = { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { Binds: ['kept:/data'] } }
    const { json } = await daemon.api('POST', `/containers/create?name=${name}`, body)
    return (json as { Id: string }).Id
  }
  const running = await make('running')
  await daemon.api('POST', `/containers/${running}/start`)
  const layers = () => file(daemon, 'layers/overlay2/layers')
  const layerName = () => readdirSync(layers()).find((name) => name !== '.none') ?? ''

  await t.test('a whole store has no faults, also while things are made and removed', async () => {
    const ending = new AbortController()
    const busy = (async () => {
      while (!ending.signal.aborted) {
        const id = await make('short')
        await daemon.api('POST', '/volumes/create', { Name: 'short' })
        await daemon.api('POST', `/containers/${id}/start`)
        await daemon.api('DELETE', `/containers/${id}?force=1&v=1`)
        await daemon.api('DELETE', '/volumes/short')
      }
    })()
    for (let turn = 0; turn < 8; turn++) assert.deepEqual((await check(daemon, 'deep=1')).Findings, [])
    ending.abort()
    await busy
    const { Checked: checked } = await check(daemon)
    assert.deepEqual(checked, { database: 1, content: 3, layers: 1, images: 1, volumes: 1, containers: 1 })
  })

  await t.test('what nobody owns is found, and removed on demand only', async () => {
    writeFileSync(file(daemon, 'content/sha256', hex), 'x')
    mkdirSync(join(layers(), hex, 'diff'), { recursive: true })
    mkdirSync(file(daemon, 'volumes/stray/_data'), { recursive: true })
    mkdirSync(file(daemon, 'containers', hex))
    const idle = await make('idle')
    const shm = file(daemon, 'containers', idle, 'shm')
    mkdirSync(shm)
    mount({ source: 'tmpfs', target: shm, type: 'tmpfs' })
    const expected = [
      'containers unowned',
      'containers unowned',
      'content unowned',
      'layers unowned',
      'volumes unowned',
    ]
    const found = await check(daemon)
    assert.deepEqual(
      brief(found),
      expected.map((line) => `${line} possible`),
    )
    assert.deepEqual(brief(await check(daemon)), brief(found), 'looking changes nothing')
    assert.deepEqual(
      brief(await check(daemon, 'repair=1')),
      expected.map((line) => `${line} done`),
    )
    assert.deepEqual((await check(daemon, 'deep=1')).Findings, [])
    await daemon.api('DELETE', `/containers/${idle}`)
  })

  await t.test('lost layers are unpacked anew from their blobs, and run', async () => {
    rmSync(join(layers(), layerName()), { recursive: true })
    assert.deepEqual(brief(await check(daemon)), ['layers missing possible'])
    assert.deepEqual(brief(await check(daemon, 'repair=1')), ['layers missing done'])
    assert.deepEqual((await check(daemon, 'deep=1')).Findings, [])
    const { stdout } = await daemon.wharf(['run', '--rm', 'busybox', 'echo', 'whole'])
    assert.equal(stdout, 'whole\n')
  })

  await t.test('damaged layers are left to running containers, and repaired without them', async () => {
    truncateSync(join(layers(), layerName(), 'diff/bin/busybox'), 10)
    assert.deepEqual((await check(daemon)).Findings, [])
    assert.deepEqual(brief(await check(daemon, 'deep=1&repair=1')), ['layers damaged impossible'])
    await daemon.api('POST', `/containers/${running}/kill`)
    await daemon.api('POST', `/containers/${running}/wait`)
    assert.deepEqual(brief(await check(daemon, 'deep=1&repair=1')), ['layers damaged done'])
    assert.deepEqual((await check(daemon, 'deep=1')).Findings, [])
  })

  await t.test('a lost configuration is written again, a lost layer blob needs a person', async () => {
    const { json } = await daemon.api('GET', '/images/busybox/json')
    rmSync(file(daemon, 'content/sha256', (json as { Id: string }).Id.slice(7)))
    assert.deepEqual(brief(await check(daemon, 'repair=1')), ['content missing done'])
    assert.deepEqual((await check(daemon, 'deep=1')).Findings, [])
    const blob = layerBlob(daemon)
    truncateSync(blob, 100)
    const [finding] = (await check(daemon, 'repair=1')).Findings
    assert.equal(finding?.Kind, 'damaged')
    assert.equal(finding?.Repair, 'impossible')
    assert.match(finding?.Advice ?? '', /busybox/)
    rmSync(blob)
    assert.deepEqual(brief(await check(daemon)), ['content missing impossible'])
  })

  await t.test('the command tells it in a table, and by its exit code', async () => {
    rmSync(file(daemon, 'volumes/kept'), { recursive: true })
    const { code, stdout } = await daemon.wharf(['system', 'check', '--repair'])
    assert.equal(code, 1)
    const [header = '', ...lines] = stdout.trimEnd().split('\n')
    assert.match(header, /^AREA +PROBLEM +OBJECT +REPAIR +DETAIL +ADVICE$/)
    assert.ok(
      lines.some((line) => /^volumes +missing +kept +by hand/.test(line)),
      stdout,
    )
    assert.match(lines.at(-1) ?? '', /^Checked 1 database, .* and 1 container: 2 wrong\.$/)
    const json = await daemon.wharf(['system', 'check', '--format', 'json'])
    assert.equal(json.stdout.trimEnd().split('\n').length, 2)
  })
})
