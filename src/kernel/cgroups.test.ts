import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Resources } from '../spec/container-config.ts'
import { parseCgroupLayout } from './cgroup-layout.ts'
import { unescapeMountPath } from './mount-table.ts'
import { cpuWeight, limitWritesV1, limitWritesV2 } from './cgroup-limits.ts'
import { parseOomState, parsePids, parseStatsV1, parseStatsV2 } from './cgroup-stats.ts'
import {
  cgroupFeatures,
  parseCapabilities,
  parseLimits,
  parseNumberList,
  parseOsRelease,
} from './host-info.ts'

const line = (id: number, directory: string, type: string, options: string) =>
  `${id} 31 0:${id} / ${directory} rw,relatime shared:9 - ${type} ${type} ${options}`

const v1Lines = [
  line(1, '/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'rw,cpu,cpuacct'),
  line(2, '/sys/fs/cgroup/memory', 'cgroup', 'rw,memory'),
  line(3, '/sys/fs/cgroup/systemd', 'cgroup', 'rw,xattr,name=systemd'),
  line(4, '/sys/fs/cgroup/pids', 'cgroup', 'rw,pids'),
]

test('layouts: version 1, hybrid and version 2 are told apart', () => {
  const read = () => 'hugetlb\n'
  const v1 = parseCgroupLayout(v1Lines.join('\n'), read)
  assert.equal(v1.mode, 'v1')
  assert.equal(v1.controllers.get('cpuacct'), '/sys/fs/cgroup/cpu,cpuacct')
  assert.equal(v1.controllers.get('name=systemd'), '/sys/fs/cgroup/systemd')
  assert.equal(v1.mounts.length, 4)
  const unified = line(5, '/sys/fs/cgroup/unified', 'cgroup2', 'rw,nsdelegate')
  const hybrid = parseCgroupLayout([...v1Lines, unified].join('\n'), read)
  assert.deepEqual([hybrid.mode, [...hybrid.unifiedControllers]], ['hybrid', ['hugetlb']])
  const v2 = parseCgroupLayout(
    line(5, '/sys/fs/cgroup', 'cgroup2', 'rw'),
    () => 'cpuset cpu io memory pids\n',
  )
  assert.deepEqual([v2.mode, v2.unified, v2.unifiedControllers.size], ['v2', '/sys/fs/cgroup', 5])
  const onlyNamed = parseCgroupLayout([v1Lines[2], unified].join('\n'), () => 'memory')
  assert.equal(onlyNamed.mode, 'v2', 'a named hierarchy has no controllers')
})

test('a second mount of a hierarchy, in some container, is not taken for it', () => {
  const layout = parseCgroupLayout(
    [...v1Lines, line(9, '/box/memory', 'cgroup', 'rw,memory').replace(' / ', ' /inner ')].join('\n'),
    () => '',
  )
  assert.equal(layout.controllers.get('memory'), '/sys/fs/cgroup/memory')
  assert.equal(layout.mounts.length, 4)
  assert.equal(unescapeMountPath(String.raw`/a\040b\134c`), String.raw`/a b\c`)
})

test('version 1 files become a reading', () => {
  const stats = parseStatsV1({
    'cpuacct.usage': '5000000000\n',
    'cpuacct.stat': 'user 300\nsystem 200\n',
    'cpuacct.usage_percpu': '3000000000 2000000000 \n',
    'cpu.stat': 'nr_periods 10\nnr_throttled 4\nthrottled_time 123456\n',
    'memory.usage_in_bytes': '1048576\n',
    'memory.max_usage_in_bytes': '2097152\n',
    'memory.limit_in_bytes': '9223372036854771712\n',
    'memory.failcnt': '7\n',
    'memory.stat': 'cache 4096\nrss 8192\ntotal_inactive_file 18446744073709551615\n',
    'pids.current': '3\n',
    'pids.max': 'max\n',
    'blkio.throttle.io_service_bytes_recursive': '8:0 Read 4096\n8:0 Write 512\n8:0 Total 4608\nTotal 4608\n',
    'blkio.throttle.io_serviced_recursive': '8:0 Read 2\n8:0 Write 1\n',
  })
  assert.deepEqual(
    [stats.cpuUsageNs, stats.cpuUserNs, stats.cpuSystemNs, stats.perCpuNs],
    [5_000_000_000n, 3_000_000_000n, 2_000_000_000n, [3_000_000_000n, 2_000_000_000n]],
  )
  assert.deepEqual([stats.throttledPeriods, stats.throttledRuns, stats.throttledNs], [10n, 4n, 123456n])
  assert.deepEqual([stats.memoryLimitBytes, stats.memoryFailCount, stats.pidsLimit], [0n, 7n, 0n])
  assert.equal(stats.memoryStat['total_inactive_file'], 18446744073709551615n)
  assert.deepEqual(stats.blockIo[0], { major: 8, minor: 0, operation: 'Read', bytes: 4096n, count: 2n })
  assert.equal(stats.blockIo.length, 3)
})

test('version 2 files become a reading', () => {
  const stats = parseStatsV2({
    'cpu.stat':
      'usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 9\nnr_throttled 2\nthrottled_usec 77\n',
    'memory.current': '1048576',
    'memory.max': 'max\n',
    'memory.events': 'low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n',
    'memory.stat': 'anon 4096\nfile 1\n',
    'pids.current': '3',
    'pids.max': '64',
    'io.stat': '8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n',
  })
  assert.deepEqual([stats.cpuUsageNs, stats.cpuUserNs, stats.throttledNs], [5_000_000n, 3_000_000n, 77_000n])
  assert.deepEqual([stats.memoryLimitBytes, stats.memoryFailCount, stats.pidsLimit], [0n, 2n, 64n])
  assert.deepEqual(stats.blockIo[1], {
    major: 8,
    minor: 16,
    operation: 'write',
    bytes: 314773504n,
    count: 353n,
  })
})

test('files that are missing or garbled are zeros, never an exception', () => {
  for (const parse of [parseStatsV1, parseStatsV2]) {
    const stats = parse({ 'cpu.stat': '\n\nx\nnr_periods -1\n', 'io.stat': 'bad\n8:0\n', 'pids.max': '' })
    assert.equal(stats.throttledPeriods, 0n)
    assert.equal(stats.pids, 0n)
  }
  assert.deepEqual(parseOomState('oom_kill_disable 0\nunder_oom 0\noom_kill 4\n'), {
    kills: 4,
    halted: false,
  })
  assert.deepEqual(parseOomState('oom_kill_disable 1\nunder_oom 1\noom_kill 0\n'), { kills: 0, halted: true })
  assert.deepEqual(parseOomState(''), { kills: 0, halted: false })
  assert.deepEqual(parsePids('1\n22\n\n0\n'), [1, 22])
})

const writes = (list: { file: string; value: string }[]) => list.map(({ file, value }) => `${file}=${value}`)

test('version 1 writes memory first when it shrinks, memory and swap first when it grows', () => {
  const resources = Resources.parse({ Memory: 100, MemorySwap: 200 })
  assert.deepEqual(writes(limitWritesV1(resources, { swapBytes: 500 })), [
    'memory.limit_in_bytes=100',
    'memory.memsw.limit_in_bytes=200',
  ])
  assert.deepEqual(writes(limitWritesV1(resources, { swapBytes: 150 })), [
    'memory.memsw.limit_in_bytes=200',
    'memory.limit_in_bytes=100',
  ])
  assert.deepEqual(writes(limitWritesV1(Resources.parse({ Memory: 100, MemorySwap: -1 }), {})), [
    'memory.memsw.limit_in_bytes=-1',
    'memory.limit_in_bytes=100',
  ])
})

test('limits in the words of both versions; unset ones are left alone', () => {
  const resources = Resources.parse({
    NanoCpus: 1_500_000_000,
    CpuShares: 1024,
    PidsLimit: 0,
    CpusetCpus: '0-1',
    Memory: 1000,
    MemorySwap: 3000,
    MemoryReservation: 500,
  })
  assert.deepEqual(writes(limitWritesV2(resources, {})), [
    'memory.max=1000',
    'memory.swap.max=2000',
    'memory.low=500',
    'cpu.max=150000 100000',
    `cpu.weight=${cpuWeight(1024)}`,
    'cpuset.cpus=0-1',
    'pids.max=max',
  ])
  assert.ok(writes(limitWritesV1(resources, {})).includes('cpu.cfs_quota_us=150000'))
  assert.deepEqual(writes(limitWritesV2(Resources.parse({ MemorySwap: 3000 }), { memoryBytes: 2500 })), [
    'memory.swap.max=500',
  ])
  assert.deepEqual(limitWritesV1(Resources.parse({}), {}), [])
  assert.deepEqual(limitWritesV2(Resources.parse({}), {}), [])
  assert.deepEqual(
    [cpuWeight(2), cpuWeight(1024), cpuWeight(262_144), cpuWeight(10 ** 9)],
    [1, 39, 10_000, 10_000],
  )
})

test('features follow from the files that are there', () => {
  const v1 = parseCgroupLayout(v1Lines.join('\n'), () => '')
  const there = new Set([
    '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us',
  ])
  const features = cgroupFeatures(v1, (path) => there.has(path))
  assert.deepEqual(
    [features.memoryLimit, features.swapLimit, features.cpuCfs, features.pidsLimit, features.blkioWeight],
    [true, false, true, true, false],
  )
  const v2 = cgroupFeatures(
    parseCgroupLayout(line(5, '/c', 'cgroup2', 'rw'), () => 'cpu memory'),
    () => false,
  )
  assert.deepEqual(
    [v2.memoryLimit, v2.swapLimit, v2.memorySwappiness, v2.oomKillDisable, v2.pidsLimit],
    [true, true, false, false, false],
  )
})

test('texts of /proc and /etc', () => {
  const capabilities = parseCapabilities('CapPrm:\t000001fffeffffff\nCapBnd:\t00000000a80425fb\n')
  assert.equal(capabilities.length, 14)
  assert.ok(
    !parseCapabilities('CapPrm:\t000001fffeffffff\nCapBnd:\t000001ffffffffff\n').includes('CAP_SYS_RESOURCE'),
  )
  const limits = parseLimits(
    'Max open files            1024                 20000                files     \nMax cpu time              unlimited            unlimited            seconds\n',
  )
  assert.deepEqual(limits, { RLIMIT_NOFILE: 20000 })
  assert.deepEqual(
    parseOsRelease('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n# x\nbad line\n'),
    { PRETTY_NAME: 'Debian GNU/Linux 12 (bookworm)', ID: 'debian' },
  )
  assert.deepEqual([...parseNumberList('0-2,5\n')], [0, 1, 2, 5])
  assert.equal(parseNumberList('').size, 0)
  for (const bad of ['x', '1-', '3-1', '0-99999999', '1,,2'])
    assert.throws(() => parseNumberList(bad), RangeError)
})
