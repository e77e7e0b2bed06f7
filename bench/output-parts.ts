/** The parts of the benchmark about output (attached streams, logs that are followed and read) and about `system df`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Part } from './engine-parts.ts'
import { type Engine, cli, removeContainers, timeMs } from './engines.ts'
import { layerOf } from './image-content.ts'
import { type Line, interleaved, ratio } from './measure.ts'

const image = 'busybox:latest'
const megabytes = 200
const withDaemon = (engines: Engine[]) => engines.filter((engine) => engine.name !== 'podman')
/** Lines of 72 bytes; `head -c` of busybox takes no suffix. */
const text = `yes 'the quick brown fox jumps over the lazy dog 0123456789 abcdefghijklmno' | head -c ${megabytes << 20}`

/** MiB a second of a command's standard output, which is read and thrown away. */
async function rate(engine: Engine, args: string[]): Promise<number> {
  const [command = '', ...first] = engine.cli
  const before = performance.now()
  const child = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  let bytes = 0
  child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length))
  const [code]: unknown[] = await once(child, 'close')
  if (code !== 0) throw new Error(`${engine.name} ${args.join(' ')} ended with ${String(code)}`)
  return bytes / (1 << 20) / ((performance.now() - before) / 1000)
}

function line(what: string, figures: Map<string, number>, least: number): Line {
  const target = `at least ${least} times Docker`
  return { what, unit: 'MiB/s', figures, target, good: ratio(figures, 'docker') >= least }
}

const output: Part = async (engines) => {
  const pair = withDaemon(engines)
  const zeros = ['dd', 'if=/dev/zero', 'bs=1M', `count=${megabytes}`]
  const attached = await interleaved(pair, 3, (engine) => rate(engine, ['run', '--rm', image, ...zeros]))
  const lines = await interleaved(pair, 3, (engine) => rate(engine, ['run', '--rm', image, 'sh', '-c', text]))
  // What is followed is written as fast as it can be, and not bounded, so that nothing is dropped from the log.
  const followed = await interleaved(pair, 3, async (engine) => {
    const id = cli(engine, ['run', '-d', '--log-opt', 'max-size=2g', image, 'sh', '-c', text]).trim()
    const figure = await rate(engine, ['logs', '-f', id])
    cli(engine, ['rm', '-f', id])
    return figure
  })
  for (const engine of pair) {
    const options = ['--name', 'bench-read', '--log-opt', 'max-size=2g']
    cli(engine, ['run', '-d', ...options, image, 'sh', '-c', text])
    cli(engine, ['wait', 'bench-read'])
  }
  const read = await interleaved(pair, 3, (engine) => rate(engine, ['logs', 'bench-read']))
  for (const engine of pair) removeContainers(engine)
  return [
    line('200 MB of zeros through attached stdout', attached, 5),
    line('200 MB of lines through attached stdout', lines, 5),
    line('200 MB of lines, followed by logs -f', followed, 1),
    line('200 MB of lines, read by logs', read, 1),
  ]
}

/** `system df` with 200 images and 1,000 volumes, empty and with a gigabyte stored in one. */
const usage: Part = async (engines) => {
  const wharf = engines.filter((engine) => engine.name === 'wharf')
  const names = Array.from({ length: 200 }, (_none, index) => `bench/n:${index}`)
  for (const engine of wharf) {
    for (const name of names) cli(engine, ['import', '-', name], (await layerOf(name, 1, 100)).tar)
    for (let index = 0; index < 1000; index++) cli(engine, ['volume', 'create', `bench${index}`])
  }
  const measure = () => interleaved(wharf, 9, (engine) => timeMs(engine, ['system', 'df']))
  const empty = await measure()
  const fill = ['run', '--rm', '-v', 'bench0:/data', image]
  for (const engine of wharf)
    cli(engine, [...fill, 'dd', 'if=/dev/zero', 'of=/data/file', 'bs=1M', 'count=1000'])
  const full = await measure()
  for (const engine of wharf) {
    cli(engine, ['volume', 'prune', '-af'])
    cli(engine, ['rmi', ...names])
  }
  const ms = full.get('wharf') ?? Number.NaN
  const growth = new Map([['wharf', ms / (empty.get('wharf') ?? Number.NaN)]])
  return [
    {
      what: 'system df with 200 images, 1,000 volumes and 1 GB',
      unit: 'ms',
      figures: full,
      target: 'at most 200',
      good: ms <= 200,
    },
    {
      what: 'the same against nothing stored',
      unit: 'ratio',
      figures: growth,
      target: 'at most 1.2',
      good: (growth.get('wharf') ?? 9) <= 1.2,
    },
  ]
}

/** The parts by name, in the order they run. */
export const outputParts: Record<string, Part> = { output, usage }
