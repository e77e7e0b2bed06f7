/** Commands about networks. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const networkEntries: readonly CommandEntry[] = [
  {
    names: ['network create'],
    usage: '[OPTIONS] NETWORK',
    summary: 'Create a network',
    load: async () => (await import('../commands/network-create.ts')).command,
  },
  {
    names: ['network connect'],
    usage: '[OPTIONS] NETWORK CONTAINER',
    summary: 'Join a container to a network',
    load: async () => (await import('../commands/network-connect.ts')).command,
  },
  {
    names: ['network disconnect'],
    usage: '[OPTIONS] NETWORK CONTAINER',
    summary: 'Take a container out of a network',
    load: async () => (await import('../commands/network-disconnect.ts')).command,
  },
  {
    names: ['network exposure'],
    usage: '[OPTIONS]',
    summary: 'Show what is reachable from where',
    load: async () => (await import('../commands/network-exposure.ts')).command,
  },
  {
    names: ['network inspect'],
    usage: '[OPTIONS] NETWORK [NETWORK...]',
    summary: 'Show all that is known about networks',
    load: async () => (await import('../commands/network-inspect.ts')).command,
  },
  {
    names: ['network ls', 'network list'],
    usage: '[OPTIONS]',
    summary: 'List networks',
    load: async () => (await import('../commands/network-ls.ts')).command,
  },
  {
    names: ['network prune'],
    usage: '[OPTIONS]',
    summary: 'Remove all unused networks',
    load: async () => (await import('../commands/network-prune.ts')).command,
  },
  {
    names: ['network rm', 'network remove'],
    usage: 'NETWORK [NETWORK...]',
    summary: 'Remove networks',
    load: async () => (await import('../commands/network-rm.ts')).command,
  },
]
