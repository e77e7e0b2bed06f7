/** Which OCI runtimes there are: Debian's by name, and those of the configuration. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RuntimeEntry } from '../spec/system-types.ts'
import type { Settings } from './config-values.ts'
import type { RuntimeFacts } from './info.ts'
import type { LiveSettings } from './live-settings.ts'

const run = promisify(execFile)

/** Where programs are looked for when no PATH says. */
const fallbackPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A program's file, or undefined. */
export function findProgram(name: string, searchPath: string | undefined): string | undefined {
  if (name.includes('/')) return existsSync(name) ? name : undefined
  return (searchPath ?? fallbackPath)
    .split(':')
    .map((directory) => join(directory, name))
    .find((file) => existsSync(file))
}

/** The runtimes that can be asked for by name. The names that Docker always has stand for the default one. */
export function findRuntimes(
  settings: Settings,
  searchPath: string | undefined,
): Record<string, RuntimeEntry> {
  const runtimes: Record<string, RuntimeEntry> = {}
  for (const name of ['crun', 'runc']) {
    const path = findProgram(name, searchPath)
    if (path !== undefined) runtimes[name] = { path }
  }
  const standard = runtimes['crun'] ?? runtimes['runc']
  if (standard !== undefined) runtimes['io.containerd.runc.v2'] = standard
  return { ...runtimes, ...settings.runtimes() }
}

/** What is known of the runtimes now; asked anew after each reload of the configuration. */
export async function liveRuntimeFacts(
  live: LiveSettings,
  searchPath: string | undefined,
): Promise<() => RuntimeFacts> {
  let facts = await runtimeFacts(live.current, searchPath)
  live.onReload((settings) => {
    // It answers in any case: a runtime that says nothing has no version.
    void runtimeFacts(settings, searchPath).then((fresh) => (facts = fresh))
  })
  return () => facts
}

/** Asks the default runtime what it is. An absent one leaves its version empty: starting a container will say so. */
async function runtimeFacts(settings: Settings, searchPath: string | undefined): Promise<RuntimeFacts> {
  const runtimes = findRuntimes(settings, searchPath)
  const defaultName = settings.text('default-runtime', 'crun')
  const path = runtimes[defaultName]?.path
  const facts = { defaultName, runtimes, version: '', commit: '' }
  if (path === undefined || !existsSync(path)) return facts
  const output = await run(path, ['--version'], { timeout: 5000 }).then(
    ({ stdout }) => stdout,
    () => '',
  )
  return {
    ...facts,
    version: /version ([^\s]+)/.exec(output)?.[1] ?? '',
    commit: /commit:? ([0-9a-f]+)/.exec(output)?.[1] ?? '',
  }
}
