/** The parts of the engine benchmark about networks. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Part } from './engine-parts.ts'
import { type Engine, cli, removeContainers, timeMs } from './engines.ts'
import { type Line, interleaved, median, pause, ratio } from './measure.ts'

const image = 'busybox:latest'
const network = 'bench-net'
const withDaemon = (engines: Engine[]) => engines.filter((engine) => engine.name !== 'podman')

async function starts(engines: Engine[]): Promise<Line> {
  const run = (engine: Engine, name: string) =>
    timeMs(engine, ['run', '--rm', '--network', name, image, 'true'])
  const none = await interleaved(engines, 9, (engine) => run(engine, 'none'))
  const joined = await interleaved(engines, 9, (engine) => run(engine, network))
  const over = new Map([...joined].map(([name, ms]) => [name, ms - (none.get(name) ?? Number.NaN)]))
  const good = (over.get('wharf') ?? Number.NaN) <= 15
  return { what: 'run --rm with a network, over none', unit: 'ms', figures: over, target: 'at most 15', good }
}

async function changes(engines: Engine[]): Promise<Line> {
  const figures = await interleaved(
    engines,
    9,
    (engine) =>
      timeMs(engine, ['network', 'create', 'bench-made']) + timeMs(engine, ['network', 'rm', 'bench-made']),
  )
  const target = 'at most 1/3 of Docker'
  return {
    what: 'network create and rm',
    unit: 'ms',
    figures,
    target,
    good: ratio(figures, 'docker') <= 1 / 3,
  }
}

/** A hundred containers with ten published ports each. */
function crowd(engine: Engine): { totalMs: number; lastToFirst: number } {
  const times = Array.from({ length: 100 }, (_none, index) => {
    const first = 20_000 + index * 10
    const ports = `${first}-${first + 9}:80-89`
    return timeMs(engine, ['run', '-d', '--network', network, '-p', ports, image, 'sleep', '100000'])
  })
  removeContainers(engine)
  const total = times.reduce((sum, ms) => sum + ms, 0)
  return { totalMs: total, lastToFirst: median(times.slice(-10)) / median(times.slice(0, 10)) }
}

function ports(engines: Engine[]): Line[] {
  const crowds = new Map(engines.map((engine) => [engine.name, crowd(engine)]))
  const totals = new Map([...crowds].map(([name, { totalMs }]) => [name, totalMs / 1000]))
  const growth = new Map([...crowds].map(([name, { lastToFirst }]) => [name, lastToFirst]))
  return [
    {
      what: '100 containers with 10 ports each',
      unit: 's',
      figures: totals,
      target: 'at most 1/5 of Docker',
      good: ratio(totals, 'docker') <= 1 / 5,
    },
    {
      what: 'the last ten of them against the first ten',
      unit: 'ratio',
      figures: growth,
      target: 'at most 1.2',
      good: (growth.get('wharf') ?? Number.NaN) <= 1.2,
    },
  ]
}

async function throughput(engines: Engine[]): Promise<Line> {
  const megabytes = 1000
  const sink = ['sh', '-c', 'while true; do nc -l -p 9000 > /dev/null; done']
  for (const engine of engines) {
    cli(engine, ['run', '-d', '--name', 'bench-sink', '--network', network, image, ...sink])
    cli(engine, ['run', '-d', '--name', 'bench-source', '--network', network, image, 'sleep', '100000'])
  }
  const source = `dd if=/dev/zero bs=64k count=${megabytes * 16} 2>/dev/null`
  // The sink is away for a moment between two connections.
  const send = `until ${source} | nc bench-sink 9000; do :; done`
  const figures = await interleaved(
    engines,
    5,
    (engine) => megabytes / (timeMs(engine, ['exec', 'bench-source', 'sh', '-c', send]) / 1000),
  )
  for (const engine of engines) removeContainers(engine)
  const target = 'at least Docker (0.95)'
  const what = '1 GB from container to container, with nc'
  return { what, unit: 'MiB/s', figures, target, good: ratio(figures, 'docker') >= 0.95 }
}

