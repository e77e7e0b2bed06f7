/** Commands about volumes. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const volumeEntries: readonly CommandEntry[] = [
  {
    names: ['volume create'],
    usage: '[OPTIONS] [VOLUME]',
    summary: 'Create a volume',
    load: async () => (await import('../commands/volume-create.ts')).command,
  },
  {
    names: ['volume inspect'],
    usage: '[OPTIONS] VOLUME [VOLUME...]',
    summary: 'Show all that is known about volumes',
    load: async () => (await import('../commands/volume-inspect.ts')).command,
  },
  {
    names: ['volume ls', 'volume list'],
    usage: '[OPTIONS]',
    summary: 'List volumes',
    load: async () => (await import('../commands/volume-ls.ts')).command,
  },
  {
    names: ['volume prune'],
    usage: '[OPTIONS]',
    summary: 'Remove unused local volumes',
    load: async () => (await import('../commands/volume-prune.ts')).command,
  },
  {
    names: ['volume rm', 'volume remove'],
    usage: '[OPTIONS] VOLUME [VOLUME...]',
    summary: 'Remove volumes',
    load: async () => (await import('../commands/volume-rm.ts')).command,
  },
  {
    names: ['volume update'],
    usage: '[OPTIONS] [VOLUME]',
    summary: 'Update a cluster volume',
    load: async () => (await import('../commands/volume-update.ts')).command,
  },
]
