/** `completion SHELL`: prints the shell's completion script, for the name the program was called by. */
import { defineCommand } from '../command.ts'
import type { Command } from '../command.ts'
import { completionScript } from '../completion-scripts.ts'
import type { CompletionShell } from '../completion-scripts.ts'

function forShell(shell: CompletionShell): Command {
  return defineCommand({
    flags: {},
    count: { min: 0, max: 0 },
    run: async (cli) => cli.stdout.write(completionScript(shell, cli.program)),
  })
}

/** `completion bash`. */
export const bashCommand = forShell('bash')
/** `completion zsh`. */
export const zshCommand = forShell('zsh')
/** `completion fish`. */
export const fishCommand = forShell('fish')