/** From the engine's host to a container, by a published port at the gateway's address. */
async function published(engines: Engine[]): Promise<Line> {
  const megabytes = 500
  const sink = ['sh', '-c', 'while true; do nc -l -p 9000 > /dev/null; done']
  const places = new Map<string, string[]>()
  for (const engine of engines) {
    cli(engine, [
      'run',
      '-d',
      '--name',
      'bench-sink',
      '--network',
      network,
      '-p',
      '9000:9000',
      image,
      ...sink,
    ])
    const gateway = cli(engine, ['network', 'inspect', network, '-f', '{{(index .IPAM.Config 0).Gateway}}'])
    const source = `dd if=/dev/zero bs=64k count=${megabytes * 16} 2>/dev/null`
    const send = `until ${source} | busybox nc ${gateway.trim()} 9000; do :; done`
    const inside = engine.hostNamespace === undefined ? [] : ['nsenter', `--net=${engine.hostNamespace}`]
    places.set(engine.name, [...inside, 'sh', '-c', send])
  }
  const figures = await interleaved(engines, 5, (engine) => {
    const [command = '', ...args] = places.get(engine.name) ?? []
    const before = performance.now()
    execFileSync(command, args)
    return megabytes / ((performance.now() - before) / 1000)
  })
  for (const engine of engines) removeContainers(engine)
  const what = '500 MB through a published port, with nc'
  const target = 'at least Docker (0.95)'
  return { what, unit: 'MiB/s', figures, target, good: ratio(figures, 'docker') >= 0.95 }
}

/** What a hundred published ports cost beside none. */
async function portMemory(engines: Engine[]): Promise<Line[]> {
  const count = 100
  const readings = new Map<string, { bytes: number; processes: number }[]>()
  for (const ports of [[], ['-p', `20000-${20_000 + count - 1}:1000-${1000 + count - 1}`]]) {
    for (const engine of engines) {
      cli(engine, ['run', '-d', '--network', network, ...ports, image, 'sleep', '100000'])
      await pause(3000)
      const reading = { bytes: engine.memoryBytes(), processes: engine.processCount() }
      readings.set(engine.name, [...(readings.get(engine.name) ?? []), reading])
      removeContainers(engine)
    }
  }
  const each = (of: (reading: { bytes: number; processes: number }) => number) =>
    new Map(
      [...readings].map(([name, [without, withPorts]]) => [
        name,
        without === undefined || withPorts === undefined ? Number.NaN : (of(withPorts) - of(without)) / count,
      ]),
    )
  const processes = each((reading) => reading.processes)
  const kilobytes = each((reading) => reading.bytes / 1024)
  return [
    {
      what: 'processes a published port',
      unit: '',
      figures: processes,
      target: '0',
      good: processes.get('wharf') === 0,
    },
    {
      what: 'private memory a published port',
      unit: 'KiB',
      figures: kilobytes,
      target: 'that of bookkeeping: at most 16',
      good: (kilobytes.get('wharf') ?? Number.NaN) <= 16,
    },
  ]
}

/** Runs on Wharf and Docker with a network of their own. */
function onNetwork(part: Part): Part {
  return async (engines) => {
    const pair = withDaemon(engines)
    for (const engine of pair) cli(engine, ['network', 'create', network])
    try {
      return await part(pair)
    } finally {
      for (const engine of pair) removeContainers(engine)
      for (const engine of pair) cli(engine, ['network', 'rm', network])
    }
  }
}

const networks = onNetwork(async (pair) => [
  await starts(pair),
  await changes(pair),
  await throughput(pair),
  await published(pair),
  ...(await portMemory(pair)),
])

const crowds = onNetwork(async (pair) => ports(pair))

type Resolved = { rate: number; latencyUs: number }

/** Asks an engine's resolver from inside a container. */
function resolve(engine: Engine, window: number): Resolved {
  const key = cli(engine, ['inspect', 'bench-asks', '-f', '{{.NetworkSettings.SandboxKey}}']).trim()
  const client = join(import.meta.dirname, 'dns-client.ts')
  const command = [process.execPath, client, 'bench-named', '127.0.0.11', '2', String(window)]
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- printed by dns-client.ts
  return JSON.parse(execFileSync('nsenter', [`--net=${key}`, ...command], { encoding: 'utf8' })) as Resolved
}

const dns: Part = async (engines) => {
  const pair = withDaemon(engines)
  for (const engine of pair) {
    cli(engine, ['network', 'create', network])
    for (const name of ['bench-named', 'bench-asks']) {
      cli(engine, ['run', '-d', '--name', name, '--network', network, image, 'sleep', '100000'])
    }
  }
  const rates = await interleaved(pair, 3, (engine) => resolve(engine, 64).rate)
  const latencies = await interleaved(pair, 3, (engine) => resolve(engine, 1).latencyUs)
  for (const engine of pair) removeContainers(engine)
  for (const engine of pair) cli(engine, ['network', 'rm', network])
  return [
    {
      what: 'names resolved, 64 questions at once',
      unit: '1/s',
      figures: rates,
      target: 'at least 20,000',
      good: (rates.get('wharf') ?? 0) >= 20_000,
    },
    {
      what: 'one name resolved',
      unit: 'us',
      figures: latencies,
      target: 'no slower than Docker',
      good: ratio(latencies, 'docker') <= 1,
    },
  ]
}

/** The parts by name, in the order they run. */
export const networkParts: Record<string, Part> = { network: networks, ports: crowds, dns }
