/**
 * The `wharf` command. The flow of a command line: `dispatch.ts` parses the global flags and finds the command in
 * the registry, loads its module (nothing else is loaded), parses its flags and calls its `run` with a `Cli`.
 *
 * To add a command: write `commands/NAME.ts` that exports `command = defineCommand({ flags, count, run })`, and add
 * one line to the family's file in `registry/` (a new family's file is added to `registry.ts`):
 *
 *     { names: ['volume ls', 'volume list'], usage: '[OPTIONS]', summary: 'List volumes',
 *       load: async () => (await import('../commands/volume-ls.ts')).command },
 *
 * `run` writes through `cli.stdout` and `cli.print`, talks to the engine through `cli.client`, and throws: `CliError`
 * for a message of its own, `UsageError` for exit code 125; what the client throws is printed in Docker's words.
 * Tables and `--format` are in `format.ts`. Texts that name the program use `cli.program`: it may be called `docker`.
 */
import { basename } from 'node:path'
import { runCli } from './dispatch.ts'
import { descriptorOutput, isTerminal } from './output.ts'

/** Width of the terminal at a descriptor; 80 where there is none. */
function terminalColumns(): number {
  if (!isTerminal(0) || !isTerminal(1)) return 80
  const { columns } = process.stdout
  return columns > 0 ? columns : 80
}

// oxlint-disable-next-line node/no-process-env -- the CLI's only reading of its environment
const env = process.env
const calledAs = env['WHARF_CALLED_AS'] ?? basename(process.argv[1] ?? '')
// What bin/wharf set for this process is not for those that it starts.
delete env['WHARF_CALLED_AS']
for (const [name, value] of [
  ['BUN_JSC_useJIT', '0'],
  ['MIMALLOC_ALLOW_THP', '1'],
  ['MIMALLOC_PURGE_DELAY', '-1'],
] as const) {
  if (env[name] === value) delete env[name]
}

async function main(): Promise<void> {
  const code = await runCli(
    {
      program: calledAs === 'docker' ? 'docker' : 'wharf',
      env,
      stdout: descriptorOutput(1),
      stderr: descriptorOutput(2),
      get columns() {
        return terminalColumns()
      },
      isInputTerminal: () => isTerminal(0),
    },
    process.argv.slice(2),
  )
  // Output is written synchronously and connections are closed: nothing is left to wait for. Bun would wait for a
  // terminal that was read from.
  // oxlint-disable-next-line unicorn/no-process-exit -- see above
  process.exit(code)
}

void main()
