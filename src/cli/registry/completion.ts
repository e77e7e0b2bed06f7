/** Commands about shell completion. */
import type { CommandEntry } from '../command.ts'

/** See the file's description. */
export const completionEntries: readonly CommandEntry[] = [
  {
    names: ['__complete'],
    usage: 'WORD...',
    summary: 'Answer a completion script',
    hidden: true,
    load: async () => (await import('../commands/complete.ts')).command,
  },
  {
    names: ['completion bash'],
    usage: '',
    summary: 'Show the completion script of bash',
    load: async () => (await import('../commands/completion.ts')).bashCommand,
  },
  {
    names: ['completion fish'],
    usage: '',
    summary: 'Show the completion script of fish',
    load: async () => (await import('../commands/completion.ts')).fishCommand,
  },
  {
    names: ['completion zsh'],
    usage: '',
    summary: 'Show the completion script of zsh',
    load: async () => (await import('../commands/completion.ts')).zshCommand,
  },
]
