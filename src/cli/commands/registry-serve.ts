/** `registry serve`: runs the registry's own program in the foreground and passes the flags on. */
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { flag } from '../../lib/flags.ts'
import { errorMessage } from '../../spec/errors.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'

/** Where the program is: beside the sources that run, beside the compiled CLI, or on the search path. */
function registryProgram(): string {
  const script = process.argv[1] ?? ''
  const roots = [join(dirname(process.execPath), '..')]
  // In a compiled program the script is a name that only the program itself can open.
  if (!script.startsWith('/$bunfs/') && existsSync(script))
    roots.push(join(dirname(realpathSync(script)), '..', '..'))
  const paths = roots.map((root) => join(root, 'bin', 'wharf-registry'))
  return paths.find((path) => existsSync(path)) ?? 'wharf-registry'
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    addr: flag.string('Address to listen on (default "127.0.0.1:5000")', { type: 'host:port' }),
    data: flag.string('Folder of blobs and index (default "/var/lib/registry")', { type: 'dir' }),
    config: flag.string('Configuration file', { type: 'file' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags, given }) => {
    const args = (['addr', 'data', 'config'] as const)
      .filter((name) => given.has(name))
      .flatMap((name) => [`--${name}`, flags[name]])
    const program = registryProgram()
    // Where it can be had, the registry takes this process's place: whoever ends the command ends the registry.
    if (typeof process.execve === 'function' && isAbsolute(program)) {
      const env = Object.entries(cli.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
      process.execve(program, [program, 'serve', ...args], Object.fromEntries(env))
    }
    const child = spawn(program, ['serve', ...args], { stdio: 'inherit', env: { ...cli.env } })
    const pass = (signal: NodeJS.Signals) => void child.kill(signal)
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, pass)
    // A terminal sends SIGINT to both; the registry ends first.
    process.on('SIGINT', () => {})
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new CliError(`cannot start the registry: ${errorMessage(error)}`, { cause: error })),
      )
      child.once('close', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : osConstants.signals[signal])),
      )
    })
  },
})
