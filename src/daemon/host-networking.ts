/** Containers in the host's network only: what there is until networks/ is wired in. */
import type { ContainerNetworking } from '../containers/ports.ts'
import { EngineError } from '../spec/errors.ts'
import { networkId } from '../spec/ids.ts'
import type { SandboxRequest } from '../spec/sandbox-types.ts'

const hostNetwork = networkId('0'.repeat(64))

/** See the file's head. */
export function hostNetworking(): ContainerNetworking {
  const onlyHost = ({ mode }: SandboxRequest) => {
    if (mode === 'host') return
    throw new EngineError('notImplemented', 'networks are not supported yet: use --network host')
  }
  const none = () => {
    throw new EngineError('notImplemented', 'networks are not supported yet')
  }
  return {
    resolve: (name) => {
      if (name === 'host' || name === 'bridge') return { id: hostNetwork, name, driver: name }
      throw new EngineError('notFound', `network ${name} not found`)
    },
    validate: onlyHost,
    create: async (request) => {
      onlyHost(request)
      return { sandboxId: request.containerId, sandboxKey: '', etcFiles: {}, endpoints: {}, ports: null }
    },
    adopt: async () => {},
    remove: async () => {},
    connect: async () => none(),
    disconnect: async () => none(),
    rename: async () => {},
    counters: async () => [],
    list: async () => [],
  }
}
