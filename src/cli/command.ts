/**
 * What a command is to the CLI: its flags, how many arguments it takes, and what it does. A command's module is
 * loaded only when it runs or its help is asked for; what help lists of it stands in the registry.
 */
import type { FlagValues, Flags } from '../lib/flags.ts'
import type { Cli } from './cli.ts'

/** How many arguments a command takes; no `max` means any number. */
export type ArgumentCount = { min: number; max?: number }

/** What a command's `run` is given beside the CLI. */
export type CommandInput<F> = {
  flags: FlagValues<F>
  args: string[]
  /** Long names of the flags on the command line. */
  given: ReadonlySet<string>
}

/** Kinds of names that completion offers for a command's arguments. */
export type CompletionKind =
  | 'container'
  | 'running'
  | 'stopped'
  | 'image'
  | 'network'
  | 'volume'
  | 'context'
  | 'file'

/** A command with its flags' types worn off: what the registry holds. */
export type Command = {
  readonly flags: Flags
  readonly count: ArgumentCount
  /** Whether flags may follow arguments; false for commands that pass a command line on. */
  readonly interspersed: boolean
  /** What completion offers for the argument at a position; the last one repeats. */
  readonly completes: readonly CompletionKind[]
  /** Exit code: the result, or 0. */
  readonly run: (cli: Cli, input: CommandInput<Flags>) => Promise<number | undefined>
}

/** Makes a command; `run` sees its flags' values typed. Return a number to end with that exit code. */
export function defineCommand<F extends Flags>(spec: {
  flags: F
  count: ArgumentCount
  interspersed?: boolean
  completes?: readonly CompletionKind[]
  run: (cli: Cli, input: CommandInput<F>) => Promise<number | undefined | void>
}): Command {
  return {
    flags: spec.flags,
    count: spec.count,
    interspersed: spec.interspersed ?? true,
    completes: spec.completes ?? [],
    run: async (cli, input) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the values were parsed by these very flags
      const typed = input as CommandInput<F>
      return (await spec.run(cli, typed)) ?? undefined
    },
  }
}

/** One line of the registry. */
export type CommandEntry = {
  /** Full names without the program's, the first one is the canonical: `container ls`, then `container list`, `ps`. */
  readonly names: readonly string[]
  /** What follows the name in a usage line; several lines for `cp`. */
  readonly usage: string | readonly string[]
  readonly summary: string
  /** More than `summary`, for the command's own help. */
  readonly description?: string
  /** Listed first, under Common Commands, in this order. */
  readonly common?: number
  readonly hidden?: boolean
  readonly load: () => Promise<Command>
}

/** A command that only has others below it. */
export type CommandGroup = {
  readonly name: string
  readonly summary: string
  readonly section?: 'swarm' | 'hidden'
}
