/**
 * The networks of containers: makes a sandbox when a container starts, changes it while it runs, and lets go of it
 * at the end. Every step in the kernel is one synchronous call of well under a millisecond, so no operation ever
 * sees another's half. What is needed to take a sandbox over lies beside it under the run directory.
 */
import { randomBytes } from 'node:crypto'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { ContainerId } from '../spec/ids.ts'
import type { EndpointSettings } from '../spec/container-config.ts'
import type {
  InterfaceCounters,
  NetworkReference,
  SandboxRequest,
  SandboxState,
} from '../spec/sandbox-types.ts'
import { removeNamespace } from '../kernel/netns.ts'
import {
  endpointSettings,
  reclaimEndpoint,
  releaseEndpoint,
  validateEndpoint,
  type EndpointRecord,
} from './endpoint.ts'
import type { HostsLine } from './etc-files.ts'
import { LiveSandbox } from './live-sandbox.ts'
import type { NetworkCore } from './network-core.ts'

import { portWishes, PublishedPorts, wishesOf } from './published-ports.ts'
import { Sandbox } from './sandbox.ts'
import { endpointLines, updateHosts, updateResolvConf, writeEtcFiles } from './sandbox-etc.ts'
import { flushPorts, SandboxJoiner } from './sandbox-joiner.ts'
import { checkMayConnect, readCounters } from './sandbox-readings.ts'
import type { SandboxRecord } from './sandbox-record.ts'

/** See the file's head. */
export class SandboxNetworking {
  readonly #core: NetworkCore
  readonly #joiner: SandboxJoiner

  constructor(core: NetworkCore) {
    this.#core = core
    this.#joiner = new SandboxJoiner(core)
  }

  /** By name, id or id prefix. */
  resolve(network: string): NetworkReference {
    const { id, name, driver } = this.#core.parts.table.find(network).record
    return { id, name, driver }
  }

  /** Checks what can be checked before anything is taken. */
  validate(request: SandboxRequest): void {
    portWishes(request.portBindings, request.exposedPorts, request.publishAllPorts)
    for (const { network, settings } of request.endpoints) {
      const { record } = this.#core.parts.table.find(network)
      if (record.configOnly) {
        throw new EngineError('forbidden', 'cannot create endpoint on configuration-only network')
      }
      validateEndpoint(record, settings)
    }
  }

  /** Makes the sandbox of a container that starts. Leaves nothing on failure. */
  async create(request: SandboxRequest, signal: AbortSignal): Promise<SandboxState> {
    signal.throwIfAborted()
    await this.#end(this.#forget(request.containerId))
    const live = this.#open(request, await this.#sandboxFor(request))
    this.#core.live.set(request.containerId, live)
    for (const endpoint of live.record.endpoints) {
      this.#core.announce('connect', request.containerId, endpoint)
    }
    return live.state()
  }

