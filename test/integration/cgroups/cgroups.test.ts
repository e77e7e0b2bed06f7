import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Resources } from '../../../src/spec/container-config.ts'
import { prepareCgroups } from '../../../src/kernel/cgroup-layout.ts'
import { buildOciSpec } from '../../../src/runtime/oci-spec.ts'
import { Bundle } from '../isolation/bundle.ts'

/** Waits, without a fixed time, for something to become true. */
async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > deadline) assert.fail(`never: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Starts a container that runs until it is killed; resolves when it is up. */
async function running(bundle: Bundle, script: string, host: object = {}): Promise<void> {
  const spec = await buildOciSpec(bundle.start(script, { host }), bundle.settings)
  void bundle.runSpec(spec)
  await until('container up', async () => (await bundle.cgroups.pids(bundle.cgroup)).length > 0)
}

test('preparing the layout twice changes nothing more, and leaves no controller on version 2 of a hybrid', () => {
  const first = prepareCgroups()
  const second = prepareCgroups()
  assert.deepEqual([...first.mounts].sort(), [...second.mounts].sort())
  if (first.mode === 'hybrid') assert.equal(first.unifiedControllers.size, 0)
})

test('a memory hog is killed at its limit, and the kill is counted', async () => {
  await using bundle = new Bundle()
  const start = bundle.start('dd if=/dev/zero of=/dev/null bs=400M count=1; echo survived', {
    host: { Memory: 32 << 20, MemorySwap: 32 << 20 },
  })
  const killed = await bundle.run({
    ...start,
    args: ['/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=400M', 'count=1'],
  })
  assert.equal(killed.code, 137, killed.stderr)
  await using second = new Bundle()
  const script = 'mkfifo /tmp/p; dd if=/dev/zero of=/dev/null bs=400M count=1; cat /tmp/p'
  await running(second, script, { Memory: 32 << 20, MemorySwap: 32 << 20 })
  await until('oom kill', async () => (await second.cgroups.oomKills(second.cgroup)) > 0)
  const stats = await second.cgroups.stats(second.cgroup)
  assert.equal(stats.memoryLimitBytes, 32n << 20n)
  assert.ok(stats.memoryMaxUsageBytes > 16n << 20n)
})

test('a pids limit stops a fork bomb', async () => {
  await using bundle = new Bundle()
  // Bounded twice: by the limit under test, and by the loop.
  const script =
    'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do sleep 100 & done; cat /tmp/none'
  const outcome = await bundle.run(bundle.start(script, { host: { PidsLimit: 10 } }))
  assert.match(outcome.stderr, /fork|Resource temporarily unavailable/)
})

test('--cpus throttles, and stats show it', async () => {
  await using bundle = new Bundle()
  await running(bundle, 'while :; do :; done', { NanoCpus: 2e8 })
  await until('throttled', async () => (await bundle.cgroups.stats(bundle.cgroup)).throttledPeriods > 5n)
  const first = await bundle.cgroups.stats(bundle.cgroup)
  const from = process.hrtime.bigint()
  await until(
    'more use',
    async () => (await bundle.cgroups.stats(bundle.cgroup)).cpuUsageNs > first.cpuUsageNs + 100_000_000n,
  )
  const last = await bundle.cgroups.stats(bundle.cgroup)
  // A fifth of a processor is what it may have; one that is not throttled takes far more.
  const share = Number(last.cpuUsageNs - first.cpuUsageNs) / Number(process.hrtime.bigint() - from)
  assert.ok(share < 0.5, `used ${share} of a processor`)
  assert.ok(last.perCpuNs.length === 0 || last.perCpuNs.some((each) => each > 0n))
})

test('limits of a running container change: memory both ways, CPU, pids', async () => {
  await using bundle = new Bundle()
  await running(bundle, 'while :; do sleep 100; done', { Memory: 64 << 20, MemorySwap: 128 << 20 })
  const { cgroups, cgroup } = bundle
  await cgroups.update(
    cgroup,
    Resources.parse({
      Memory: 256 << 20,
      MemorySwap: 512 << 20,
      PidsLimit: 77,
      NanoCpus: 5e8,
      CpuShares: 200,
      CpusetCpus: '0',
    }),
  )
  const grown = await cgroups.stats(cgroup)
  assert.deepEqual([grown.memoryLimitBytes, grown.pidsLimit], [256n << 20n, 77n])
  await cgroups.update(cgroup, Resources.parse({ Memory: 32 << 20, MemorySwap: 48 << 20, PidsLimit: -1 }))
  const shrunk = await cgroups.stats(cgroup)
  assert.deepEqual([shrunk.memoryLimitBytes, shrunk.pidsLimit], [32n << 20n, 0n])
  const cpu = cgroups.layout.controllers.get('cpu')
  if (cpu !== undefined) {
    const file = (name: string) => readFileSync(join(cpu, cgroup, name), 'utf8').trim()
    assert.deepEqual([file('cpu.cfs_quota_us'), file('cpu.shares')], ['50000', '200'])
  }
  await assert.rejects(cgroups.update(cgroup, Resources.parse({ CpusetCpus: '4000' })), { kind: 'internal' })
})

test('freezing stops all processes, thawing lets them go on', async () => {
  await using bundle = new Bundle()
  await running(bundle, 'while :; do :; done')
  const { cgroups, cgroup } = bundle
  const used = async () => (await cgroups.stats(cgroup)).cpuUsageNs
  await cgroups.freeze(cgroup)
  assert.ok(await cgroups.isFrozen(cgroup))
  const still = await used()
  for (let round = 0; round < 200; round++) await used()
  assert.equal(await used(), still)
  await cgroups.thaw(cgroup)
  await until('goes on', async () => (await used()) > still)
})

test('kill ends everything, frozen too, and remove takes the cgroup away with those below it', async () => {
  await using bundle = new Bundle()
  await running(bundle, 'sleep 1000 & sleep 1000 & wait')
  const { cgroups, cgroup } = bundle
  await until('all up', async () => (await cgroups.pids(cgroup)).length === 3)
  for (const mount of cgroups.layout.mounts) mkdirSync(join(mount, cgroup, 'below'), { recursive: true })
  await cgroups.freeze(cgroup)
  await cgroups.kill(cgroup)
  assert.deepEqual(await cgroups.pids(cgroup), [])
  await cgroups.remove(cgroup)
  assert.ok(!(await cgroups.list()).includes(bundle.id))
  await cgroups.remove(cgroup)
  await assert.rejects(cgroups.stats(cgroup), { kind: 'notFound' })
  assert.equal(await cgroups.oomKills(cgroup), 0)
})

test('a cgroup parent cannot lead out of the hierarchy', () => {
  const bundle = new Bundle()
  assert.equal(bundle.cgroups.pathFor('x', ''), '/wharf-test/x')
  assert.equal(bundle.cgroups.pathFor('x', '../../up'), '/up/x')
  assert.equal(bundle.cgroups.pathFor('x', '/a/./b'), '/a/b/x')
  return bundle[Symbol.asyncDispose]()
})
