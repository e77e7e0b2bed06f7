/** Docker's CLI plugins: `docker-NAME` executables that add commands (buildx, scout ...). */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { join } from 'node:path'
import type { Cli } from './cli.ts'

const systemDirectories = [
  '/usr/local/lib/docker/cli-plugins',
  '/usr/local/libexec/docker/cli-plugins',
  '/usr/lib/docker/cli-plugins',
  '/usr/libexec/docker/cli-plugins',
]

function findPlugin(cli: Cli, name: string): string | undefined {
  if (!/^[a-z][a-z0-9]*$/.test(name)) return undefined
  for (const directory of [join(cli.configDirectory, 'cli-plugins'), ...systemDirectories]) {
    const path = join(directory, `docker-${name}`)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not there, or not to be run: the next directory.
    }
  }
  return undefined
}

/** Runs the plugin that a command names, with our endpoint; resolves with its exit code, undefined where there is none. */
export async function runPlugin(cli: Cli, args: readonly string[]): Promise<number | undefined> {
  const path = findPlugin(cli, args[0] ?? '')
  if (path === undefined) return undefined
  const { host } = cli.client
  const child = spawn(path, args, {
    stdio: 'inherit',
    env: { ...cli.env, DOCKER_HOST: host.text, DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND: cli.program },
  })
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : osConstants.signals[signal])),
    )
  })
}
