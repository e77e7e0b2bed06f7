/** The OCI runtimes that containers may choose, as Docker's `runtimes` setting names them. */
import { execFile } from 'node:child_process'
import { accessSync, closeSync, constants, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { EngineError, errorCode } from '../spec/errors.ts'
import { sealedCopy } from '../kernel/sealed-file.ts'
import { spawnDescriptor } from '../kernel/unix-sockets.ts'
import { runtimeLogFile } from './shim-bundle.ts'

/** An entry of `runtimes`: a program (a path, or a name on the search path) and arguments for every call. */
export type RuntimeEntry = { path: string; args: readonly string[] }

const searchPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** One configured runtime. */
export class OciRuntimeProgram implements Disposable {
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
  /** Whether it is crun, whose extras are used: a compiled seccomp filter, state that is removed by hand. */
  readonly isCrun: boolean
  readonly #preload: string | undefined
  #preloads = false
  #sealed: { descriptor: number; version: string } | undefined

  /** `preload`: the library that spares crun others (native/no-systemd.c). */
  constructor(name: string, entry: RuntimeEntry, preload?: string) {
    this.name = name
    this.file = findProgram(entry.path)
    this.args = entry.args
    this.isCrun = basename(entry.path) === 'crun'
    // Arguments may ask for what the library says is not there, and blanks and colons would make it two.
    const suits = this.isCrun && this.args.length === 0 && !/[\s:]/.test(preload ?? '')
    this.#preload = suits ? preload : undefined
  }

  /** What its environment has beside the search path. */
  environment(): string[] {
    return this.#preload !== undefined && this.#preloads ? [`LD_PRELOAD=${this.#preload}`] : []
  }

  /** Whether this release starts with the library; until that is known it goes without. */
  #tryPreload(): void {
    this.#preloads = false
    if (this.#preload === undefined) return
    const env = { LD_PRELOAD: this.#preload }
    execFile(this.file, ['--version'], { env, timeout: 5000 }, (error) => (this.#preloads = error === null))
  }

  /**
   * A sealed copy to execute, made anew when the program was replaced; undefined where that brings nothing. It stays
   * owned by this object.
   */
  descriptor(): number | undefined {
    if (!this.isCrun) return undefined
    try {
      const { ino, mtimeMs, size } = statSync(this.file)
      const version = `${ino} ${mtimeMs} ${size}`
      if (this.#sealed?.version !== version) {
        this[Symbol.dispose]()
        const copy = sealedCopy(this.file)
        this.#sealed = { descriptor: spawnDescriptor(copy), version }
        closeSync(copy)
        this.#tryPreload()
      }
      return this.#sealed.descriptor
    } catch (error) {
      // The program is missing: executing it says so in the right words.
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  [Symbol.dispose](): void {
    if (this.#sealed !== undefined) closeSync(this.#sealed.descriptor)
    this.#sealed = undefined
  }
}

/** All runtimes. A reload of the configuration replaces them. */
export class RuntimeTable implements Disposable {
  #programs: ReadonlyMap<string, OciRuntimeProgram>
  /** Those that only older containers still have. */
  readonly #retired = new Map<string, OciRuntimeProgram>()
  readonly #preload: string | undefined
  #default: string

  /** `preload`: see `OciRuntimeProgram`. */
  constructor(entries: RuntimeEntries, defaultName: string, preload?: string) {
    this.#preload = preload
    this.#programs = programsOf(entries, preload)
    this.#default = defaultName
  }

  /** Containers that are created from now on have these to choose from. */
  replace(entries: RuntimeEntries, defaultName: string): void {
    for (const [name, program] of this.#programs) {
      this.#retired.get(name)?.[Symbol.dispose]()
      this.#retired.set(name, program)
    }
    this.#programs = programsOf(entries, this.#preload)
    this.#default = defaultName
  }

  /** By name; empty for the default one. Throws invalid as Docker words it. */
  get(name: string): OciRuntimeProgram {
    const program = this.#programs.get(name === '' ? this.#default : name)
    if (program === undefined) throw new EngineError('invalid', `unknown or invalid runtime name: ${name}`)
    return program
  }

  /** The one that an existing container was started with. Throws invalid when this daemon never knew it. */
  ofContainer(name: string): OciRuntimeProgram {
    return this.#programs.get(name) ?? this.#retired.get(name) ?? this.get(name)
  }

  [Symbol.dispose](): void {
    for (const program of this.#programs.values()) program[Symbol.dispose]()
    for (const program of this.#retired.values()) program[Symbol.dispose]()
  }
}

/** Runtimes by name. */
export type RuntimeEntries = Readonly<Record<string, RuntimeEntry>>

function programsOf(entries: RuntimeEntries, preload?: string): Map<string, OciRuntimeProgram> {
  return new Map(
    Object.entries(entries).map(([name, entry]) => [name, new OciRuntimeProgram(name, entry, preload)]),
  )
}

/** The beginning of every call: the program, where it keeps its state, and where it logs. */
export function runtimeCommand(program: OciRuntimeProgram, state: string): string[] {
  return [program.file, ...program.args, '--root', state, '--log', runtimeLogFile, '--log-format', 'json']
}

/** Options of `run` and `exec` under a keeper, with paths relative to its directory unless that is named. */
export function detachedOptions(tty: boolean, directory = ''): string[] {
  const console = tty ? ['--console-socket', join(directory, 'console')] : []
  return ['--detach', '--pid-file', join(directory, 'pid'), ...console]
}

function findProgram(path: string): string {
  if (path.includes('/')) return path
  return searchPath.map((directory) => join(directory, path)).find(isExecutable) ?? path
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
