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
export const Ipam = goStruct({ Driver: goString(), Options: goMap(z.string()), Config: goList(IpamPool) })
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
}
