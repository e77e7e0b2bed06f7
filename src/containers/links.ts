/** Environment that old links (`--link`) give a container: Docker's names, one group a port of the linked one. */
import { EngineError } from '../spec/errors.ts'
import type { Core } from './core.ts'
import { envName } from './image-config.ts'
import type { ContainerRecord } from './record.ts'

/** Throws when a linked container does not run or is not on the default bridge. */
export function linkEnvironment(core: Core, record: ContainerRecord): string[] {
  if (record.networks['bridge'] === undefined) return []
  return record.links.flatMap(({ id, alias }) => {
    const child = core.registry.byId(id)
    if (child === undefined) return []
    if (!child.state.running) {
      throw new EngineError(
        'internal',
        `Cannot link to a non running container: /${child.record.name} AS /${record.name}/${alias}`,
      )
    }
    const address = child.record.sandbox?.endpoints['bridge']?.IPAddress
    if (address === undefined || address === '') {
      throw new EngineError('internal', `container ${id} not attached to default bridge network`)
    }
    return linkVariables({ parent: record.name, alias, address, child: child.record })
  })
}

/** Adds links' variables behind the container's own, which win. */
export function withLinkEnvironment(env: string[] | null, links: string[]): string[] | null {
  if (links.length === 0) return env
  const own = new Set((env ?? []).map(envName))
  return [...(env ?? []), ...links.filter((entry) => !own.has(envName(entry)))]
}

type Link = { parent: string; alias: string; address: string; child: ContainerRecord }

function linkVariables({ parent, alias, address, child }: Link): string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_')
  const ports = Object.keys(child.config.ExposedPorts ?? {})
    .map((port) => ({ number: Number.parseInt(port, 10), protocol: port.split('/')[1] ?? 'tcp' }))
    .sort((a, b) => a.number - b.number || a.protocol.localeCompare(b.protocol))
  const url = (port: { number: number; protocol: string }) => `${port.protocol}://${address}:${port.number}`
  const [first] = ports
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...ports.flatMap((port) => {
      const name = `${prefix}_PORT_${port.number}_${port.protocol.toUpperCase()}`
      return [
        `${name}=${url(port)}`,
        `${name}_ADDR=${address}`,
        `${name}_PORT=${port.number}`,
        `${name}_PROTO=${port.protocol}`,
      ]
    }),
    `${prefix}_NAME=/${parent}/${alias}`,
    // Those that every container has would only shadow the container's own.
    ...(child.config.Env ?? [])
      .filter((entry) => entry.includes('=') && envName(entry) !== 'HOME' && envName(entry) !== 'PATH')
      .map((entry) => `${prefix}_ENV_${entry}`),
  ]
}
