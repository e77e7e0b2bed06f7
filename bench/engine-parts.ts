/** The parts of the engine benchmark: what a user waits for, and what the engine costs while nobody asks. */
import { spawn } from 'node:child_process'
import { type Engine, cli, removeContainers, timeMs } from './engines.ts'
import { type Line, interleaved, pause, ratio } from './measure.ts'

/** A part: measures and answers its lines of the report. */
export type Part = (engines: Engine[]) => Promise<Line[]>

const image = 'busybox:latest'
const only = (engines: Engine[], ...names: string[]) =>
  engines.filter((engine) => names.includes(engine.name))

async function start(engines: Engine[]): Promise<Line[]> {
  const figures = await interleaved(engines, 15, (engine) => timeMs(engine, ['run', '--rm', image, 'true']))
  const target = 'at most 1/7 of Docker'
  return [
    { what: 'run --rm busybox true', unit: 'ms', figures, target, good: ratio(figures, 'docker') <= 1 / 7 },
  ]
}

async function startCrowded(engines: Engine[]): Promise<Line[]> {
  const wharf = only(engines, 'wharf')
  const sample = (engine: Engine) => timeMs(engine, ['run', '--rm', image, 'true'])
  const alone = await interleaved(wharf, 15, sample)
  for (const engine of wharf) {
    for (let n = 0; n < 500; n++) cli(engine, ['run', '-d', image, 'sleep', '100000'])
  }
  await pause(2000)
  const crowded = await interleaved(wharf, 15, sample)
  for (const engine of wharf) removeContainers(engine)
  const factor = (crowded.get('wharf') ?? Number.NaN) / (alone.get('wharf') ?? Number.NaN)
  return [
    {
      what: 'the same with 500 containers running, against none',
      unit: 'ratio',
      figures: new Map([['wharf', factor]]),
      target: 'at most 1.2',
      good: factor <= 1.2,
    },
  ]
}

async function together(engines: Engine[]): Promise<Line[]> {
  const figures = await interleaved(engines, 5, async (engine) => {
    const count = 32
    let left = count
    const before = performance.now()
    const worker = async () => {
      while (left-- > 0) await finished(engine, ['run', '--rm', image, 'true'])
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    return count / ((performance.now() - before) / 1000)
  })
  const target = 'at least 10 times Docker'
  return [{ what: 'run --rm, 8 at once', unit: '1/s', figures, target, good: ratio(figures, 'docker') >= 10 }]
}

async function exec(engines: Engine[]): Promise<Line[]> {
  for (const engine of engines) cli(engine, ['run', '-d', '--name', 'bench-exec', image, 'sleep', '100000'])
  const figures = await interleaved(engines, 15, (engine) => timeMs(engine, ['exec', 'bench-exec', 'true']))
  for (const engine of engines) removeContainers(engine)
  const target = 'at most 1/4 of Docker'
  return [{ what: 'exec true', unit: 'ms', figures, target, good: ratio(figures, 'docker') <= 1 / 4 }]
}

async function list(engines: Engine[]): Promise<Line[]> {
  const pair = only(engines, 'wharf', 'docker')
  const cold = await interleaved(pair, 15, (engine) => timeMs(engine, ['ps']))
  for (const engine of pair) {
    if (engine.name === 'wharf') for (let n = 0; n < 1000; n++) cli(engine, ['create', image, 'true'])
  }
  const wharf = only(pair, 'wharf')
  const bare = await interleaved(wharf, 15, (engine) =>
    timeMs(engine, ['version', '--format', '{{.Client.Version}}']),
  )
  const many = await interleaved(wharf, 15, (engine) => timeMs(engine, ['ps', '-a']))
  for (const engine of wharf) removeContainers(engine)
  const over = (many.get('wharf') ?? Number.NaN) - (bare.get('wharf') ?? Number.NaN)
  return [
    {
      what: 'ps, cold',
      unit: 'ms',
      figures: cold,
      target: 'no slower than Docker',
      good: ratio(cold, 'docker') <= 1,
    },
    {
      what: 'ps -a with 1,000 containers, over the CLI’s start',
      unit: 'ms',
      figures: new Map([['wharf', over]]),
      target: 'at most 50',
      good: over <= 50,
    },
  ]
}

async function memory(engines: Engine[]): Promise<Line[]> {
  const pair = only(engines, 'wharf', 'docker')
  const megabyte = 1 << 20
  await pause(5000)
  const idle = new Map(pair.map((engine) => [engine.name, engine.memoryBytes() / megabyte]))
  const count = 20
  for (const engine of pair) {
    for (let n = 0; n < count; n++) cli(engine, ['run', '-d', image, 'sleep', '100000'])
  }
  await pause(5000)
  const each = new Map(
    pair.map((engine) => [
      engine.name,
      (engine.memoryBytes() / megabyte - (idle.get(engine.name) ?? 0)) / count,
    ]),
  )
  for (const engine of pair) removeContainers(engine)
  return [
    {
      what: 'idle daemon',
      unit: 'MiB',
      figures: idle,
      target: 'at most 80',
      good: (idle.get('wharf') ?? 99) <= 80,
    },
    {
      what: 'each further container',
      unit: 'MiB',
      figures: each,
      target: 'at most 1',
      good: (each.get('wharf') ?? 9) <= 1,
    },
  ]
}

function finished(engine: Engine, args: string[]): Promise<void> {
  const [command = '', ...first] = engine.cli
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
    child.stdout.resume()
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${engine.name} ended with ${code}`)),
    )
  })
}

/** The parts by name, in the order they run. */
export const engineParts: Record<string, Part> = {
  memory,
  start,
  exec,
  together,
  list,
  crowded: startCrowded,
}
