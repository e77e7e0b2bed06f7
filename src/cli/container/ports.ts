/** `-p` and `--expose`: port specifications, ranges included. */
import { addPortSpec, parsePortRange, splitProtocol, type PublishedPorts } from '../../lib/port-spec.ts'

/** `published=8080,target=80,protocol=tcp` in the short notation. */
function standardNotation(spec: string): string {
  if (!spec.includes('=')) return spec
  const parameters: Record<string, string> = { protocol: 'tcp' }
  for (const parameter of spec.split(',')) {
    const [key, value] = parameter.split('=')
    if (key === undefined || value === undefined) {
      throw new Error(`invalid publish opts format (should be name=value but got '${parameter}')`)
    }
    parameters[key] = value
  }
  const { published = '', target = '', protocol = '' } = parameters
  return `${published}:${target}/${protocol}`
}

/** Reads all `-p` and `--expose` values. */
export function parsePorts(publish: readonly string[], expose: readonly string[]): PublishedPorts {
  const ports: PublishedPorts = { exposed: {}, bindings: {} }
  for (const spec of publish.map(standardNotation)) addPortSpec(spec, ports)
  for (const spec of expose) {
    if (spec.includes(':')) throw new Error(`invalid port format for --expose: ${spec}`)
    const { port, protocol } = splitProtocol(spec)
    let range: [number, number]
    try {
      range = parsePortRange(port)
    } catch (error) {
      const reason = error instanceof Error ? error.message : ''
      throw new Error(`invalid range format for --expose: ${spec}, error: ${reason}`, { cause: error })
    }
    for (let number = range[0]; number <= range[1]; number++) ports.exposed[`${number}/${protocol}`] ??= {}
  }
  return ports
}
