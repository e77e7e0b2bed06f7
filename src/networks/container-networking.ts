/**
 * The networks of containers: makes a sandbox when a container starts, changes it while it runs, and lets go of it
 * at the end. Every step in the kernel is one synchronous call of well under a millisecond, so no operation ever
 * sees another's half. What is needed to take a sandbox over lies beside it under the run directory.
 */
import { EngineError, errorCode } from '../spec/errors.ts'
import type { ContainerId } from '../spec/ids.ts'
import { EndpointSettings } from '../spec/container-config.ts'
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
import { LiveSandbox } from './live-sandbox.ts'
import type { NetworkCore } from './network-core.ts'
import type { OpenNetwork } from './network-table.ts'
import { OutsideEndpoints, type PreparedEndpoints } from './outside-endpoints.ts'
import { portWishes, PublishedPorts, wishesOf } from './published-ports.ts'
import { Sandbox } from './sandbox.ts'
import { endpointLines, updateHosts, updateResolvConf, writeEtcFiles } from './sandbox-etc.ts'
import { flushPorts, SandboxJoiner } from './sandbox-joiner.ts'
import { checkMayConnect, readCounters } from './sandbox-readings.ts'
import { newRecord, type SandboxRecord } from './sandbox-record.ts'
import { OldLinks } from './old-links.ts'

/** See the file's head. */
export class SandboxNetworking {
  readonly #core: NetworkCore
  readonly #joiner: SandboxJoiner
  readonly #outside: OutsideEndpoints
  readonly #oldLinks: OldLinks

  constructor(core: NetworkCore) {
    this.#core = core
    this.#joiner = new SandboxJoiner(core)
    this.#outside = new OutsideEndpoints(core)
    this.#oldLinks = new OldLinks(core)
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
    await this.#end(request.containerId, this.#forget(request.containerId))
    const sandbox = await this.#sandboxFor(request)
    await using prepared = await this.#prepare(request, sandbox)
    const live = this.#open(request, sandbox, prepared)
    prepared.keep()
    this.#core.live.set(request.containerId, live)
    await this.#settleOr(live, async () => this.remove(request.containerId, live.state()))
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
    await this.#end(id, this.#forget(id))
    if (live === undefined && state.sandboxKey !== '') await this.#forgetUnknown(id, state)
    for (const endpoint of endpoints) this.#core.announce('disconnect', id, endpoint)
  }

  /** Lets go of what is known of a container that is no more. */
  async forget(id: ContainerId): Promise<void> {
    const { records } = this.#core.parts
    await this.#outside.forget(records.load(id), undefined)
    records.remove(id)
  }

  /** Joins one more network. */
  async connect(id: ContainerId, network: string, settings: EndpointSettings): Promise<EndpointSettings> {
    const live = this.#core.need(id)
    const found = this.#core.parts.table.find(network)
    const { record } = found
    checkMayConnect(live.record, record.name, 'connected')
    validateEndpoint(record, settings)
    refuseTwice(live.record, record.name)
    const { request, sandboxKey } = live.record
    await using prepared = await this.#outside.prepare(request, sandboxKey, [{ network, settings }])
    // It may have ended meanwhile.
    if (this.#core.need(id) !== live) throw new EngineError('conflict', `Container ${id} is not running`)
    refuseTwice(live.record, record.name)
    const endpoint = this.#join(live, found, { settings, prepared })
    await this.#settleOr(live, async () => this.disconnect(id, network))
    this.#core.announce('connect', id, endpoint)
    return endpointSettings(endpoint)
  }

  #join(
    live: LiveSandbox,
    found: OpenNetwork,
    { settings, prepared }: { settings: EndpointSettings; prepared: PreparedEndpoints },
  ): EndpointRecord {
    using undo = new DisposableStack()
    const before = this.#joiner.rules(live)
    const endpoint = this.#joiner.join(live, found, settings, { undo, prepared })
    this.#joiner.route(live)
    updateHosts(live.record.request, [], endpointLines(live.record.request, endpoint))
    updateResolvConf(live.record, this.#core.etcContext())
    this.#joiner.serveNames(live)
    this.#joiner.retarget(live, before)
    this.#core.parts.records.save(live.record)
    undo.move()
    prepared.keep()
    return endpoint
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
    await this.#outside.release([endpoint])
    if (this.#outside.concerns(live)) await this.#settle(live)
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
  async #sandboxFor({ mode, endpoints, userNamespace }: SandboxRequest): Promise<Sandbox | undefined> {
    if (typeof mode === 'object' || mode === 'host') return undefined
    const { store } = this.#core.parts
    const usesSpare =
      mode === 'own' && endpoints.some(({ network }) => this.resolve(network).driver === 'bridge')
    return usesSpare ? store.take(userNamespace) : store.takeBare(userNamespace)
  }

  /** Has made what is somebody else's of the endpoints. The sandbox does not outlive a failure. */
  async #prepare(request: SandboxRequest, sandbox: Sandbox | undefined): Promise<PreparedEndpoints> {
    try {
      return await this.#outside.prepare(
        request,
        sandbox?.path ?? '',
        sandbox === undefined ? [] : request.endpoints,
      )
    } catch (error) {
      sandbox?.remove()
      throw error
    }
  }

