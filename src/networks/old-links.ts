/** Links of the default network: lines in the hosts file, kept in step with where the other container is. */
import type { ContainerId } from '../spec/ids.ts'
import type { SandboxRequest } from '../spec/sandbox-types.ts'
import type { HostsLine } from './etc-files.ts'
import type { LiveSandbox } from './live-sandbox.ts'
import type { NetworkCore } from './network-core.ts'
import { updateHosts } from './sandbox-etc.ts'

/** See the file's head. */
export class OldLinks {
  readonly #core: NetworkCore

  constructor(core: NetworkCore) {
    this.#core = core
  }

  /** Lines for the containers that the request is linked to, those that run on the default network. */
  lines(request: SandboxRequest): Record<string, HostsLine> {
    const lines: Record<string, HostsLine> = {}
    for (const { containerId, alias } of request.links) {
      const line = this.#linkLine(containerId, alias)
      if (line !== undefined) lines[`${containerId} ${alias}`] = line
    }
    return lines
  }

  #linkLine(target: ContainerId, alias: string): HostsLine | undefined {
    const other = this.#core.live.get(target)?.record
    const endpoint = other?.endpoints.find((one) => one.networkName === 'bridge')
    if (other === undefined || endpoint === undefined || endpoint.address4 === '') return undefined
    const { hostname, containerName } = other.request
    const names = [alias, hostname, ...(alias === containerName ? [] : [containerName])]
    return { address: endpoint.address4, names: names.join(' ') }
  }

  /** The container has a new address: those linked to it learn it. */
  update(live: LiveSandbox): void {
    const target = live.record.request.containerId
    this.#core.live.set(target, live)
    for (const { record } of this.#core.live.values()) {
      for (const { containerId, alias } of record.request.links) {
        if (containerId !== target) continue
        const key = `${containerId} ${alias}`
        const before = record.linkLines[key]
        const after = this.#linkLine(containerId, alias)
        if (after === undefined || JSON.stringify(before) === JSON.stringify(after)) continue
        updateHosts(record.request, before === undefined ? [] : [before], [after])
        record.linkLines[key] = after
        this.#core.parts.records.save(record)
      }
    }
  }
}
