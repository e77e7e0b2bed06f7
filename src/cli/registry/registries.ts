/** Commands about the registry server. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const registryEntries: readonly CommandEntry[] = [
  {
    names: ['registry serve'],
    usage: '[OPTIONS]',
    summary: 'Run a registry in the foreground',
    load: async () => (await import('../commands/registry-serve.ts')).command,
  },
]
