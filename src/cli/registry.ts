/** Every command, from one file for each family. Order does not matter; help sorts. */
import type { CommandEntry, CommandGroup } from './command.ts'
import { completionEntries } from './registry/completion.ts'
import { containerEntries } from './registry/containers.ts'
import { contextEntries } from './registry/contexts.ts'
import { imageEntries } from './registry/images.ts'
import { networkEntries } from './registry/networks.ts'
import { registryEntries } from './registry/registries.ts'
import { remoteEntries } from './registry/remote.ts'
import { systemEntries } from './registry/system.ts'
import { volumeEntries } from './registry/volumes.ts'

/** All commands. */
export const entries: readonly CommandEntry[] = [
  ...completionEntries,
  ...containerEntries,
  ...contextEntries,
  ...imageEntries,
  ...networkEntries,
  ...registryEntries,
  ...remoteEntries,
  ...systemEntries,
  ...volumeEntries,
]

/** All groups of commands. */
export const groups: readonly CommandGroup[] = [
  { name: 'builder', summary: 'Manage builds' },
  { name: 'completion', summary: 'Show completion scripts of shells', section: 'hidden' },
  { name: 'container', summary: 'Manage containers' },
  { name: 'context', summary: 'Manage contexts' },
  { name: 'image', summary: 'Manage images' },
  { name: 'network', summary: 'Manage networks' },
  { name: 'registry', summary: 'Run a registry' },
  { name: 'system', summary: 'Manage the engine' },
  { name: 'volume', summary: 'Manage volumes' },
]