  /** Tells drivers which of them leads outside. Only done where there is somebody to tell. */
  async #settle(live: LiveSandbox): Promise<void> {
    await this.#outside.settle(live)
    if (this.#core.live.get(live.record.request.containerId) === live)
      this.#core.parts.records.save(live.record)
  }

  async #settleOr(live: LiveSandbox, undo: () => Promise<void>): Promise<void> {
    if (!this.#outside.concerns(live)) return
    try {
      await this.#settle(live)
    } catch (error) {
      await undo()
      throw error
    }
  }

  #open(request: SandboxRequest, sandbox: Sandbox | undefined, prepared: PreparedEndpoints): LiveSandbox {
    const { mode } = request
    if (typeof mode === 'object') return this.#share(request, mode.container)
    const { records } = this.#core.parts
    using undo = new DisposableStack()
    if (sandbox !== undefined) undo.defer(() => sandbox.remove())
    const record = newRecord(request, sandbox)
    record.linkLines = this.#oldLinks.lines(request)
    const live = new LiveSandbox(record, sandbox)
    if (sandbox !== undefined) undo.defer(() => this.#core.keeper.close(sandbox.id))
    const wishes = portWishes(request.portBindings, request.exposedPorts, request.publishAllPorts)
    for (const { network, settings } of this.#endpointsOf(request)) {
      const found = this.#core.parts.table.find(network)
      validateEndpoint(found.record, settings)
      this.#joiner.join(live, found, settings, { undo, prepared })
    }
    this.#joiner.route(live)
    writeEtcFiles(record, this.#core.etcContext())
    this.#joiner.serveNames(live)
    if (mode === 'own') this.#joiner.publish(live, wishes, undo)
    undo.defer(() => records.remove(request.containerId))
    records.save(record)
    undo.move()
    this.#oldLinks.update(live)
    return live
  }

  /** Host and none stand for a network each, even where the request does not say so. */
  #endpointsOf(request: SandboxRequest): SandboxRequest['endpoints'] {
    const name = request.mode === 'host' ? 'host' : request.mode === 'none' ? 'none' : undefined
    if (name === undefined || request.endpoints.length > 0) return request.endpoints
    return [{ network: name, settings: EndpointSettings.parse({}) }]
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

  /** Lets go of a sandbox of this daemon; answers what is left to end: its namespace's file, and endpoints elsewhere. */
  #forget(id: ContainerId): Leftover | undefined {
    const live = this.#core.live.get(id)
    if (live === undefined) return undefined
    const { firewall, records, table } = this.#core.parts
    this.#core.live.delete(id)
    const rules = this.#joiner.rules(live)
    firewall.unpublish(rules)
    for (const endpoint of live.record.endpoints) {
      this.#core.keeper.remove(endpoint.networkId, endpoint.id)
      this.#tryStep('link', id, () => this.#outside.giveLinkBack(live.sandbox, endpoint))
      if (!this.#outside.isOthers(endpoint)) releaseEndpoint(table.get(endpoint.networkId), endpoint)
    }
    if (live.sandbox !== undefined) this.#core.keeper.close(live.sandbox.id)
    live[Symbol.dispose]()
    flushPorts(rules)
    const endpoints = live.record.endpoints.filter((endpoint) => this.#outside.isOthers(endpoint))
    // What others are still to be told is known until they are.
    if (endpoints.length === 0) records.remove(id)
    return {
      path: live.sandbox?.path,
      endpoints,
      holds: endpoints.map((one) => this.#core.hold(one.networkId)),
    }
  }

  /** Ends what `#forget` left. */
  async #end(id: ContainerId, left: Leftover | undefined): Promise<void> {
    if (left === undefined) return
    await this.#endNamespace(left.path)
    if (left.endpoints.length === 0) return
    try {
      await this.#outside.release(left.endpoints)
    } finally {
      for (const hold of left.holds) hold[Symbol.dispose]()
    }
    if (!this.#core.live.has(id)) this.#core.parts.records.remove(id)
  }

  /** Elsewhere where that can be: the kernel makes whoever unmounts one wait. */
  async #endNamespace(path: string | undefined): Promise<void> {
    if (path === undefined) return
    if ((await this.#core.parts.sweep?.([{ kind: 'mount', path }])) !== true) removeNamespace(path)
  }

  /** Lets go of a sandbox that was never taken over. */
  async #forgetUnknown(id: ContainerId, state: SandboxState): Promise<void> {
    const { records } = this.#core.parts
    const record = records.load(id)
    if (record !== undefined && record.kind !== 'own') return records.remove(id)
    if (record !== undefined) {
      this.#tryStep('ports', id, () =>
        this.#core.parts.firewall.unpublish(this.#joiner.rules(new LiveSandbox(record, undefined))),
      )
    }
    await this.#outside.forget(record, state)
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
      relays: settings.relays,
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
}

type Leftover = { path: string | undefined; endpoints: EndpointRecord[]; holds: Disposable[] }

/** Throws forbidden when the container is on the network already. */
function refuseTwice({ endpoints, request }: SandboxRecord, network: string): void {
  if (!endpoints.some((endpoint) => endpoint.networkName === network)) return
  throw new EngineError(
    'forbidden',
    `endpoint with name ${request.containerName} already exists in network ${network}`,
  )
}
