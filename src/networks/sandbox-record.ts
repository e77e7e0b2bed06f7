/** What is kept of a sandbox outside the daemon: one file each under the run directory, enough to take it over. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import { containerId, type ContainerId } from '../spec/ids.ts'
import type { SandboxRequest } from '../spec/sandbox-types.ts'
import type { DnsPorts } from './sandbox-resolver.ts'
import type { EndpointRecord } from './endpoint.ts'
import type { HostsLine } from './etc-files.ts'
import type { PortRecord } from './published-ports.ts'
import type { Sandbox } from './sandbox.ts'

/** See the file's head. */
export type SandboxRecord = {
  request: SandboxRequest
  sandboxId: string
  /** Path of the namespace; empty for the host's. */
  sandboxKey: string
  /** Whose namespace it is: the container's own, the host's, or that of another container. */
  kind: 'own' | 'host' | 'shared'
  endpoints: EndpointRecord[]
  ports: PortRecord[]
  /** Ports of the resolver inside, once there is one. */
  dns: DnsPorts | undefined
  /** What was last written into resolv.conf: if it is something else now, it is the container's. */
  resolvConf: string
  /** Resolvers to pass queries on to. */
  servers: string[]
  /** Lines of old links, by the other container's id. */
  linkLines: Record<string, HostsLine>
}

/** The files of all sandboxes. They are small and lie in memory, so access is synchronous. */
export class SandboxRecords {
  readonly #directory: string

  constructor(runRoot: string) {
    this.#directory = join(runRoot, 'sandboxes')
  }

  save(record: SandboxRecord): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    const path = this.#path(record.request.containerId)
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }

  /** Undefined when there is none. */
  load(id: ContainerId): SandboxRecord | undefined {
    try {
      const parsed: unknown = JSON.parse(readFileSync(this.#path(id), 'utf8'))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `save` alone
      return parsed as SandboxRecord
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
      throw error
    }
  }

  remove(id: ContainerId): void {
    rmSync(this.#path(id), { force: true })
  }

  list(): ContainerId[] {
    try {
      return readdirSync(this.#directory)
        .filter((name) => /^[0-9a-f]{64}\.json$/.test(name))
        .map((name) => containerId(name.slice(0, 64)))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  }

  #path(id: ContainerId): string {
    return join(this.#directory, `${id}.json`)
  }
}

/** The record of a sandbox that is being made. */
export function newRecord(request: SandboxRequest, sandbox: Sandbox | undefined): SandboxRecord {
  return {
    // A copy: names and addresses in it change as the container's do.
    request: structuredClone(request),
    sandboxId: sandbox?.id ?? randomBytes(32).toString('hex'),
    sandboxKey: sandbox?.path ?? '',
    kind: sandbox === undefined ? 'host' : 'own',
    endpoints: [],
    ports: [],
    dns: undefined,
    resolvConf: '',
    servers: [],
    linkLines: {},
  }
}
