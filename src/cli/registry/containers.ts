/** Commands about containers. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const containerEntries: readonly CommandEntry[] = [
  {
    names: ['container kill', 'kill'],
    usage: '[OPTIONS] CONTAINER [CONTAINER...]',
    summary: 'Send a signal to running containers',
    load: async () => (await import('../commands/container-kill.ts')).command,
  },
]
