import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContainerConfig, HostConfig, UpdateConfig } from '../spec/container-config.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import { healthPlan, nextHealth, nextProbeMs } from './health-state.ts'
import { mergeImageConfig } from './image-config.ts'
import { parseSystemCpuNs } from './machine.ts'
import { parseLink, parseVolumesFrom } from './modes.ts'
import { parseSignal } from '../lib/signals.ts'
import { failureExitCode } from './start-failure.ts'
import { humanDuration } from './status-text.ts'
import { parsePs } from './top.ts'
import { mergeUpdate } from './update.ts'
import { validateConfig, validateHostConfig } from './validate.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const durations: [number, string][] = [
  [0, 'Less than a second'],
  [second, '1 second'],
  [59 * second, '59 seconds'],
  [minute, 'About a minute'],
  [119 * second, 'About a minute'],
  [2 * minute, '2 minutes'],
  [hour, 'About an hour'],
  [47 * hour, '47 hours'],
  [2 * day, '2 days'],
  [13 * day, '13 days'],
  [14 * day, '2 weeks'],
  [60 * day, '2 months'],
  [730 * day, '2 years'],
]
for (const [ms, text] of durations) {
  test(`humanDuration(${ms}) is ${text}`, () => assert.equal(humanDuration(ms), text))
}

const signals: [string, number][] = [
  ['9', 9],
  ['KILL', 9],
  ['SIGTERM', 15],
  ['sigusr1', 10],
  ['RTMIN', 34],
  ['SIGRTMIN+3', 37],
  ['RTMAX-1', 63],
]
for (const [text, number] of signals) {
  test(`parseSignal(${text}) is ${number}`, () => assert.equal(parseSignal(text), number))
}
for (const text of ['', 'NOPE', '0', '65', 'RTMIN-1', 'RTMAX+1', '9x']) {
  test(`parseSignal(${JSON.stringify(text)}) is refused`, () => {
    assert.throws(() => parseSignal(text), { kind: 'invalid' })
  })
}

test('DetachFilter holds back what may begin the sequence, over chunks, and drops what follows it', () => {
  const filter = new DetachFilter(parseDetachKeys('a,a,b'))
  const push = (text: string) => {
    const { data, detached } = filter.push(Buffer.from(text))
    return [data.toString(), detached]
  }
  assert.deepEqual(push('x'), ['x', false])
  assert.deepEqual(push('a'), ['', false])
  assert.deepEqual(push('c'), ['ac', false])
  assert.deepEqual(push('a'), ['', false])
  assert.deepEqual(push('abz'), ['', true])
})

test('any bytes without the sequence pass a DetachFilter unchanged, however they are cut', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  for (let round = 0; round < 300; round++) {
    // Ctrl-P's are many, Ctrl-Q's are none: so nothing is ever complete.
    const input = Buffer.from(
      Array.from({ length: random(30) }, () => (random(3) === 0 ? 16 : 97 + random(3))),
    )
    const filter = new DetachFilter(parseDetachKeys(''))
    const out: Buffer[] = []
    for (let at = 0; at < input.length;) {
      const length = 1 + random(5)
      out.push(filter.push(input.subarray(at, at + length)).data)
      at += length
    }
    out.push(filter.push(Buffer.from('!')).data)
    assert.equal(Buffer.concat(out).toString('latin1'), `${input.toString('latin1')}!`)
  }
})

const image = ContainerConfig.parse({
  Env: ['A=image', 'B=image'],
  Cmd: ['serve'],
  Entrypoint: ['/entry'],
  WorkingDir: '/srv',
  ExposedPorts: { '80/tcp': {} },
  Labels: { a: 'image', b: 'image' },
})
const merges: [string, Record<string, unknown>, string[] | null, string[] | null][] = [
  ['nothing asked', {}, ['/entry'], ['serve']],
  ['a command', { Cmd: ['x'] }, ['/entry'], ['x']],
  ['an entrypoint drops the command', { Entrypoint: ['/other'] }, ['/other'], null],
  ['both', { Entrypoint: ['/other'], Cmd: ['y'] }, ['/other'], ['y']],
  ['an empty entrypoint resets it, and its command stays out', { Entrypoint: [''], Cmd: ['z'] }, null, ['z']],
]
for (const [what, asked, entrypoint, cmd] of merges) {
  test(`mergeImageConfig(): ${what}`, () => {
    const merged = mergeImageConfig(ContainerConfig.parse(asked), image)
    assert.deepEqual([merged.Entrypoint, merged.Cmd], [entrypoint, cmd])
  })
}

