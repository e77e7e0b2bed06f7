/** `start`: starts containers; with `-a` or `-i` attaches to one and ends with its exit code. */
import { flag } from '../../lib/flags.ts'
import type { ContainerInspect } from '../../spec/container-types.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { proxySignals } from '../container/signals.ts'
import { checkTerminal } from '../container/attach-options.ts'
import { StreamSession } from '../container/stream-session.ts'
import { followTerminalSize } from '../container/terminal-size.ts'
import { beginWait } from '../container/wait.ts'
import { CliError, failureOf } from '../errors.ts'

type StartOptions = { interactive: boolean; detachKeys: string; query: Record<string, string> }

async function startAttached(cli: Cli, name: string, options: StartOptions): Promise<number> {
  const container = await cli.client.json<ContainerInspect>(
    'GET',
    `/containers/${encodeURIComponent(name)}/json`,
  )
  const { Id, Config, HostConfig } = container
  const tty = Config.Tty ?? false
  const stdin = options.interactive && (Config.OpenStdin ?? false)
  checkTerminal(cli, stdin, tty)
  using cleanup = new DisposableStack()
  if (!tty) cleanup.use(proxySignals(cli, Id))
  const [hijacked, exit] = await Promise.all([
    cli.client.hijack('POST', `/containers/${Id}/attach`, {
      query: { stream: true, stdin, stdout: true, stderr: true, detachKeys: options.detachKeys },
    }),
    beginWait(cli, Id, HostConfig.AutoRemove === true ? 'removed' : 'next-exit'),
  ])
  const session = new StreamSession(cli, hijacked, {
    stdin,
    stdout: true,
    stderr: true,
    tty,
    detachKeys: options.detachKeys,
  })
  const ended = session.run()
  ended.catch(() => {})
  try {
    await cli.client.send('POST', `/containers/${Id}/start`, { query: options.query })
  } catch (error) {
    session.abort()
    await ended.catch(() => {})
    throw error
  }
  if (tty && cli.stdout.isTerminal) cleanup.use(followTerminalSize(cli, `/containers/${Id}`))
  if ((await ended) === 'detached') return 0
  return await exit()
}

async function startAll(cli: Cli, names: readonly string[], query: Record<string, string>): Promise<void> {
  const failed: string[] = []
  for (const name of names) {
    try {
      await cli.client.send('POST', `/containers/${encodeURIComponent(name)}/start`, { query })
      cli.print(name)
    } catch (error) {
      cli.warn(failureOf(error).message)
      failed.push(name)
    }
  }
  if (failed.length > 0) throw new CliError(`Error: failed to start containers: ${failed.join(', ')}`)
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    attach: flag.bool('Show output and pass signals on', { short: 'a' }),
    checkpoint: flag.string('Start from this checkpoint'),
    'checkpoint-dir': flag.string('Where checkpoints are'),
    'detach-keys': flag.string('Keys that leave the container running'),
    interactive: flag.bool('Pass standard input on', { short: 'i' }),
  },
  count: { min: 1 },
  completes: ['stopped'],
  run: async (cli, { flags, args }) => {
    const query = { checkpoint: flags.checkpoint, 'checkpoint-dir': flags['checkpoint-dir'] }
    if (!flags.attach && !flags.interactive) return await startAll(cli, args, query)
    if (args.length > 1) throw new CliError('you cannot start and attach multiple containers at once')
    const detachKeys = flags['detach-keys'] || cli.config.detachKeys || ''
    return await startAttached(cli, args[0] ?? '', { interactive: flags.interactive, detachKeys, query })
  },
})
