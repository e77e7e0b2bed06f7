/** The two registries that are measured: ours and Debian's docker-registry, each a process with a folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, waitForPort } from '../test/fixtures/registry-process.ts'

/** A registry under measurement. */
export type RegistryServer = {
  name: 'wharf' | 'reference'
  url: string
  folder: string
  /** Processor time since its start, in milliseconds. */
  cpuMs(): number
  /** The most memory it had since the last call, in MiB; starts counting anew. */
  peakMebibytes(): number
  stop(): Promise<void>
}

const program = join(import.meta.dirname, '../bin/wharf-registry')

/** Starts ours on a folder. */
export async function startOurs(root: string): Promise<RegistryServer> {
  const folder = join(root, 'wharf')
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  const config = join(root, 'wharf.yml')
  writeFileSync(config, 'log: { level: warn, access: false }\ncollect: { grace: 0s }\n')
  const args = ['serve', '--config', config, '--addr', `127.0.0.1:${port}`, '--data', folder]
  return await serve({ name: 'wharf', folder, port, command: [program, ...args] })
}

/** Starts the reference registry on a folder. It syncs its files too, so an answer means the same. */
export async function startReference(root: string): Promise<RegistryServer> {
  const folder = join(root, 'reference')
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  const config = referenceConfig(root, port)
  return await serve({ name: 'reference', folder, port, command: ['docker-registry', 'serve', config] })
}

/** Writes the reference registry's configuration; answers its path. */
export function referenceConfig(root: string, port: number): string {
  const config = join(root, 'reference.yml')
  const storage = `{filesystem: {rootdirectory: ${join(root, 'reference')}}, delete: {enabled: true}}`
  const http = `{addr: "127.0.0.1:${port}", secret: bench}`
  const log = '{level: error, accesslog: {disabled: true}}'
  writeFileSync(config, `version: 0.1\nlog: ${log}\nstorage: ${storage}\nhttp: ${http}\n`)
  return config
}

async function serve(options: {
  name: RegistryServer['name']
  folder: string
  port: number
  command: readonly string[]
}): Promise<RegistryServer> {
  const { name, folder, port, command } = options
  const [file = '', ...args] = command
  const child = spawn(file, args, { stdio: 'ignore' })
  await waitForPort(port)
  const proc = `/proc/${child.pid}`
  return {
    name,
    folder,
    url: `http://127.0.0.1:${port}`,
    cpuMs: () => ticksOf(readFileSync(`${proc}/stat`, 'utf8')) * 10,
    peakMebibytes() {
      const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1]) / 1024
      writeFileSync(`${proc}/clear_refs`, '5')
      return peak
    },
    stop: () => end(child),
  }
}

/** User and system time, in hundredths of a second. The command's name may have spaces. */
function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  await closed
}
