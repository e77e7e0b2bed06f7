/** The parts of the benchmark about images: how fast they move, and what that costs the daemon meanwhile. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Part } from './engine-parts.ts'
import { type Engine, cli, removeContainers, timeMs } from './engines.ts'
import { archiveOf, layerOf, startRegistry, type BenchRegistry, type BuiltLayer } from './image-content.ts'
import { type Line, interleaved, pause, ratio } from './measure.ts'

const registryPort = 5765
const megabyte = 1e6
const half = 'at most 1/2 of Docker'
const withDaemon = (engines: Engine[]) => engines.filter((engine) => engine.name !== 'podman')
const onlyWharf = (engines: Engine[]) => engines.filter((engine) => engine.name === 'wharf')

async function withRegistry<T>(use: (registry: BenchRegistry, root: string) => Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'wharf-bench-registry-'))
  const registry = await startRegistry(root, registryPort)
  try {
    return await use(registry, root)
  } finally {
    registry.stop()
    rmSync(root, { recursive: true, force: true })
  }
}

function line(what: string, figures: Map<string, number>, most: number): Line {
  const target = most === 1 ? 'as fast as Docker' : half
  return { what, unit: 'ms', figures, target, good: ratio(figures, 'docker') <= most }
}

/** Time of a pull into a store without the image. */
async function pullMs(engine: Engine, name: string): Promise<number> {
  const before = cli(engine, ['images', '-q', name]).trim()
  if (before !== '') cli(engine, ['rmi', '-f', before])
  // What is removed in the background is not this pull's.
  await pause(1500)
  return timeMs(engine, ['pull', '-q', name])
}

/** 500 MB in 8 layers and 20,000 files, as `eight`. */
async function uploadEight(registry: BenchRegistry): Promise<void> {
  const layers: BuiltLayer[] = []
  for (let index = 0; index < 8; index++) layers.push(await layerOf(`layer${index}`, 2500, 25_000))
  await registry.upload('eight', layers)
}

async function pulls(engines: Engine[]): Promise<Line[]> {
  return withRegistry(async (registry) => {
    await uploadEight(registry)
    await registry.upload('one', [await layerOf('large', 400, megabyte)])
    const eight = `${registry.host}/eight:latest`
    const one = `${registry.host}/one:latest`
    const figures = await interleaved(withDaemon(engines), 3, (engine) => pullMs(engine, eight))
    const large = await interleaved(withDaemon(engines), 3, (engine) => pullMs(engine, one))
    const again = await interleaved(withDaemon(engines), 9, (engine) => timeMs(engine, ['pull', eight]))
    const starts = await interleaved(withDaemon(engines), 9, (engine) => timeMs(engine, ['--version']))
    return [
      line('pull of 500 MB, 8 layers, 20,000 files', figures, 1 / 2),
      line('pull of one layer of 400 MB', large, 1),
      over('second pull, over the start of the CLI', again, starts, 30),
    ]
  })
}

function over(what: string, figures: Map<string, number>, starts: Map<string, number>, most: number): Line {
  const more = new Map([...figures].map(([name, ms]) => [name, ms - (starts.get(name) ?? Number.NaN)]))
  const good = (more.get('wharf') ?? Number.NaN) <= most
  return { what, unit: 'ms', figures: more, target: `at most ${most}`, good }
}

async function costs(engines: Engine[]): Promise<Line[]> {
  return withRegistry(async (registry) => {
    await uploadEight(registry)
    return costsOf(engines, `${registry.host}/eight:latest`)
  })
}

