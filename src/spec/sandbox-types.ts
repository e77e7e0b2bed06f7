/**
 * What the engine's rooms say to each other about a container's network: plain data. The words are the container
 * network model's: a sandbox is a network namespace with its files, an endpoint joins it to a network.
 */
import type { EndpointSettings, PortMap } from './container-config.ts'
import type { ContainerId, NetworkId } from './ids.ts'

/** What a container asks of its network when it starts. */
export type SandboxRequest = {
  containerId: ContainerId
  /** Container name without its slash. */
  containerName: string
  hostname: string
  domainname: string
  /** `bridge` (own namespace, with `endpoints`), `none` (own, only loopback), `host`, or another's namespace. */
  mode: 'own' | 'none' | 'host' | { container: ContainerId }
  /**
   * Where containers have user namespaces: the host's is to own the network namespace (`--userns=host`), or the one of
   * this file. A new one of the container's own else.
   */
  userNamespace?: 'host' | { path: string }
  /** Networks to join, by name or id, in order of creation. */
  endpoints: { network: string; settings: EndpointSettings }[]
  /** Published ports as asked for, keys `80/tcp`. */
  portBindings: PortMap
  /** Exposed ports (`80/tcp`), of the image and of the container. */
  exposedPorts: string[]
  publishAllPorts: boolean
  dns: string[]
  dnsSearch: string[]
  dnsOptions: string[]
  /** `name:address`; the address may be `host-gateway`. */
  extraHosts: string[]
  /** Old links on the default bridge: resolved by the caller. */
  links: { containerId: ContainerId; containerName: string; alias: string }[]
  /** `net.*` sysctls are set by the runtime; here only for drivers that need to know. */
  sysctls: Record<string, string>
  /** Where the sandbox's hosts, hostname and resolv.conf files are written. */
  directory: string
}

/** What it got. Kept in the container's record; enough to adopt the sandbox after a daemon restart. */
export type SandboxState = {
  sandboxId: string
  /** Path of the network namespace; empty for host mode. */
  sandboxKey: string
  etcFiles: { hosts?: string; hostname?: string; resolvConf?: string }
  /** By network name: the operational endpoint settings. */
  endpoints: Record<string, EndpointSettings>
  /** Effective port map: every published port with the host address it got. */
  ports: PortMap
}

/** A network as containers need it. */
export type NetworkReference = { id: NetworkId; name: string; driver: string }

/** Bytes and packets of one interface of a sandbox, for stats. */
export type InterfaceCounters = {
  name: string
  rxBytes: number
  rxPackets: number
  rxErrors: number
  rxDropped: number
  txBytes: number
  txPackets: number
  txErrors: number
  txDropped: number
}
