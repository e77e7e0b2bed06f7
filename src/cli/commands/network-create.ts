/** `network create`. */
import { flag } from '../../lib/flags.ts'
import { commaListFlag } from '../comma-list.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { pairsToMap } from '../labels.ts'
import { ipamPools } from '../network-subnets.ts'

const flags = {
  attachable: flag.bool('Let containers attach by hand'),
  'aux-address': flag.map('Addresses the network driver uses itself'),
  'config-from': flag.string('Network to take the configuration from'),
  'config-only': flag.bool('Make a configuration only'),
  driver: flag.string('Network driver', { short: 'd', initial: 'bridge' }),
  gateway: commaListFlag('Gateway of a subnet'),
  ingress: flag.bool('Make the routing mesh of a swarm'),
  internal: flag.bool('Cut the network off from outside'),
  'ip-range': commaListFlag('Give out addresses of this range only'),
  'ipam-driver': flag.string('Address management driver', { initial: 'default' }),
  'ipam-opt': flag.map('Options of the address management driver'),
  ipv4: flag.bool('Give out IPv4 addresses', { initial: true }),
  ipv6: flag.bool('Give out IPv6 addresses'),
  label: flag.list('Labels of the network'),
  opt: flag.map('Options of the driver', { short: 'o' }),
  scope: flag.string('Scope of the network'),
  subnet: commaListFlag('Subnet in CIDR form'),
}

/** See the file's description. */
export const command = defineCommand({
  flags,
  count: { min: 1, max: 1 },
  run: async (cli, { flags: values, args, given }) => {
    const pools = ipamPools({
      subnets: values.subnet,
      ranges: values['ip-range'],
      gateways: values.gateway,
      auxiliary: values['aux-address'],
    })
    const answer = await cli.client.json<{ Id: string; Warning?: string }>('POST', '/networks/create', {
      json: {
        Name: args[0],
        Driver: values.driver,
        Options: values.opt,
        IPAM: { Driver: values['ipam-driver'], Options: values['ipam-opt'], Config: pools },
        Internal: values.internal,
        Ingress: values.ingress,
        Attachable: values.attachable,
        ConfigOnly: values['config-only'],
        ...(values['config-from'] === '' ? {} : { ConfigFrom: { Network: values['config-from'] } }),
        ...(values.scope === '' ? {} : { Scope: values.scope }),
        ...(given.has('ipv4') ? { EnableIPv4: values.ipv4 } : {}),
        ...(given.has('ipv6') ? { EnableIPv6: values.ipv6 } : {}),
        Labels: pairsToMap(values.label),
      },
    })
    if (answer.Id === '') throw new CliError('the engine answered without an id')
    if (answer.Warning !== undefined && answer.Warning !== '') cli.warn(`WARNING: ${answer.Warning}`)
    cli.print(answer.Id)
  },
})
