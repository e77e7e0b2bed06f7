/** The little languages of HostConfig: `container:NAME` modes, links and `--volumes-from`. */
import { EngineError } from '../spec/errors.ts'

/** The container a mode joins (`container:x`), or undefined for another mode. */
export function joinedContainer(mode: string): string | undefined {
  return mode.startsWith('container:') ? mode.slice('container:'.length) : undefined
}

/** Name of the network of a NetworkMode; undefined where it joins a container. */
export function networkOfMode(mode: string): string | undefined {
  if (joinedContainer(mode) !== undefined) return undefined
  return mode === '' || mode === 'default' ? 'bridge' : mode
}

/** Whether a network is one a user made: static addresses and aliases need such. */
export function isUserDefined(network: string): boolean {
  return !['', 'default', 'bridge', 'host', 'none'].includes(network) && !network.startsWith('container:')
}

/** `name:alias`; a missing alias is the name. Also `/name:/parent/alias`, as inspect shows it. */
export function parseLink(text: string): { name: string; alias: string } {
  const parts = text.split(':')
  const [name = '', aliasPath = name] = parts
  if (name === '') throw new EngineError('invalid', 'empty string specified for links')
  if (parts.length > 2) throw new EngineError('invalid', `bad format for links: ${text}`)
  const slash = aliasPath.lastIndexOf('/')
  return { name, alias: slash === -1 ? aliasPath : aliasPath.slice(slash + 1) }
}

/** `container[:mode]` of `--volumes-from`. */
export function parseVolumesFrom(text: string): { container: string; mode: string } {
  if (text === '') throw new EngineError('invalid', 'volumes-from specification cannot be an empty string')
  const colon = text.indexOf(':')
  if (colon === -1) return { container: text, mode: '' }
  const mode = text.slice(colon + 1)
  if (!mode.split(',').every((part) => ['ro', 'rw', 'z', 'Z', 'nocopy'].includes(part))) {
    throw new EngineError('invalid', `invalid mode: ${mode}`)
  }
  return { container: text.slice(0, colon), mode }
}