test('mergeImageConfig() joins environment, ports and labels; the request wins', () => {
  const asked = ContainerConfig.parse({
    Env: ['A=own'],
    ExposedPorts: { '81/tcp': {} },
    Labels: { a: 'own' },
  })
  const merged = mergeImageConfig(asked, image)
  assert.deepEqual(merged.Env, ['A=own', 'B=image'])
  assert.deepEqual(Object.keys(merged.ExposedPorts ?? {}), ['80/tcp', '81/tcp'])
  assert.deepEqual(merged.Labels, { a: 'own', b: 'image' })
  assert.equal(merged.WorkingDir, '/srv')
})

test('mergeImageConfig() keeps no empty map of volumes, and joins those that there are', () => {
  const volumes = (asked: object | null, of: object | null) =>
    mergeImageConfig(
      ContainerConfig.parse({ Cmd: ['x'], Volumes: asked }),
      ContainerConfig.parse({ Volumes: of }),
    ).Volumes
  assert.equal(volumes({}, null), null)
  assert.deepEqual(volumes({}, { '/a': {} }), { '/a': {} })
  assert.deepEqual(volumes({ '/b': {} }, { '/a': {} }), { '/a': {}, '/b': {} })
})

test('mergeImageConfig() needs something to run and an absolute directory', () => {
  const bare = ContainerConfig.parse({})
  assert.throws(() => mergeImageConfig(bare, bare), { kind: 'invalid', message: 'no command specified' })
  assert.throws(() => mergeImageConfig(ContainerConfig.parse({ WorkingDir: 'srv' }), image), {
    message: "the working directory 'srv' is invalid, it needs to be an absolute path",
  })
})

const refused: [Record<string, unknown>, Record<string, unknown>, string][] = [
  [{ Env: ['=x'] }, {}, 'invalid environment variable: =x'],
  [{ StopSignal: 'NOPE' }, {}, 'invalid signal: NOPE'],
  [{ Healthcheck: { Interval: 5 } }, {}, 'Interval in Healthcheck cannot be less than 1ms'],
  [{ Healthcheck: { Retries: -1 } }, {}, 'Retries in Healthcheck cannot be negative'],
  [{ Hostname: 'h' }, { NetworkMode: 'container:x' }, 'conflicting options: hostname and the network mode'],
  [{ Hostname: 'h' }, { UTSMode: 'host' }, 'conflicting options: hostname and the UTS mode'],
  [{ MacAddress: 'x' }, { NetworkMode: 'host' }, 'conflicting options: mac-address and the network mode'],
  [
    {},
    { NetworkMode: 'host', Links: ['a'] },
    "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
  ],
  [
    {},
    { NetworkMode: 'container:x', PublishAllPorts: true },
    'conflicting options: port publishing and the container type network mode',
  ],
  [{}, { NetworkMode: 'container' }, 'invalid network mode: invalid container format container:<name|id>'],
  [{}, { NetworkMode: 'container:' }, 'invalid network mode: invalid container format container:<name|id>'],
  [{}, { ExtraHosts: ['x'] }, 'bad format for add-host: "x"'],
  [{}, { ExtraHosts: ['x:1.2.3'] }, 'invalid IP address in add-host: "1.2.3"'],
  [{}, { PortBindings: { 'x/tcp': [] } }, 'invalid port specification: "x/tcp"'],
  [{}, { PortBindings: { '80/tcp': [{ HostPort: '99999' }] } }, 'invalid port specification: "99999"'],
]
for (const [config, hostConfig, message] of refused) {
  test(`a create with ${JSON.stringify({ ...config, ...hostConfig })} is refused`, () => {
    const parsed = ContainerConfig.parse(config)
    assert.throws(
      () => {
        validateConfig(parsed)
        validateHostConfig(parsed, HostConfig.parse(hostConfig))
      },
      { kind: 'invalid', message },
    )
  })
}

test('health: failures within the start period do not count, and the threshold is exact', () => {
  const plan = healthPlan(
    ContainerConfig.parse({ Healthcheck: { Test: ['CMD', 'x'], StartPeriod: 10e9, Retries: 2 } }),
  )
  assert.ok(plan !== undefined)
  const failed = { Start: '', End: '', ExitCode: 1, Output: '' }
  let health = {
    Status: 'starting' as 'starting' | 'healthy' | 'unhealthy' | 'none',
    FailingStreak: 0,
    Log: null,
  } as Parameters<typeof nextHealth>[0]
  health = nextHealth(health, failed, plan, 9_000)
  assert.deepEqual([health.Status, health.FailingStreak], ['starting', 0])
  health = nextHealth(health, failed, plan, 11_000)
  assert.deepEqual([health.Status, health.FailingStreak], ['starting', 1])
  health = nextHealth(health, failed, plan, 12_000)
  assert.deepEqual([health.Status, health.FailingStreak], ['unhealthy', 2])
  health = nextHealth(health, { ...failed, ExitCode: 0 }, plan, 13_000)
  assert.deepEqual([health.Status, health.FailingStreak, health.Log?.length], ['healthy', 0, 4])
})

