/**
 * `npm run bench [PART ...]`: measures Wharf, Docker and Podman side by side and prints a table. Without
 * arguments all parts run, which takes about ten minutes on two cores.
 */
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBusyboxArchive } from '../tools/images/busybox.ts'
import { type Part, engineParts } from './engine-parts.ts'
import { cli, removeRoot, startDocker, startPodman, startWharf } from './engines.ts'
import { type Line, report } from './measure.ts'
import { networkParts } from './network-parts.ts'

const allParts: Record<string, Part> = { ...engineParts, ...networkParts }

async function main(names: string[]): Promise<void> {
  const parts = (names.length > 0 ? names : Object.keys(allParts)).map((name): Part => {
    const part = allParts[name]
    if (part === undefined) throw new Error(`no such part: ${name} (${Object.keys(allParts).join(', ')})`)
    return part
  })
  const root = join(tmpdir(), 'wharf-bench')
  removeRoot(root)
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
