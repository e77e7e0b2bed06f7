/**
 * What a running command has at hand: its surroundings, its output, the configuration and the engine. The
 * configuration is read and the engine is called only when a command asks for them.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { EngineClient } from '../client/engine-client.ts'
import { errorMessage } from '../spec/errors.ts'
import { loadConfigFile } from './config-file.ts'
import type { ConfigFile } from './config-file.ts'
import { currentContextName, resolveEndpoint } from './endpoint.ts'
import type { EndpointSources } from './endpoint.ts'
import type { Output } from './output.ts'

/** Our version, as `--version` shows it. */
export const wharfVersion = '0.1.0'

/** What the process gives a Cli. */
export type CliOptions = {
  /** The name it was called by: `wharf` or `docker`. */
  program: string
  env: Readonly<Record<string, string | undefined>>
  stdout: Output
  stderr: Output
  /** Width of the terminal for help. */
  columns: number
  isInputTerminal: () => boolean
}

/** Values of the global flags. */
export type GlobalFlags = Omit<EndpointSources, 'env' | 'configDirectory' | 'config'> & {
  config: string
  debug: boolean
}

/** See the module's description. One lives as long as a command; `close` ends its connections. */
export class Cli {
  readonly program: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: Output
  readonly stderr: Output
  readonly globals: GlobalFlags
  readonly #options: CliOptions
  #config: ConfigFile | undefined
  #client: EngineClient | undefined

  constructor(options: CliOptions, globals: GlobalFlags) {
    this.program = options.program
    this.env = options.env
    this.stdout = options.stdout
    this.stderr = options.stderr
    this.globals = globals
    this.#options = options
  }

  /** Where `config.json` and contexts are: `--config`, `DOCKER_CONFIG` or `~/.docker`. */
  get configDirectory(): string {
    return this.globals.config || this.env['DOCKER_CONFIG'] || join(this.env['HOME'] || homedir(), '.docker')
  }

  /** `config.json`, read once; a broken file is a warning and an empty configuration. */
  get config(): ConfigFile {
    if (this.#config !== undefined) return this.#config
    try {
      this.#config = loadConfigFile(this.configDirectory)
    } catch (error) {
      this.warn(`WARNING: ${errorMessage(error)}`)
      this.#config = {}
    }
    return this.#config
  }

  /** What chooses the engine, for commands about contexts. */
  get endpointSources(): EndpointSources {
    const { configDirectory, env, globals } = this
    return { ...globals, env, configDirectory, config: () => this.config }
  }

  /** Name of the context in use. */
  get contextName(): string {
    return currentContextName(this.endpointSources)
  }

  /** The engine. Throws when its address makes no sense; connects at the first request. */
  get client(): EngineClient {
    if (this.#client !== undefined) return this.#client
    const version = this.env['DOCKER_API_VERSION']
    this.#client = new EngineClient({
      host: resolveEndpoint(this.endpointSources),
      userAgent: `Wharf-Client/${wharfVersion} (linux)`,
      headers: this.config.HttpHeaders ?? {},
      ...(version ? { version: version.replace(/^v/, '') } : {}),
    })
    return this.#client
  }

  /** Width of the terminal, asked for when it matters: what answers takes long to load. */
  get columns(): number {
    return this.#options.columns
  }

  get isInputTerminal(): boolean {
    return this.#options.isInputTerminal()
  }

  /** Writes a line to standard output. */
  print(line: string): void {
    this.stdout.write(`${line}\n`)
  }

  /** Writes a line to standard error. */
  warn(line: string): void {
    this.stderr.write(`${line}\n`)
  }

  /** Ends idle connections. */
  close(): void {
    this.#client?.close()
  }
}