test('health: probes are close within the start period, and one falls on its end', () => {
  const plan = healthPlan(
    ContainerConfig.parse({ Healthcheck: { Test: ['CMD', 'x'], StartPeriod: 12e9, StartInterval: 5e9 } }),
  )
  assert.ok(plan !== undefined)
  const starting = { Status: 'starting' as const, FailingStreak: 0, Log: null }
  assert.equal(nextProbeMs(starting, plan, 0), 5000)
  assert.equal(nextProbeMs(starting, plan, 10_000), 2000)
  assert.equal(nextProbeMs(starting, plan, 12_000), 30_000)
  assert.equal(nextProbeMs({ ...starting, Status: 'healthy' }, plan, 0), 30_000)
})

test('health: NONE and an empty check are none', () => {
  for (const Test of [['NONE'], [], ['CMD'], ['WHAT', 'x']]) {
    assert.equal(healthPlan(ContainerConfig.parse({ Healthcheck: { Test } })), undefined)
  }
  assert.deepEqual(
    healthPlan(
      ContainerConfig.parse({ Healthcheck: { Test: ['CMD-SHELL', 'x'] }, Shell: ['/bin/ash', '-ec'] }),
    )?.command,
    ['/bin/ash', '-ec', 'x'],
  )
})

test('parseSystemCpuNs() adds seven kinds of time', () => {
  assert.equal(parseSystemCpuNs('cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n'), 280_000_000n)
  assert.throws(() => parseSystemCpuNs('intr 1'), /no cpu line/)
})

test('parsePs() keeps the threads of our processes and refuses a pid that is none', () => {
  const output = 'USER PID LWP CMD\nroot 7 - a b\nroot - 8 -\nroot 9 - c\nroot - 10 -\n'
  assert.deepEqual(parsePs(output, new Set([7])).Processes, [
    ['root', '7', '-', 'a b'],
    ['root', '-', '8', '-'],
  ])
  assert.throws(() => parsePs('PID\nx\n', new Set([1])), { message: "Unexpected pid 'x'" })
})

test('mergeUpdate() takes --cpus back where no quota at all is asked for', () => {
  const current = HostConfig.parse({ NanoCpus: 5e8 })
  const { NanoCpus, CpuQuota } = mergeUpdate(current, UpdateConfig.parse({ CpuQuota: -1 }))
  assert.deepEqual({ NanoCpus, CpuQuota }, { NanoCpus: 0, CpuQuota: -1 })
})

test('mergeUpdate() keeps what was not given and refuses contradictions', () => {
  const current = HostConfig.parse({ NanoCpus: 1e9, CpusetCpus: '0', PidsLimit: 5, AutoRemove: true })
  const update = (fields: Record<string, unknown>) => mergeUpdate(current, UpdateConfig.parse(fields))
  const merged = update({ CpusetCpus: '0-1', Memory: 8e6 })
  assert.deepEqual(
    [merged.CpusetCpus, merged.PidsLimit, merged.NanoCpus, merged.Memory],
    ['0-1', 5, 1e9, 8e6],
  )
  assert.throws(() => update({ CpuQuota: 5 }), {
    message: 'Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set',
  })
  assert.throws(() => update({ RestartPolicy: { Name: 'always' } }), /AutoRemove is enabled/)
})

test('failureExitCode() reads the runtime as Docker does', () => {
  assert.equal(failureExitCode('exec: "x": executable file not found in $PATH', 128), 127)
  assert.equal(failureExitCode('stat /x: no such file or directory', 128), 127)
  assert.equal(failureExitCode('exec: "/x": permission denied', 128), 126)
  assert.equal(failureExitCode('exec: "/etc": is a directory', 128), 126)
  assert.equal(failureExitCode('port is already allocated', 128), 128)
})

test('links and volumes-from are parsed as Docker writes them', () => {
  assert.deepEqual(parseLink('db'), { name: 'db', alias: 'db' })
  assert.deepEqual(parseLink('db:store'), { name: 'db', alias: 'store' })
  assert.deepEqual(parseLink('/db:/web/store'), { name: '/db', alias: 'store' })
  assert.throws(() => parseLink('a:b:c'), { message: 'bad format for links: a:b:c' })
  assert.deepEqual(parseVolumesFrom('data:ro'), { container: 'data', mode: 'ro' })
  assert.throws(() => parseVolumesFrom('data:xx'), { message: 'invalid mode: xx' })
})
