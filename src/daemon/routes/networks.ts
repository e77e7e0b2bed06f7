/** Networks. */
import type { ContainerEngine } from '../../containers/contract.ts'
import { EndpointSettings } from '../../spec/container-config.ts'
import { goBool, goPointer, goString, goStruct } from '../../spec/go-json.ts'
import { NetworkCreate, type NetworkExposure, type NetworkInspect } from '../../spec/network-types.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'

type Filters = ReadonlyMap<string, readonly string[]>

/** What the network routes need. Implemented by networks/. */
export interface NetworkOperations {
  list(filters: Filters): Promise<NetworkInspect[]>
  inspect(reference: string): Promise<NetworkInspect>
  create(request: NetworkCreate): Promise<{ Id: string; Warning: string }>
  remove(reference: string): Promise<void>
  prune(filters: Filters): Promise<{ NetworksDeleted: string[] }>
  exposure(): Promise<NetworkExposure>
}

const connectRequest = goStruct({ Container: goString(), EndpointConfig: goPointer(EndpointSettings) })
const disconnectRequest = goStruct({ Container: goString(), Force: goBool() })

/** Routes of the API's "Network" area. */
export function networkRoutes(networks: NetworkOperations, engine: ContainerEngine): Route[] {
  return [
    { method: 'GET', path: '/networks', handle: (x) => list(networks, x) },
    { method: 'POST', path: '/networks/create', handle: (x) => create(networks, x) },
    {
      method: 'POST',
      path: '/networks/prune',
      handle: async (x) => {
        const { NetworksDeleted: deleted } = await networks.prune(x.filters())
        x.sendJson(200, { NetworksDeleted: deleted.length === 0 ? null : deleted })
      },
    },
    {
      method: 'GET',
      path: '/networks/{id}',
      handle: async (x) => {
        x.sendJson(200, adaptNetwork(await networks.inspect(x.name), x.version))
      },
    },
    {
      method: 'DELETE',
      path: '/networks/{id}',
      handle: async (x) => {
        await networks.remove(x.name)
        x.sendStatus(204)
      },
    },
    {
      method: 'GET',
      path: '/wharf/networks/exposure',
      handle: async (x) => {
        x.sendJson(200, await networks.exposure())
      },
    },
    { method: 'POST', path: '/networks/{id}/connect', handle: (x) => connect(engine, x) },
    { method: 'POST', path: '/networks/{id}/disconnect', handle: (x) => disconnect(engine, x) },
  ]
}

async function list(networks: NetworkOperations, x: Exchange): Promise<void> {
  const found = await networks.list(x.filters())
  // Since 1.28 a list does not tell who is connected.
  x.sendJson(
    200,
    found.map((network) =>
      x.version < 28
        ? adaptNetwork(network, x.version)
        : { ...adaptNetwork(network, x.version), Containers: {} },
    ),
  )
}

function adaptNetwork(network: NetworkInspect, version: number): object {
  if (version >= 52) return network
  const { Status: _status, ...known } = network
  if (version >= 48) return known
  const { EnableIPv4: _ipv4, ...rest } = known
  return rest
}

async function create(networks: NetworkOperations, x: Exchange): Promise<void> {
  const request = await x.json(NetworkCreate, 'CreateRequest')
  if (x.version < 48) request.EnableIPv4 = null
  x.sendJson(201, await networks.create(request))
}

async function connect(engine: ContainerEngine, x: Exchange): Promise<void> {
  const request = await x.json(connectRequest, 'ConnectRequest')
  const settings = request.EndpointConfig ?? EndpointSettings.parse({})
  if (x.version < 48) settings.GwPriority = 0
  await engine.connectNetwork(request.Container, x.name, settings)
  x.sendStatus(200)
}

async function disconnect(engine: ContainerEngine, x: Exchange): Promise<void> {
  const request = await x.json(disconnectRequest, 'DisconnectRequest')
  await engine.disconnectNetwork(request.Container, x.name, request.Force)
  x.sendStatus(200)
}
