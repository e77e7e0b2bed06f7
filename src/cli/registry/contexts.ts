/** Commands about contexts. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const contextEntries: readonly CommandEntry[] = [
  {
    names: ['context create'],
    usage: '[OPTIONS] CONTEXT',
    summary: 'Create a context',
    load: async () => (await import('../commands/context-create.ts')).command,
  },
  {
    names: ['context export'],
    usage: '[OPTIONS] CONTEXT [FILE|-]',
    summary: 'Write a context to an archive or standard output',
    load: async () => (await import('../commands/context-export.ts')).command,
  },
  {
    names: ['context import'],
    usage: 'CONTEXT FILE|-',
    summary: 'Read a context from an archive or standard input',
    load: async () => (await import('../commands/context-import.ts')).command,
  },
  {
    names: ['context inspect'],
    usage: '[OPTIONS] [CONTEXT] [CONTEXT...]',
    summary: 'Show all that is known about contexts',
    load: async () => (await import('../commands/context-inspect.ts')).command,
  },
  {
    names: ['context ls', 'context list'],
    usage: '[OPTIONS]',
    summary: 'List contexts',
    load: async () => (await import('../commands/context-ls.ts')).command,
  },
  {
    names: ['context rm', 'context remove'],
    usage: 'CONTEXT [CONTEXT...]',
    summary: 'Remove contexts',
    load: async () => (await import('../commands/context-rm.ts')).command,
  },
  {
    names: ['context show'],
    usage: '',
    summary: 'Print the name of the context in use',
    load: async () => (await import('../commands/context-show.ts')).command,
  },
  {
    names: ['context update'],
    usage: '[OPTIONS] CONTEXT',
    summary: 'Change a context',
    load: async () => (await import('../commands/context-update.ts')).command,
  },
  {
    names: ['context use'],
    usage: 'CONTEXT',
    summary: 'Choose the context to use from now on',
    load: async () => (await import('../commands/context-use.ts')).command,
  },
]
