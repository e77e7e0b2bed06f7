/**
 * Directories of tasks: what is where, and what a task's directory must say for a daemon that comes later. They lie in
 * memory (/run) and are written at every start, and so synchronously: a write through another thread takes some ten
 * system calls and two wake-ups, which is four times the write.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import { containerId, execId, type ContainerId, type ExecId } from '../spec/ids.ts'
import type { OciSpec } from '../spec/oci-runtime-types.ts'

const configFile = 'config.json'
const runtimeFile = 'runtime'
/** Where the OCI runtime logs, in JSON lines. */
export const runtimeLogFile = 'runtime.log'
/** What the runtime wrote to its standard error, when it failed. */
const runtimeErrorFile = 'runtime.err'

/** Where the tasks of one daemon are. All of it is gone after a reboot, as the tasks are. */
export class TaskDirectories {
  /** `tasks/ID` is a container's OCI bundle and its keeper's place, `tasks/ID/execs/ID` an exec's. */
  readonly root: string
  readonly #tasks: string

  constructor(root: string) {
    this.root = root
    this.#tasks = join(root, 'tasks')
  }

  /** A container's. */
  of(id: ContainerId): string {
    return join(this.#tasks, id)
  }

  /** An exec's. */
  ofExec(id: ContainerId, exec: ExecId): string {
    return join(this.of(id), 'execs', exec)
  }

  /** State of the containers of one OCI runtime (its `--root`). */
  stateOf(runtime: string): string {
    return join(this.root, 'runtimes', runtime)
  }

  /** Makes a container's directory. Throws EEXIST. */
  make(id: ContainerId): string {
    const directory = this.of(id)
    try {
      mkdirSync(directory, { mode: 0o700 })
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      mkdirSync(this.#tasks, { recursive: true, mode: 0o711 })
      mkdirSync(directory, { mode: 0o700 })
    }
    return directory
  }

  /** Containers that have a directory. */
  async list(): Promise<ContainerId[]> {
    return (await names(this.#tasks)).map(containerId)
  }

  /** Execs of a container that have a directory. */
  async listExecs(id: ContainerId): Promise<ExecId[]> {
    return (await names(join(this.of(id), 'execs'))).map(execId)
  }
}

async function names(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => /^[0-9a-f]{64}$/.test(name))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** What is kept of a container beside what its keeper writes. */
export type Bundle = { spec: OciSpec; runtime: string }

/** Writes a container's configuration (as text) and the name of its runtime. */
export function writeBundle(directory: string, config: string, runtime: string): void {
  writeFileSync(join(directory, configFile), config, { mode: 0o600 })
  writeFileSync(join(directory, runtimeFile), runtime, { mode: 0o600 })
}

/** Reads them back. Undefined when the container was never made ready. */
export async function readBundle(directory: string): Promise<Bundle | undefined> {
  try {
    const [config, runtime] = await Promise.all([
      readFile(join(directory, configFile), 'utf8'),
      readFile(join(directory, runtimeFile), 'utf8'),
    ])
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody but this daemon's writeBundle writes it
    return { spec: JSON.parse(config) as OciSpec, runtime }
  } catch (error) {
    // A daemon that died while writing leaves half a file; then no process was started either.
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** What the runtime wrote of its failure: its log, or its standard error. */
export async function readRuntimeOutput(directory: string): Promise<string> {
  const texts = [runtimeLogFile, runtimeErrorFile].map(async (name) => readOptional(join(directory, name)))
  const [log = '', errors = ''] = await Promise.all(texts)
  return log.trim() === '' ? errors : log
}

async function readOptional(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  }
}
