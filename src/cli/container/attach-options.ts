/** What commands that attach have in common. */
import type { Cli } from '../cli.ts'
import { CliError } from '../errors.ts'

/** A container with a terminal wants one as input. Throws Docker's text. */
export function checkTerminal(cli: Cli, stdin: boolean, tty: boolean): void {
  if (stdin && tty && !cli.isInputTerminal) {
    throw new CliError('the input device is not a TTY')
  }
}
