/** Commands that talk to registries, and the one for where there is none. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const remoteEntries: readonly CommandEntry[] = [
  {
    names: ['image bootstrap'],
    usage: '[OPTIONS] busybox[:TAG]|debian:SUITE',
    summary: "Make a base image out of Debian's archive",
    load: async () => (await import('../commands/image-bootstrap.ts')).command,
  },
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
  {
    names: ['manifest annotate'],
    usage: '[OPTIONS] MANIFEST_LIST MANIFEST',
    summary: 'Say more exactly what an image of a list runs on',
    load: async () => (await import('../commands/manifest-annotate.ts')).command,
  },
  {
    names: ['manifest create'],
    usage: 'MANIFEST_LIST MANIFEST [MANIFEST...]',
    summary: 'Begin a list of images of several platforms',
    load: async () => (await import('../commands/manifest-create.ts')).command,
  },
  {
    names: ['manifest inspect'],
    usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
    summary: 'Show a manifest or a list of them',
    load: async () => (await import('../commands/manifest-inspect.ts')).command,
  },
  {
    names: ['manifest push'],
    usage: '[OPTIONS] MANIFEST_LIST',
    summary: 'Bring a list to its repository',
    load: async () => (await import('../commands/manifest-push.ts')).command,
  },
  {
    names: ['manifest rm'],
    usage: 'MANIFEST_LIST [MANIFEST_LIST...]',
    summary: 'Forget lists that are kept here',
    load: async () => (await import('../commands/manifest-rm.ts')).command,
  },
]
