/** Every command, from one file for each family. Order does not matter; help sorts. */
import type { CommandEntry, CommandGroup } from './command.ts'
import { buildEntries } from './registry/builds.ts'
import { completionEntries } from './registry/completion.ts'
import { containerEntries } from './registry/containers.ts'
import { contextEntries } from './registry/contexts.ts'
import { imageEntries } from './registry/images.ts'
import { networkEntries } from './registry/networks.ts'
import { pluginEntries } from './registry/plugins.ts'
import { registryEntries } from './registry/registries.ts'
import { remoteEntries } from './registry/remote.ts'
import { swarmEntries } from './registry/swarm.ts'
import { systemEntries } from './registry/system.ts'
import { volumeEntries } from './registry/volumes.ts'

/** All commands. */
export const entries: readonly CommandEntry[] = [
  ...buildEntries,
  ...completionEntries,
  ...containerEntries,
  ...contextEntries,
  ...imageEntries,
  ...networkEntries,
  ...pluginEntries,
  ...registryEntries,
  ...remoteEntries,
  ...swarmEntries,
  ...systemEntries,
  ...volumeEntries,
]

/** All groups of commands. */
export const groups: readonly CommandGroup[] = [
  { name: 'builder', summary: 'Manage builds' },
  { name: 'checkpoint', summary: 'Manage checkpoints' },
  { name: 'completion', summary: 'Show completion scripts of shells', section: 'hidden' },
  { name: 'config', summary: 'Manage configs of the swarm', section: 'swarm' },
  { name: 'container', summary: 'Manage containers' },
  { name: 'context', summary: 'Manage contexts' },
  { name: 'image', summary: 'Manage images' },
  { name: 'manifest', summary: 'Put images of several platforms together' },
  { name: 'network', summary: 'Manage networks' },
  { name: 'node', summary: 'Manage nodes of the swarm', section: 'swarm' },
  { name: 'plugin', summary: 'Manage plugins' },
  { name: 'registry', summary: 'Run a registry' },
  { name: 'secret', summary: 'Manage secrets of the swarm', section: 'swarm' },
  { name: 'service', summary: 'Manage services of the swarm', section: 'swarm' },
  { name: 'stack', summary: 'Manage stacks of the swarm', section: 'swarm' },
  { name: 'swarm', summary: 'Manage the swarm', section: 'swarm' },
  { name: 'system', summary: 'Manage the engine' },
  { name: 'trust', summary: 'Manage signatures of images' },
  { name: 'trust key', summary: 'Manage keys for signing' },
  { name: 'trust signer', summary: 'Manage who may sign' },
  { name: 'volume', summary: 'Manage volumes' },
]
