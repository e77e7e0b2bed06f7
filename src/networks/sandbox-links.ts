/** Which of a container's networks leads outside, and the routes that follow from it. */
import { deleteRoute, replaceRoute } from '../kernel/rtnetlink.ts'
import type { NetworkDriver } from './driver.ts'
import type { EndpointRecord } from './endpoint.ts'
import { ipBytes, parseIp } from './ip-address.ts'
import type { NetworkRecord } from './network-record.ts'
import type { Sandbox } from './sandbox.ts'

/** Finds what an endpoint stands on. */
export type EndpointContext = {
  network(id: string): NetworkRecord
  driver(name: string): NetworkDriver
}

/**
 * The endpoint that a family's default route goes over: highest gateway priority, then first by network name.
 * Internal networks lead nowhere.
 */
export function gatewayEndpoint(
  endpoints: EndpointRecord[],
  family: 4 | 6,
  context: EndpointContext,
): EndpointRecord | undefined {
  return endpoints
    .filter((endpoint) => {
      const gateway = family === 4 ? endpoint.gateway4 : endpoint.gateway6
      const address = family === 4 ? endpoint.address4 : endpoint.address6
      const network = context.network(endpoint.networkId)
      const leadsOn = gateway !== '' || context.driver(endpoint.driver).routesByLink(network)
      return leadsOn && address !== '' && !network.internal
    })
    .toSorted(
      (a, b) => b.settings.GwPriority - a.settings.GwPriority || (a.networkName < b.networkName ? -1 : 1),
    )[0]
}

/** The endpoint whose addresses published ports lead to. */
export function publishingEndpoint(
  endpoints: EndpointRecord[],
  context: EndpointContext,
): EndpointRecord | undefined {
  const candidates = endpoints.filter((endpoint) => context.driver(endpoint.driver).publishes)
  return gatewayEndpoint(candidates, 4, context) ?? gatewayEndpoint(candidates, 6, context)
}

/** Sets the default routes of a sandbox. */
export function setDefaultRoutes(
  sandbox: Sandbox,
  endpoints: EndpointRecord[],
  context: EndpointContext,
): void {
  for (const family of [4, 6] as const) {
    const endpoint = gatewayEndpoint(endpoints, family, context)
    if (endpoint?.link !== undefined) {
      const byLink = context.driver(endpoint.driver).routesByLink(context.network(endpoint.networkId))
      const gateway = byLink ? undefined : parseIp(family === 4 ? endpoint.gateway4 : endpoint.gateway6)
      const { index } = endpoint.link
      const route = gateway === undefined ? { index, family } : { index, gateway: ipBytes(gateway) }
      sandbox.request([replaceRoute(route)], 'default route')
    } else if (endpoints.length > 0) {
      // Networks that lead nowhere are left: so must the routes. ENOENT: the family never had one.
      sandbox.request([deleteRoute({ index: 0, family })], 'default route', ['ESRCH', 'ENODEV', 'ENOENT'])
    }
  }
}