  /** Takes over the sandbox of a container that ran on. */
  async adopt(id: ContainerId, state: SandboxState): Promise<void> {
    if (this.#core.live.has(id)) return
    const record = this.#core.parts.records.load(id)
    if (record === undefined) {
      throw new EngineError('internal', `nothing is known of the network of container ${id}`)
    }
    const sandbox = record.kind === 'own' ? Sandbox.open(record.sandboxId, state.sandboxKey) : undefined
    const live = new LiveSandbox(record, sandbox)
    record.endpoints = record.endpoints.filter((endpoint) => this.#reclaim(endpoint))
    this.#core.live.set(id, live)
    this.#joiner.registerAll(live)
    this.#tryStep('resolver', id, () => this.#joiner.serveNames(live))
    this.#tryStep('ports', id, () => this.#holdAgain(live))
  }

  /** Lets go of everything. */
  async remove(id: ContainerId, state: SandboxState): Promise<void> {
    const live = this.#core.live.get(id)
    const endpoints = [...(live?.record.endpoints ?? [])]
    await this.#end(this.#forget(id))
    if (live === undefined && state.sandboxKey !== '') this.#forgetUnknown(id, state)
    for (const endpoint of endpoints) this.#core.announce('disconnect', id, endpoint)
  }

  /** Joins one more network. */
  async connect(id: ContainerId, network: string, settings: EndpointSettings): Promise<EndpointSettings> {
    const live = this.#core.need(id)
    const found = this.#core.parts.table.find(network)
    const { record } = found
    checkMayConnect(live.record, record.name, 'connected')
    validateEndpoint(record, settings)
    if (live.record.endpoints.some((endpoint) => endpoint.networkId === record.id)) {
      throw new EngineError(
        'forbidden',
        `endpoint with name ${live.record.request.containerName} already exists in network ${record.name}`,
      )
    }
    using undo = new DisposableStack()
    const before = this.#joiner.rules(live)
    const endpoint = this.#joiner.join(live, found, settings, undo)
    this.#joiner.route(live)
    updateHosts(live.record.request, [], endpointLines(live.record.request, endpoint))
    updateResolvConf(live.record, this.#core.etcContext())
    this.#joiner.serveNames(live)
    this.#joiner.retarget(live, before)
    this.#core.parts.records.save(live.record)
    undo.move()
    this.#core.announce('connect', id, endpoint)
    return endpointSettings(endpoint)
  }

  /** Leaves a network while running. */
  async disconnect(id: ContainerId, network: string): Promise<void> {
    const live = this.#core.need(id)
    const { record } = this.#core.parts.table.find(network)
    if (live.record.kind === 'host' && record.driver === 'host') {
      checkMayConnect(live.record, record.name, 'disconnected')
    }
    const endpoint = live.record.endpoints.find((one) => one.networkId === record.id)
    if (endpoint === undefined) {
      throw new EngineError('internal', `container ${id} is not connected to network ${record.name}`)
    }
    const before = this.#joiner.rules(live)
    this.#joiner.leave(live, endpoint)
    this.#joiner.route(live)
    updateHosts(live.record.request, endpointLines(live.record.request, endpoint), [])
    updateResolvConf(live.record, this.#core.etcContext())
    this.#joiner.serveNames(live)
    this.#joiner.retarget(live, before)
    this.#core.parts.records.save(live.record)
    this.#core.announce('disconnect', id, endpoint)
  }

  /** The container is called something else. */
  async rename(id: ContainerId, name: string): Promise<void> {
    const live = this.#core.live.get(id)
    if (live === undefined) return
    live.record.request.containerName = name
    this.#joiner.rename(live)
    this.#core.parts.records.save(live.record)
  }

  /** Counters of the interfaces in the sandbox. */
  async counters(id: ContainerId, state: SandboxState): Promise<InterfaceCounters[]> {
    if (state.sandboxKey === '') return []
    const own = this.#core.live.get(id)?.sandbox
    if (own !== undefined) return readCounters(own)
    try {
      using sandbox = Sandbox.open(state.sandboxId, state.sandboxKey)
      return readCounters(sandbox)
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EINVAL') return []
      throw error
    }
  }

  /** Containers that have a sandbox. */
  async list(): Promise<ContainerId[]> {
    return this.#core.parts.records.list()
  }

  /** A namespace for a container that has one of its own. */
  async #sandboxFor({ mode, endpoints }: SandboxRequest): Promise<Sandbox | undefined> {
    if (typeof mode === 'object' || mode === 'host') return undefined
    const { store } = this.#core.parts
    const usesSpare =
      mode === 'own' && endpoints.some(({ network }) => this.resolve(network).driver === 'bridge')
    return usesSpare ? store.take() : store.takeBare()
  }

  #open(request: SandboxRequest, sandbox: Sandbox | undefined): LiveSandbox {
    const { mode } = request
    if (typeof mode === 'object') return this.#share(request, mode.container)
    const { records } = this.#core.parts
    using undo = new DisposableStack()
    if (sandbox !== undefined) undo.defer(() => sandbox.remove())
    const record = newRecord(request, sandbox)
    record.linkLines = this.#linkLines(request)
    const live = new LiveSandbox(record, sandbox)
    if (sandbox !== undefined) undo.defer(() => this.#core.keeper.close(sandbox.id))
    const wishes = portWishes(request.portBindings, request.exposedPorts, request.publishAllPorts)
    for (const { network, settings } of this.#endpointsOf(request)) {
      const found = this.#core.parts.table.find(network)
      validateEndpoint(found.record, settings)
      this.#joiner.join(live, found, settings, undo)
    }
    this.#joiner.route(live)
    writeEtcFiles(record, this.#core.etcContext())
    this.#joiner.serveNames(live)
    if (mode === 'own') this.#joiner.publish(live, wishes, undo)
    undo.defer(() => records.remove(request.containerId))
    records.save(record)
    undo.move()
    this.#updateLinksTo(live)
    return live
  }

  /** Host and none stand for a network each, even where the request does not say so. */
  #endpointsOf(request: SandboxRequest): SandboxRequest['endpoints'] {
    const name = request.mode === 'host' ? 'host' : request.mode === 'none' ? 'none' : undefined
    if (name === undefined || request.endpoints.length > 0) return request.endpoints
    return [{ network: name, settings: emptySettings }]
  }

  #share(request: SandboxRequest, other: ContainerId): LiveSandbox {
    const owner = this.#core.live.get(other)
    if (owner === undefined) {
      throw new EngineError('conflict', `cannot join network of a non running container: ${other}`)
    }
    const record = newRecord(request, undefined)
    record.kind = 'shared'
    record.sandboxId = owner.record.sandboxId
    record.sandboxKey = owner.record.sandboxKey
    // The files are the other's, too.
    record.request = { ...request, directory: owner.record.request.directory }
    this.#core.parts.records.save(record)
    return new LiveSandbox(record, undefined)
  }

  /** Lets go of a sandbox of this daemon; answers its namespace's file. */
  #forget(id: ContainerId): string | undefined {
    const live = this.#core.live.get(id)
    if (live === undefined) return undefined
    const { firewall, records, table } = this.#core.parts
    this.#core.live.delete(id)
    const rules = this.#joiner.rules(live)
    firewall.unpublish(rules)
    for (const endpoint of live.record.endpoints) {
      this.#core.keeper.remove(endpoint.networkId, endpoint.id)
      releaseEndpoint(table.get(endpoint.networkId), endpoint)
    }
    if (live.sandbox !== undefined) this.#core.keeper.close(live.sandbox.id)
    live[Symbol.dispose]()
    flushPorts(rules)
    records.remove(id)
    return live.sandbox?.path
  }

  /** Ends a namespace. Elsewhere where that can be: the kernel makes whoever unmounts one wait. */
  async #end(path: string | undefined): Promise<void> {
    if (path === undefined) return
    if ((await this.#core.parts.sweep?.([{ kind: 'mount', path }])) !== true) removeNamespace(path)
  }

  /** Lets go of a sandbox that was never taken over. */
  #forgetUnknown(id: ContainerId, state: SandboxState): void {
    const { records } = this.#core.parts
    const record = records.load(id)
    if (record !== undefined && record.kind !== 'own') return records.remove(id)
    if (record !== undefined) {
      this.#tryStep('ports', id, () =>
        this.#core.parts.firewall.unpublish(this.#joiner.rules(new LiveSandbox(record, undefined))),
      )
    }
    removeNamespace(state.sandboxKey)
    return records.remove(id)
  }

