/** A sandbox that runs: its record and what the daemon holds open for it. */
import type { SandboxState } from '../spec/sandbox-types.ts'
import { endpointSettings } from './endpoint.ts'
import { etcPaths } from './etc-files.ts'
import { portMap, type PublishedPorts } from './published-ports.ts'
import type { Sandbox } from './sandbox.ts'
import type { SandboxRecord } from './sandbox-record.ts'

/** See the file's head. */
export class LiveSandbox implements Disposable {
  readonly record: SandboxRecord
  /** Undefined for the host's namespace and for that of another container. */
  readonly sandbox: Sandbox | undefined
  ports: PublishedPorts | undefined

  constructor(record: SandboxRecord, sandbox: Sandbox | undefined) {
    this.record = record
    this.sandbox = sandbox
  }

  /** What the container's record keeps. */
  state(): SandboxState {
    const { record } = this
    const { request } = record
    return {
      sandboxId: record.sandboxId,
      sandboxKey: record.sandboxKey,
      etcFiles: etcPaths(request.directory),
      endpoints: Object.fromEntries(
        record.endpoints.map((endpoint) => [endpoint.networkName, endpointSettings(endpoint)]),
      ),
      ports: record.kind === 'own' ? portMap(record.ports, request.exposedPorts) : {},
    }
  }

  /** Lets go of sockets and descriptors; the namespace goes on. */
  [Symbol.dispose](): void {
    this.ports?.[Symbol.dispose]()
    this.ports = undefined
    this.sandbox?.[Symbol.dispose]()
  }
}
