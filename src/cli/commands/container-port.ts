/** `port`: where a container's ports are published. */
import { isIPv6 } from 'node:net'
import type { PortBinding } from '../../spec/container-config.ts'
import type { ContainerInspect } from '../../spec/container-types.ts'
import { errorMessage } from '../../spec/errors.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { compareNatural } from '../labels.ts'
import { parsePortRange } from '../../lib/port-spec.ts'

function address({ HostIp, HostPort }: PortBinding): string {
  return isIPv6(HostIp) ? `[${HostIp}]:${HostPort}` : `${HostIp}:${HostPort}`
}

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 1, max: 2 },
  completes: ['running'],
  run: async (cli, { args }) => {
    const [name = '', asked] = args
    const path = `/containers/${encodeURIComponent(name)}/json`
    const { NetworkSettings } = await cli.client.json<ContainerInspect>('GET', path)
    const ports = NetworkSettings.Ports ?? {}
    const lines: string[] = []
    if (asked !== undefined && asked !== '') {
      const [port = '', protocol = 'tcp'] = asked.split('/')
      try {
        parsePortRange(port)
      } catch (error) {
        throw new CliError(`Error: invalid port (${port}): ${errorMessage(error)}`, { cause: error })
      }
      const bindings = ports[`${port}/${protocol}`]
      if (!bindings || bindings.length === 0) {
        throw new CliError(`Error: No public port '${asked}' published for ${name}`)
      }
      for (const binding of bindings) lines.push(address(binding))
    } else {
      for (const [port, bindings] of Object.entries(ports)) {
        for (const binding of bindings ?? []) lines.push(`${port} -> ${address(binding)}`)
      }
    }
    lines.sort(compareNatural)
    for (const line of lines) cli.print(line)
  },
})
