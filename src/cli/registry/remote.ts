/** Commands that talk to registries. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const remoteEntries: readonly CommandEntry[] = [
  {
    names: ['image outdated'],
    usage: '[OPTIONS] [NAME[:TAG]...]',
    summary: 'Show which images are newer in their registries',
    load: async () => (await import('../commands/image-outdated.ts')).command,
  },
  {
    names: ['image pull', 'pull'],
    usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
    summary: 'Get an image from a registry',
    common: 4,
    load: async () => (await import('../commands/image-pull.ts')).command,
  },
  {
    names: ['image push', 'push'],
    usage: '[OPTIONS] NAME[:TAG]',
    summary: 'Bring an image to a registry',
    common: 5,
    load: async () => (await import('../commands/image-push.ts')).command,
  },
  {
    names: ['login'],
    usage: '[OPTIONS] [SERVER]',
    summary: 'Log in to a registry',
    common: 7,
    load: async () => (await import('../commands/login.ts')).command,
  },
  {
    names: ['logout'],
    usage: '[SERVER]',
    summary: 'Log out from a registry',
    common: 8,
    load: async () => (await import('../commands/logout.ts')).command,
  },
  {
    names: ['search'],
    usage: '[OPTIONS] TERM',
    summary: 'Search a registry for images',
    common: 9,
    load: async () => (await import('../commands/search.ts')).command,
  },
  {
    names: ['image tags', 'tags'],
    usage: '[OPTIONS] REPOSITORY',
    summary: 'List the tags that a repository has in its registry',
    load: async () => (await import('../commands/image-tags.ts')).command,
  },
]
