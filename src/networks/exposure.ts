/** What is reachable from where: published ports, containers with addresses of their own outside, and the networks. */
import type { ExposedNetwork, ExposedService, ExposureScope, NetworkExposure } from '../spec/network-types.ts'
import { gatewayMode } from './bridge-driver.ts'
import type { EndpointRecord } from './endpoint.ts'
import { isUnspecified, parseIp } from './ip-address.ts'
import { booleanOption, bridgeOptions, type NetworkRecord } from './network-record.ts'
import type { PortRecord } from './published-ports.ts'
import type { SandboxRecord } from './sandbox-record.ts'

const scopes: readonly ExposureScope[] = ['anywhere', 'address', 'routed', 'parent', 'host']

/** The state of all networks and sandboxes, for people who ask who gets in. */
export function exposureOf(
  networks: readonly NetworkRecord[],
  sandboxes: readonly SandboxRecord[],
  settings: { interContainer: boolean },
): NetworkExposure {
  const byId = new Map<string, NetworkRecord>(networks.map((network) => [network.id, network]))
  const reachable = sandboxes.flatMap((sandbox) => [
    ...sandbox.ports.flatMap((port) => published(sandbox, port, byId)),
    ...open(sandbox, byId),
  ])
  return {
    Reachable: reachable.toSorted(
      (a, b) =>
        scopes.indexOf(a.From) - scopes.indexOf(b.From) ||
        a.ContainerName.localeCompare(b.ContainerName) ||
        a.Port - b.Port,
    ),
    Networks: networks
      .filter((network) => !network.configOnly && network.driver !== 'null' && network.driver !== 'host')
      .map((network) => describe(network, sandboxes, settings.interContainer)),
  }
}

function base(sandbox: SandboxRecord, network: string): Omit<ExposedService, 'Address' | 'From'> {
  const { containerId, containerName } = sandbox.request
  return {
    Container: containerId,
    ContainerName: containerName,
    Network: network,
    Protocol: '',
    Port: 0,
    ContainerPort: 0,
  }
}

function published(
  sandbox: SandboxRecord,
  port: PortRecord,
  networks: ReadonlyMap<string, NetworkRecord>,
): ExposedService[] {
  const service = { Protocol: port.protocol, ContainerPort: port.containerPort }
  const host = parseIp(port.hostAddress)
  if (host !== undefined) {
    const scope = isUnspecified(host) ? 'anywhere' : isLoopback(port.hostAddress) ? 'host' : 'address'
    const ways = { Address: port.hostAddress, Port: port.hostPort, From: scope } as const
    return [{ ...base(sandbox, ''), ...service, ...ways }]
  }
  return sandbox.endpoints
    .filter((endpoint) => modeOf(endpoint, networks) === 'routed')
    .flatMap((endpoint) =>
      addresses(endpoint).map((address) => ({
        ...base(sandbox, endpoint.networkName),
        ...service,
        Address: address,
        Port: port.containerPort,
        From: 'routed' as const,
      })),
    )
}

/** Containers of which every port is open to somebody who is not on a network of theirs. */
function open(sandbox: SandboxRecord, networks: ReadonlyMap<string, NetworkRecord>): ExposedService[] {
  if (sandbox.kind === 'host') return [{ ...base(sandbox, 'host'), Address: '*', From: 'anywhere' }]
  return sandbox.endpoints.flatMap((endpoint) => {
    const network = networks.get(endpoint.networkId)
    const isOnParent = endpoint.driver === 'macvlan' || endpoint.driver === 'ipvlan'
    const hasParent = isOnParent && (network?.options['parent'] ?? '') !== ''
    const from = hasParent
      ? 'parent'
      : modeOf(endpoint, networks) === 'nat-unprotected'
        ? 'routed'
        : undefined
    if (from === undefined) return []
    return addresses(endpoint).map((address) => ({
      ...base(sandbox, endpoint.networkName),
      Address: address,
      From: from,
    }))
  })
}

function modeOf(endpoint: EndpointRecord, networks: ReadonlyMap<string, NetworkRecord>): string {
  const network = networks.get(endpoint.networkId)
  return endpoint.driver === 'bridge' && network !== undefined ? gatewayMode(network, 4) : ''
}

function addresses(endpoint: EndpointRecord): string[] {
  return [endpoint.address4, endpoint.address6].filter((address) => address !== '')
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

function describe(
  network: NetworkRecord,
  sandboxes: readonly SandboxRecord[],
  interContainer: boolean,
): ExposedNetwork {
  const { macvlan_mode: macvlanMode = 'bridge' } = network.options
  const isBridge = network.driver === 'bridge'
  return {
    Name: network.name,
    Driver: network.driver,
    Internal: network.internal,
    ReachesOutside: !network.internal && (isBridge || (network.options['parent'] ?? '') !== ''),
    SeeEachOther: isBridge
      ? booleanOption(network.options, bridgeOptions.icc, interContainer)
      : ['', 'bridge'].includes(macvlanMode),
    Containers: sandboxes
      .filter((sandbox) => sandbox.endpoints.some((endpoint) => endpoint.networkId === network.id))
      .map((sandbox) => sandbox.request.containerName)
      .toSorted(),
  }
}
