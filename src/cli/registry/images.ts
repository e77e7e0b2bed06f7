/** Commands about images. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const imageEntries: readonly CommandEntry[] = [
  {
    names: ['image history', 'history'],
    usage: '[OPTIONS] IMAGE',
    summary: 'Show how an image came about',
    load: async () => (await import('../commands/image-history.ts')).command,
  },
  {
    names: ['image import', 'import'],
    usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
    summary: 'Make an image of an archive of files',
    load: async () => (await import('../commands/image-import.ts')).command,
  },
  {
    names: ['image inspect'],
    usage: '[OPTIONS] IMAGE [IMAGE...]',
    summary: 'Show all that is known about images',
    load: async () => (await import('../commands/image-inspect.ts')).command,
  },
  {
    names: ['image load', 'load'],
    usage: '[OPTIONS]',
    summary: 'Load images from an archive or standard input',
    load: async () => (await import('../commands/image-load.ts')).command,
  },
  {
    names: ['image ls', 'image list', 'images'],
    usage: '[OPTIONS] [REPOSITORY[:TAG]]',
    summary: 'List images',
    common: 6,
    load: async () => (await import('../commands/image-ls.ts')).command,
  },
  {
    names: ['image prune'],
    usage: '[OPTIONS]',
    summary: 'Remove unused images',
    load: async () => (await import('../commands/image-prune.ts')).command,
  },
  {
    names: ['image rm', 'image remove', 'rmi'],
    usage: '[OPTIONS] IMAGE [IMAGE...]',
    summary: 'Remove images',
    load: async () => (await import('../commands/image-rm.ts')).command,
  },
  {
    names: ['image save', 'save'],
    usage: '[OPTIONS] IMAGE [IMAGE...]',
    summary: 'Save images to an archive (standard output by default)',
    load: async () => (await import('../commands/image-save.ts')).command,
  },
  {
    names: ['image tag', 'tag'],
    usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
    summary: 'Give an image a further name',
    load: async () => (await import('../commands/image-tag.ts')).command,
  },
]
