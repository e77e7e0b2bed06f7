/**
 * The engines that are measured: Wharf, Docker (Debian's docker.io) and Podman, each with a data directory of its
 * own under one temporary root, the same busybox image, and a network namespace of its own for Docker, so that
 * its firewall rules stay away from the host's.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** One engine under measurement. */
export type Engine = {
  name: 'wharf' | 'docker' | 'podman'
  /** The command line of its CLI, up to where the command goes. */
  cli: string[]
  /** Sum of the private memory of the engine's processes, in bytes; 0 for an engine without a daemon. */
  memoryBytes(): number
  /** How many processes the engine has, containers' own not counted. */
  processCount(): number
  /** File of the network namespace that is its host; undefined for that of the machine. */
  hostNamespace?: string
  stop(): Promise<void>
}

const project = join(import.meta.dirname, '..')
/** The network namespace that Docker runs in. */
export const dockerNamespace = 'wharf-bench-docker'

/** Runs a CLI command to its end; throws when it fails. Answers its standard output. */
export function cli(engine: Engine, args: string[], input?: string | Buffer): string {
  const [command = '', ...first] = engine.cli
  return execFileSync(command, [...first, ...args], { encoding: 'utf8', input, maxBuffer: 1 << 28 })
}

/** Wall time of one CLI command, in milliseconds. Output is thrown away. Throws when the command fails. */
export function timeMs(engine: Engine, args: string[]): number {
  const [command = '', ...first] = engine.cli
  const before = process.hrtime.bigint()
  const result = spawnSync(command, [...first, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const after = process.hrtime.bigint()
  if (result.status !== 0) throw new Error(`${engine.name} ${args.join(' ')}: ${result.stderr.toString()}`)
  return Number(after - before) / 1e6
}

/** Starts Wharf with its state under `root`; with `trace`, the phases of its work are written to that file. */
export async function startWharf(root: string, trace?: string): Promise<Engine> {
  const socket = join(root, 'wharf.sock')
  mkdirSync(root, { recursive: true })
  writeFileSync(join(root, 'daemon.json'), '{}')
  const output = openSync(join(root, 'log'), 'a')
  const daemon = spawn(
    join(project, 'bin/wharfd'),
    ['--instance', 'bench', '--config-file', join(root, 'daemon.json'), ...directories(root, socket)],
    {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...(trace !== undefined && { WHARF_TRACE: trace }) },
    },
  )
  const engine: Engine = {
    name: 'wharf',
    cli: [join(project, 'bin/wharf'), '-H', `unix://${socket}`],
    memoryBytes: () => privateBytes(engineProcesses(daemon)),
    processCount: () => engineProcesses(daemon).length,
    stop: () => stopDaemon(engine, daemon),
  }
  await answering(engine)
  return engine
}

/** Starts dockerd with its state under `root`, in a network namespace of its own. */
export async function startDocker(root: string): Promise<Engine> {
  const socket = join(root, 'docker.sock')
  mkdirSync(root, { recursive: true })
  spawnSync('ip', ['netns', 'add', dockerNamespace])
  spawnSync('ip', ['-n', dockerNamespace, 'link', 'set', 'lo', 'up'])
  const output = openSync(join(root, 'log'), 'a')
  // nsenter, not "ip netns exec": the latter hides the cgroup mounts.
  const daemon = spawn(
    'nsenter',
    [`--net=/run/netns/${dockerNamespace}`, 'dockerd', ...directories(root, socket)],
    { stdio: ['ignore', output, output] },
  )
  const engine: Engine = {
    name: 'docker',
    cli: [
      existsSync('/usr/local/bin/docker') ? '/usr/local/bin/docker' : '/usr/bin/docker',
      '-H',
      `unix://${socket}`,
    ],
    memoryBytes: () => privateBytes([...engineProcesses(daemon), ...pidsOf('containerd-shim')]),
    processCount: () => engineProcesses(daemon).length + pidsOf('containerd-shim').length,
    hostNamespace: `/run/netns/${dockerNamespace}`,
    stop: async () => {
      await stopDaemon(engine, daemon)
      spawnSync('ip', ['netns', 'delete', dockerNamespace])
    },
  }
  await answering(engine)
  return engine
}

/** Podman has no daemon: only directories of its own. */
export function startPodman(root: string): Engine {
  mkdirSync(root, { recursive: true })
  const configuration = join(root, 'containers.conf')
  // Podman raises hard limits by default, which not every machine allows.
  const limits = '["nofile=1024:1024", "nproc=1024:1024"]'
  writeFileSync(configuration, `[containers]\ndefault_ulimits = ${limits}\n`)
  const engine: Engine = {
    name: 'podman',
    cli: [
      'env',
      `CONTAINERS_CONF=${configuration}`,
      'podman',
      '--root',
      join(root, 'data'),
      '--runroot',
      join(root, 'run'),
      '--cgroup-manager',
      'cgroupfs',
    ],
    memoryBytes: () => 0,
    processCount: () => 0,
    stop: async () => {
      removeContainers(engine)
      spawnSync('umount', [join(root, 'data', 'overlay')])
    },
  }
  return engine
}

/** Removes what engines of an earlier, killed run left mounted below `root`, and `root` itself. */
export function removeRoot(root: string): void {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${root}/`))
  for (const path of mounts.reverse()) spawnSync('umount', ['-l', path])
  rmSync(root, { recursive: true, force: true })
}

/** Removes all containers of an engine. */
export function removeContainers(engine: Engine): void {
  const ids = cli(engine, ['ps', '-aq']).split('\n').filter(Boolean)
  for (let at = 0; at < ids.length; at += 50) cli(engine, ['rm', '-f', ...ids.slice(at, at + 50)])
}

function directories(root: string, socket: string): string[] {
  const paths = ['--data-root', join(root, 'data'), '--exec-root', join(root, 'run')]
  return [...paths, '--pidfile', join(root, 'pid'), '-H', `unix://${socket}`]
}

async function answering(engine: Engine): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const [command = '', ...first] = engine.cli
    if (spawnSync(command, [...first, 'version']).status === 0) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${engine.name} did not start`)
}

async function stopDaemon(engine: Engine, daemon: ChildProcess): Promise<void> {
  removeContainers(engine)
  const ended = new Promise((resolve) => daemon.once('exit', resolve))
  daemon.kill('SIGTERM')
  await ended
}

/** Private memory (clean and dirty) of the processes: what would come back if they ended. */
function privateBytes(pids: number[]): number {
  let sum = 0
  for (const pid of pids) {
    for (const [, kilobytes] of procFile(pid, 'smaps_rollup').matchAll(/^Private_\w+:\s+(\d+) kB/gm)) {
      sum += Number(kilobytes) * 1024
    }
  }
  return sum
}

/** A file of a process; empty when that has ended. */
function procFile(pid: number | string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}

function processes(): { pid: number; parent: number; name: string }[] {
  return readdirSync('/proc').flatMap((entry) => {
    const text = /^\d+$/.test(entry) ? procFile(entry, 'stat') : ''
    const match = /^\d+ \((.*)\) \S (\d+)/.exec(text)
    return match === null ? [] : [{ pid: Number(entry), parent: Number(match[2]), name: match[1] ?? '' }]
  })
}

function pidsOf(name: string): number[] {
  return processes()
    .filter((entry) => entry.name.startsWith(name.slice(0, 15)))
    .map((entry) => entry.pid)
}

/** A daemon with its proxies and keepers, without what runs in containers. */
function engineProcesses(daemon: ChildProcess): number[] {
  const names = new Map(processes().map((entry) => [entry.pid, entry.name]))
  return familyOf(daemon.pid ?? 0).filter((pid) =>
    /^(MainThread|node|wharf|docker|containerd)/.test(names.get(pid) ?? ''),
  )
}

/** A process and all below it. */
function familyOf(pid: number): number[] {
  const all = processes()
  const family = [pid]
  for (const member of family)
    family.push(...all.filter((entry) => entry.parent === member).map((entry) => entry.pid))
  return family
}
