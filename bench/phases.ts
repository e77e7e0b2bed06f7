/**
 * Where the time of one `run --rm busybox true` goes, and of one `exec`: the CLI's own start, then the daemon's trace
 * (src/daemon/trace.ts) from its first request to its last answer, then what is left of the command; beside it, what the
 * programs that both consist of cost when they do nothing. Medians of runs with idle gaps.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Engine, cli, removeContainers, timeMs } from './engines.ts'
import { median, pause } from './measure.ts'

const runs = 25

/** A command, and the points at which its phases end, in their order, with what each phase is. */
type Traced = { command: string[]; phases: [RegExp, string][] }

const run: Traced = {
  command: ['run', '--rm', 'busybox:latest', 'true'],
  phases: [
    [/^create:after-files/, 'create: decode, check, writable layer'],
    [/^< POST .*\/containers\/create/, 'create: row, event, answer'],
    [/^start:begin/, 'the CLI attaches, waits and starts'],
    [/^start:after-network/, 'start: mount and network'],
    [/^start:after-create/, 'start: OCI configuration, keeper'],
    [/^start:before-run/, 'start: attach, record'],
    [/^start:after-run/, 'start: crun'],
    [/^exit:begin/, 'the process runs, the keeper drains and records'],
    [/^< POST .*\/wait/, 'exit: record, remove the row, answer'],
  ],
}

const container = 'phases'
const exec: Traced = {
  command: ['exec', container, 'true'],
  phases: [
    [/^< POST .*\/exec$/, 'create: decode, check, answer'],
    [/^exec:begin/, 'the CLI starts it'],
    [/^exec:after-run/, 'start: keeper, crun'],
    [/^> GET .*\/exec\/.*\/json/, 'the process runs, the CLI sees its end and asks for the code'],
    [/^< GET .*\/exec\/.*\/json/, 'inspect: answer'],
  ],
}

/** Runs both on a daemon that was started with a trace; the tables as text. */
export async function phaseTables(engine: Engine, trace: string): Promise<string> {
  cli(engine, ['run', '-d', '--name', container, 'busybox:latest', 'sleep', '100000'])
  const lines: string[] = []
  for (const traced of [run, exec]) {
    lines.push(`Phases of wharf ${traced.command.join(' ')} (medians):`)
    lines.push(...table(await samplesOf(engine, trace, traced)))
  }
  removeContainers(engine)
  return [...lines, 'Of which these cannot be less here:', ...table(await floor(engine))].join('\n')
}

async function samplesOf(
  engine: Engine,
  trace: string,
  { command, phases }: Traced,
): Promise<Map<string, number[]>> {
  for (let n = 0; n < 3; n++) timeMs(engine, command)
  const samples = new Map<string, number[]>()
  const add = (what: string, ms: number) => samples.set(what, [...(samples.get(what) ?? []), ms])
  for (let n = 0; n < runs; n++) {
    await pause(300)
    writeFileSync(trace, '')
    const from = Number(process.hrtime.bigint() / 1000n)
    const wholeMs = timeMs(engine, command)
    await pause(200)
    let before = from
    for (const [what, at] of pointsOf(readFileSync(trace, 'utf8'), phases)) {
      add(what, (at - before) / 1000)
      before = at
    }
    add('the CLI ends', wholeMs - (before - from) / 1000)
    add('whole command', wholeMs)
  }
  return samples
}

function table(samples: ReadonlyMap<string, number[]>): string[] {
  return [...samples].map(([what, values]) => `${median(values).toFixed(2).padStart(8)} ms  ${what}`)
}

/** What the programs cost that a start consists of, when they do nothing. */
async function floor(engine: Engine): Promise<Map<string, number[]>> {
  const library = join(import.meta.dirname, '../build/no-systemd.so')
  const [wharf = '', ...rest] = engine.cli
  const bare: [string, string, string[], Record<string, string>][] = [
    ['a program that does nothing', 'true', [], {}],
    ['the CLI, asked for its version', wharf, [...rest, 'version', '--format', '{{.Client.Version}}'], {}],
    ['crun, asked for its version', 'crun', ['--version'], { LD_PRELOAD: library }],
    ['the same with all its libraries', 'crun', ['--version'], {}],
  ]
  const samples = new Map<string, number[]>()
  for (let n = 0; n < runs; n++) {
    for (const [what, program, args, variables] of bare) {
      await pause(50)
      const before = process.hrtime.bigint()
      spawnSync(program, args, { stdio: 'ignore', env: { ...process.env, ...variables } })
      const ms = Number(process.hrtime.bigint() - before) / 1e6
      samples.set(what, [...(samples.get(what) ?? []), ms])
    }
  }
  return samples
}

/** When each phase ended, in microseconds of the monotonic clock, which both processes share. */
function pointsOf(text: string, phases: readonly [RegExp, string][]): [string, number][] {
  const points = text
    .trim()
    .split('\n')
    .map((line) => {
      const at = line.indexOf(' ')
      return { us: Number(line.slice(0, at)), point: line.slice(at + 1) }
    })
  const first = points[0]
  if (first === undefined) throw new Error('the daemon has written no trace')
  const found: [string, number][] = [['the CLI starts and connects', first.us]]
  for (const [pattern, what] of phases) {
    const hit = points.find(({ point }) => pattern.test(point))
    if (hit === undefined) throw new Error(`no phase "${what}" in the trace`)
    found.push([what, hit.us])
  }
  return found
}
