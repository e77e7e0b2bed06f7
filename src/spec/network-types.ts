/** Answers and requests of the network part of the Engine API. */
import { z } from 'zod'
import { goBool, goList, goMap, goPointer, goString, goStruct } from './go-json.ts'

/** One subnet of a network. */
export const IpamPool = goStruct({
  Subnet: goString(),
  IPRange: goString(),
  Gateway: goString(),
  AuxiliaryAddresses: goMap(z.string()),
})
/** See the schema of the same name. */
export type IpamPool = z.infer<typeof IpamPool>

/** Address management of a network. */
const Ipam = goStruct({ Driver: goString(), Options: goMap(z.string()), Config: goList(IpamPool) })
/** See the schema of the same name. */
export type Ipam = z.infer<typeof Ipam>

/** Body of `POST /networks/create`. */
export const NetworkCreate = goStruct({
  Name: goString(),
  CheckDuplicate: goBool(),
  Driver: goString(),
  Scope: goString(),
  Internal: goBool(),
  Attachable: goBool(),
  Ingress: goBool(),
  ConfigOnly: goBool(),
  ConfigFrom: goPointer(goStruct({ Network: goString() })),
  IPAM: goPointer(Ipam),
  EnableIPv4: goPointer(z.boolean()),
  EnableIPv6: goPointer(z.boolean()),
  Options: goMap(z.string()),
  Labels: goMap(z.string()),
})
/** See the schema of the same name. */
export type NetworkCreate = z.infer<typeof NetworkCreate>

/** An endpoint in a network's `Containers` map. */
export type NetworkContainer = {
  Name: string
  EndpointID: string
  MacAddress: string
  IPv4Address: string
  IPv6Address: string
}

/** Answer of `GET /networks/{id}`. */
export type NetworkInspect = {
  Name: string
  Id: string
  Created: string
  Scope: string
  Driver: string
  EnableIPv4: boolean
  EnableIPv6: boolean
  IPAM: { Driver: string; Options: Record<string, string> | null; Config: Record<string, unknown>[] | null }
  Internal: boolean
  Attachable: boolean
  Ingress: boolean
  ConfigFrom: { Network: string }
  ConfigOnly: boolean
  Containers: Record<string, NetworkContainer>
  Options: Record<string, string>
  Labels: Record<string, string>
  /** How full its subnets are, by subnet; in the answer for one network alone, since 1.52. */
  Status?: { IPAM: { Subnets: Record<string, SubnetStatus> } }
}

/** Both saturate at 2^64 - 1. */
type SubnetStatus = { IPsInUse: bigint; DynamicIPsAvailable: bigint }

/** Answer of `GET /wharf/networks/exposure`: what is reachable from where. */
export type NetworkExposure = {
  /** Ways in from outside a container's networks, the widest first. */
  Reachable: ExposedService[]
  Networks: ExposedNetwork[]
}

/** Who reaches a service: anybody who reaches the host, those with a route, the parent's network, the host alone. */
export type ExposureScope = 'anywhere' | 'address' | 'routed' | 'parent' | 'host'

/** One way in. `HostPort` and `ContainerPort` are 0 for all that the container listens on. */
export type ExposedService = {
  Container: string
  ContainerName: string
  Network: string
  Protocol: string
  /** Where it is reached: an address of the host, or the container's own. */
  Address: string
  Port: number
  ContainerPort: number
  From: ExposureScope
}

/** A network, who is on it and what they reach. */
export type ExposedNetwork = {
  Name: string
  Driver: string
  Internal: boolean
  /** Whether its containers reach what is outside. */
  ReachesOutside: boolean
  /** Whether its containers reach each other. */
  SeeEachOther: boolean
  /** Names of the containers on it. */
  Containers: string[]
}
