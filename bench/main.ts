/**
 * `npm run bench [PART ...]`: measures Wharf, Docker and Podman side by side and prints a table. Without
 * arguments all parts run, which takes about ten minutes on two cores. The part `phases` shows where a start's time goes,
 * `registry` measures the registry against Debian's docker-registry.
 */
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBusyboxArchive } from '../tools/images/busybox.ts'
import { type Part, engineParts } from './engine-parts.ts'
import { cli, removeRoot, startDocker, startPodman, startWharf } from './engines.ts'
import { imageParts } from './image-parts.ts'
import { type Line, report } from './measure.ts'
import { networkParts } from './network-parts.ts'
import { outputParts } from './output-parts.ts'
import { phaseTables } from './phases.ts'
import { benchRegistry } from './registry.ts'
import { volumeParts } from './volume-parts.ts'

const allParts: Record<string, Part> = {
  ...engineParts,
  ...outputParts,
  ...networkParts,
  ...imageParts,
  ...volumeParts,
}

const phases = 'phases'
const registry = 'registry'

async function showPhases(root: string): Promise<void> {
  const trace = join(root, 'trace')
  const wharf = await startWharf(join(root, 'wharf'), trace)
  try {
    const archive = join(root, 'busybox.tar')
    await buildBusyboxArchive(archive)
    cli(wharf, ['load'], readFileSync(archive))
    console.log(`${await phaseTables(wharf, trace)}\n`)
  } finally {
    await wharf.stop()
    removeRoot(root)
  }
}

async function main(asked: string[]): Promise<void> {
  const names = asked.filter((name) => name !== phases && name !== registry)
  const parts = (asked.length > 0 ? names : Object.keys(allParts)).map((name): Part => {
    const part = allParts[name]
    if (part === undefined)
      throw new Error(`no such part: ${name} (${[...Object.keys(allParts), phases, registry].join(', ')})`)
    return part
  })
  const root = join(tmpdir(), 'wharf-bench')
  removeRoot(root)
  if (asked.length === 0 || asked.includes(phases)) await showPhases(root)
  if (asked.length === 0 || asked.includes(registry)) await benchRegistry(root)
  if (parts.length === 0) return
  const engines = [await startWharf(join(root, 'wharf')), await startDocker(join(root, 'docker'))]
  engines.push(startPodman(join(root, 'podman')))
  const lines: Line[] = []
  try {
    const archive = join(root, 'busybox.tar')
    await buildBusyboxArchive(archive)
    const bytes = readFileSync(archive)
    for (const engine of engines) cli(engine, ['load'], bytes)
    for (const part of parts) {
      const measured = await part(engines)
      lines.push(...measured)
      console.log(report(measured))
    }
  } finally {
    for (const engine of engines) await engine.stop()
    removeRoot(root)
  }
  console.log(`\n${report(lines)}`)
}

await main(process.argv.slice(2))