/** Memory at its highest, and how long `_ping` takes, while an image is pulled. */
async function costsOf(engines: Engine[], name: string): Promise<Line[]> {
  const memory = new Map<string, number>()
  const pings = new Map<string, number>()
  for (const engine of withDaemon(engines)) {
    const before = cli(engine, ['images', '-q', name]).trim()
    if (before !== '') cli(engine, ['rmi', '-f', before])
    await pause(1500)
    const [program = '', ...first] = engine.cli
    const pull = spawn(program, [...first, 'pull', '-q', name], { stdio: 'ignore' })
    const ended = once(pull, 'exit')
    const times: number[] = []
    let peak = 0
    let turn = 0
    while (pull.exitCode === null && pull.signalCode === null) {
      times.push(await pingMs(engine))
      if (turn++ % 20 === 0) peak = Math.max(peak, engine.memoryBytes())
      await pause(5)
    }
    await ended
    memory.set(engine.name, peak / 2 ** 20)
    pings.set(engine.name, times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN)
  }
  const peak = memory.get('wharf') ?? Number.NaN
  const ping = pings.get('wharf') ?? Number.NaN
  return [
    {
      what: 'peak private memory in it',
      unit: 'MiB',
      figures: memory,
      target: 'at most 150',
      good: peak <= 150,
    },
    { what: '_ping in it, p99', unit: 'ms', figures: pings, target: 'under 20', good: ping < 20 },
  ]
}

async function pingMs(engine: Engine): Promise<number> {
  const socketPath = engine.cli.at(-1)?.replace('unix://', '')
  const before = performance.now()
  const sent = request({ socketPath, path: '/_ping' })
  const answered = once(sent, 'response')
  sent.end()
  const [answer] = await answered
  answer.resume()
  return performance.now() - before
}

async function moves(engines: Engine[]): Promise<Line[]> {
  const two = withDaemon(engines)
  return withRegistry(async (registry, root) => {
    const archive = join(root, 'archive.tar')
    const name = `${registry.host}/moved:latest`
    writeFileSync(archive, archiveOf([await layerOf('moved', 1000, 200_000)], [name]))
    const load = await interleaved(two, 5, async (engine) => {
      const before = cli(engine, ['images', '-q', name]).trim()
      if (before !== '') cli(engine, ['rmi', '-f', before])
      await pause(500)
      return timeMs(engine, ['load', '-q', '-i', archive])
    })
    const save = await interleaved(two, 5, (engine) =>
      timeMs(engine, ['save', '-o', join(root, 'saved'), name]),
    )
    const push = await interleaved(two, 3, (engine) => {
      registry.clear()
      return timeMs(engine, ['push', '-q', name])
    })
    for (const engine of two) {
      const write =
        'i=0; while [ $i -lt 200 ]; do dd if=/dev/urandom of=/big$i bs=1M count=1 2>/dev/null; i=$((i+1)); done'
      cli(engine, ['run', '--name', 'bench-big', 'busybox:latest', 'sh', '-c', write])
    }
    const commit = await interleaved(two, 3, (engine) => {
      const ms = timeMs(engine, ['commit', 'bench-big', 'bench-committed'])
      cli(engine, ['rmi', '-f', 'bench-committed'])
      return ms
    })
    for (const engine of two) removeContainers(engine)
    return [
      line('load of 200 MB', load, 1 / 2),
      line('save of 200 MB', save, 1 / 2),
      line('push of 200 MB', push, 1 / 2),
      line('commit of 200 MB', commit, 1 / 2),
    ]
  })
}

async function list(engines: Engine[]): Promise<Line[]> {
  const wharf = onlyWharf(engines)
  const names = Array.from({ length: 1000 }, (_none, index) => `bench-list/n${index}:latest`)
  const archive = archiveOf([await layerOf('small', 1, 100)], names)
  for (const engine of wharf) cli(engine, ['load', '-q'], archive)
  const figures = await interleaved(wharf, 9, (engine) => timeMs(engine, ['image', 'ls']))
  const starts = await interleaved(wharf, 9, (engine) => timeMs(engine, ['--version']))
  for (const engine of wharf) cli(engine, ['image', 'prune', '-af'])
  return [over('image ls with 1,000 images, over the start of the CLI', figures, starts, 50)]
}

/** The parts by name. */
export const imageParts: Record<string, Part> = {
  'image-pull': pulls,
  'image-costs': costs,
  'image-move': moves,
  'image-list': list,
}
