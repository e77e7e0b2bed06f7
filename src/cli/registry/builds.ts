/** Commands about builds. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const buildEntries: readonly CommandEntry[] = [
  {
    names: ['image build', 'build', 'builder build'],
    usage: '[OPTIONS] PATH | URL | -',
    summary: 'Build an image from a Dockerfile (not there yet)',
    common: 3.5,
    load: async () => (await import('../commands/build.ts')).command,
  },
  {
    names: ['builder prune'],
    usage: '',
    summary: 'Remove the cache of builds',
    load: async () => (await import('../commands/builder-prune.ts')).command,
  },
]
