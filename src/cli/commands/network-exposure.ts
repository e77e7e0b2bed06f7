/** `network exposure`: what is reachable from where. Docker has no such command. */
import { flag } from '../../lib/flags.ts'
import type { ExposedNetwork, ExposedService, NetworkExposure } from '../../spec/network-types.ts'
import { defineCommand } from '../command.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'

const scopes: Record<ExposedService['From'], string> = {
  anywhere: 'anywhere',
  address: 'hosts that reach this address',
  routed: 'hosts with a route to it',
  parent: 'the network of its parent link',
  host: 'this host',
}

const services: ListFormat<ExposedService> = {
  type: 'network.exposedService',
  fields: {
    From: { header: 'REACHED FROM', value: (row) => scopes[row.From] },
    At: { header: 'AT', value: (row) => place(row) },
    Container: { header: 'CONTAINER', value: (row) => row.ContainerName },
    Port: { header: 'PORT', value: (row) => (row.ContainerPort === 0 ? 'all' : String(row.ContainerPort)) },
    Protocol: { header: 'PROTOCOL', value: (row) => (row.Protocol === '' ? 'all' : row.Protocol) },
  },
  table: '{{.From}}\t{{.At}}\t{{.Container}}\t{{.Port}}\t{{.Protocol}}',
  raw: 'from: {{.From}}\nat: {{.At}}\ncontainer: {{.Container}}\nport: {{.Port}}\n',
}

const yes = (value: boolean) => (value ? 'yes' : 'no')

const networks: ListFormat<ExposedNetwork> = {
  type: 'network.exposedNetwork',
  fields: {
    Name: { header: 'NETWORK', value: (row) => row.Name },
    Driver: { header: 'DRIVER', value: (row) => row.Driver },
    Outside: { header: 'REACHES OUTSIDE', value: (row) => yes(row.ReachesOutside) },
    Each: { header: 'SEE EACH OTHER', value: (row) => yes(row.SeeEachOther) },
    Containers: { header: 'CONTAINERS', value: (row) => row.Containers.join(', ') },
  },
  table: '{{.Name}}\t{{.Driver}}\t{{.Outside}}\t{{.Each}}\t{{.Containers}}',
  raw: 'network: {{.Name}}\ndriver: {{.Driver}}\ncontainers: {{.Containers}}\n',
}

function place({ Address: address, Port: port }: ExposedService): string {
  if (port === 0) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** See the file's description. */
export const command = defineCommand({
  flags: { format: flag.string("'json' for all that is known, else two tables") },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const exposure = await cli.client.json<NetworkExposure>('GET', '/wharf/networks/exposure')
    if (flags.format === 'json') {
      cli.stdout.write(`${JSON.stringify(exposure)}\n`)
      return
    }
    cli.stdout.write(formatList(services, '', exposure.Reachable))
    cli.stdout.write('\n')
    cli.stdout.write(formatList(networks, '', exposure.Networks))
  },
})
