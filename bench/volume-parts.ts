/** Volumes, layers and files: what the disk's part of an engine costs, beside Docker in the same run. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tarHeader } from '../src/lib/tar-format.ts'
import { busyboxImage, imageArchive, tarOf } from '../tools/images/busybox.ts'
import type { Part } from './engine-parts.ts'
import { type Engine, cli, removeContainers, timeMs } from './engines.ts'
import { type Line, interleaved, ratio } from './measure.ts'

const image = 'busybox:latest'
const manyFiles = 10_000
const copiedFiles = 20_000
const bigMegabytes = 500
const commitMegabytes = 200

/** A line with the ratio that the target names. */
function line(what: string, figures: Map<string, number>, most: number): Line {
  const target = most === 1 ? 'no slower than Docker' : `at most 1/${Math.round(1 / most)} of Docker`
  return { what, unit: 'ms', figures, target, good: ratio(figures, 'docker') <= most }
}

/** An image of so many layers on busybox, each with a file of its own. */
async function layered(count: number): Promise<Buffer> {
  const busybox = await busyboxImage()
  const extra = Array.from({ length: count - busybox.layers.length }, (_, index) =>
    tarOf([
      {
        header: tarHeader({ name: `layer-${index}`, type: 'file', size: 1 }),
        content: [Buffer.from('x')],
      },
    ]),
  )
  const layers = [...busybox.layers, ...(await Promise.all(extra))]
  return imageArchive([{ ...busybox, layers, names: [`layers:${count}`] }])
}

/** busybox with so many small files below /many. */
async function withFiles(count: number): Promise<Buffer> {
  const busybox = await busyboxImage()
  const files = Array.from({ length: count }, (_, index) => {
    const text = Buffer.from(createHash('sha256').update(String(index)).digest('hex').repeat(16))
    const name = `many/${index % 100}/file-${index}`
    return { header: tarHeader({ name, type: 'file', size: text.length, mode: 0o644 }), content: [text] }
  })
  const layers = [...busybox.layers, await tarOf(files)]
  return imageArchive([{ ...busybox, layers, names: ['many:files'] }])
}

function loadInto(engines: Engine[], archive: Buffer): void {
  for (const engine of engines) cli(engine, ['load'], archive)
}

/** Wall time of some commands in turn, in milliseconds. */
function timeAllMs(engine: Engine, ...commands: string[][]): number {
  return commands.reduce((sum, command) => sum + timeMs(engine, command), 0)
}

async function createAndRemove(engines: Engine[]): Promise<Line[]> {
  const lines: Line[] = []
  for (const count of [1, 10, 60]) {
    loadInto(engines, await layered(count))
    const figures = await interleaved(engines, 9, (engine) =>
      timeAllMs(
        engine,
        ['create', '--name', 'bench-layers', `layers:${count}`, 'true'],
        ['rm', 'bench-layers'],
      ),
    )
    lines.push(line(`create and rm, ${count} layer${count === 1 ? '' : 's'}`, figures, 1))
  }
  return lines
}

async function volumes(engines: Engine[]): Promise<Line[]> {
  const made = await interleaved(engines, 15, (engine) => {
    const time = timeMs(engine, ['volume', 'create', 'bench'])
    cli(engine, ['volume', 'rm', 'bench'])
    return time
  })
  const removed = await interleaved(engines, 15, (engine) => {
    cli(engine, ['volume', 'create', 'bench'])
    return timeMs(engine, ['volume', 'rm', 'bench'])
  })
  return [line('volume create', made, 1 / 3), line('volume rm', removed, 1 / 3)]
}

async function copyUp(engines: Engine[]): Promise<Line[]> {
  loadInto(engines, await withFiles(manyFiles))
  const figures = await interleaved(engines, 5, (engine) => {
    const time = timeMs(engine, ['run', '--rm', '-v', 'bench-up:/many', 'many:files', 'true'])
    cli(engine, ['volume', 'rm', 'bench-up'])
    return time
  })
  return [line(`run with copy-up of ${manyFiles.toLocaleString('en')} files`, figures, 1 / 2)]
}

/**
 * Both ways, into a container that runs. Many files go to a new place every time: a file system that has just removed
 * as many is several times slower for a while, which is not the engines' doing.
 */
async function copies(engines: Engine[]): Promise<Line[]> {
  const root = mkdtempSync(join(tmpdir(), 'wharf-bench-cp-'))
  try {
    const big = join(root, 'big')
    writeFileSync(big, Buffer.alloc(bigMegabytes << 20, 'wharf'))
    const tree = join(root, 'tree')
    for (let index = 0; index < copiedFiles; index++) {
      const directory = join(tree, String(index % 200))
      if (index < 200) mkdirSync(directory, { recursive: true })
      writeFileSync(join(directory, `file-${index}`), `content of file ${index}\n`.repeat(20))
    }
    for (const engine of engines) cli(engine, ['run', '-d', '--name', 'bench-cp', image, 'sleep', '100000'])
    const lines: Line[] = []
    for (const [what, path] of [
      [`${bigMegabytes} MB file`, big],
      [`${copiedFiles.toLocaleString('en')} files`, tree],
    ] as const) {
      let count = 0
      // One file is written where it was; of many, each run has a place of its own.
      const place = (name: string) => (path === big ? name : `${name}-${count++}`)
      const into = await interleaved(engines, 5, (engine) => {
        const target = place('/target')
        if (path === big) cli(engine, ['exec', 'bench-cp', 'rm', '-f', target])
        return timeMs(engine, ['cp', path, `bench-cp:${target}`])
      })
      for (const engine of engines) cli(engine, ['cp', path, 'bench-cp:/source'])
      const out = await interleaved(engines, 5, (engine) => {
        const target = place(join(root, 'out'))
        rmSync(target, { force: true })
        return timeMs(engine, ['cp', 'bench-cp:/source', target])
      })
      for (const engine of engines) cli(engine, ['exec', 'bench-cp', 'rm', '-rf', '/source'])
      lines.push(line(`cp of a ${what} in`, into, 1 / 2), line(`cp of a ${what} out`, out, 1 / 2))
    }
    return lines
  } finally {
    for (const engine of engines) removeContainers(engine)
    rmSync(root, { recursive: true, force: true })
  }
}

async function commits(engines: Engine[]): Promise<Line[]> {
  const write = `dd if=/dev/urandom of=/change bs=1M count=${commitMegabytes}`
  for (const engine of engines) cli(engine, ['run', '--name', 'bench-commit', image, 'sh', '-c', write])
  const figures = await interleaved(engines, 3, (engine) => {
    const time = timeMs(engine, ['commit', 'bench-commit', 'bench:commit'])
    cli(engine, ['rmi', 'bench:commit'])
    return time
  })
  for (const engine of engines) removeContainers(engine)
  return [line(`commit of ${commitMegabytes} MB`, figures, 1 / 2)]
}

/** Docker and Wharf alone; what a part wrote is not the next one's to wait for. */
const paired =
  (part: Part): Part =>
  async (engines) => {
    const lines = await part(engines.filter(({ name }) => name !== 'podman'))
    spawnSync('sync')
    return lines
  }

/** The parts by name. */
export const volumeParts: Record<string, Part> = {
  volumes: paired(volumes),
  layers: paired(createAndRemove),
  'copy-up': paired(copyUp),
  cp: paired(copies),
  'commit-files': paired(commits),
}