  #reclaim(endpoint: EndpointRecord): boolean {
    try {
      reclaimEndpoint(this.#core.parts.table.get(endpoint.networkId), endpoint)
      return true
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      this.#core.parts.log.warn('an address of a running container is somebody else’s', {
        network: endpoint.networkName,
        address: endpoint.address4,
        error: error.message,
      })
      return error.kind !== 'notFound'
    }
  }

  #holdAgain(live: LiveSandbox): void {
    const found = this.#joiner.target(live)
    if (found === undefined || live.record.ports.length === 0) return
    const { settings, reservations, firewall } = this.#core.parts
    live.ports = PublishedPorts.reserve(wishesOf(live.record.ports), found.target, {
      reservations,
      publishAddress: settings.publishAddress,
      translates: settings.firewall,
    })
    firewall.publish(this.#joiner.rules(live))
  }

  #tryStep(what: string, id: ContainerId, step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#core.parts.log.error('cannot take over a part of a sandbox', { what, container: id, error })
    }
  }

  /** Lines for the containers that the request is linked to, those that run on the default network. */
  #linkLines(request: SandboxRequest): Record<string, HostsLine> {
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
  #updateLinksTo(live: LiveSandbox): void {
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

const emptySettings: EndpointSettings = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: '',
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: '',
  EndpointID: '',
  Gateway: '',
  IPAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
}

function newRecord(request: SandboxRequest, sandbox: Sandbox | undefined): SandboxRecord {
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
