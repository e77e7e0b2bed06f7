/** Commands about the engine. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const systemEntries: readonly CommandEntry[] = [
  {
    names: ['system check'],
    usage: '[OPTIONS]',
    summary: 'Look for what is lost, damaged or left over, and repair it',
    description:
      'Compares every row, blob, layer, volume, container and mount with what is on disk and in the kernel. Runs beside everything else. Exit code 1 says that something is wrong and not repaired.',
    load: async () => (await import('../commands/system-check.ts')).command,
  },
  {
    names: ['system dial-stdio'],
    usage: '',
    summary: 'Join stdin and stdout to the connection with the engine',
    hidden: true,
    load: async () => (await import('../commands/system-dial-stdio.ts')).command,
  },
  {
    names: ['system df'],
    usage: '[OPTIONS]',
    summary: 'Show what takes up the disk',
    load: async () => (await import('../commands/system-df.ts')).command,
  },
  {
    names: ['system info', 'info'],
    usage: '[OPTIONS]',
    summary: 'Show what the engine and its host are',
    common: 11,
    load: async () => (await import('../commands/system-info.ts')).command,
  },
  {
    names: ['system prune'],
    usage: '[OPTIONS]',
    summary: 'Remove what nothing uses',
    load: async () => (await import('../commands/system-prune.ts')).command,
  },
  {
    names: ['version'],
    usage: '[OPTIONS]',
    summary: "Show the client's and the engine's version",
    common: 10,
    load: async () => (await import('../commands/system-version.ts')).command,
  },
]
