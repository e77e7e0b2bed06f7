/** `attach`: joins the terminal to a running container. */
import { flag } from '../../lib/flags.ts'
import type { ContainerInspect } from '../../spec/container-types.ts'
import { defineCommand } from '../command.ts'
import { checkTerminal } from '../container/attach-options.ts'
import { proxySignals } from '../container/signals.ts'
import { StreamSession } from '../container/stream-session.ts'
import { askForRepaint, followTerminalSize } from '../container/terminal-size.ts'
import { beginWait } from '../container/wait.ts'
import { CliError } from '../errors.ts'

function checkState(state: ContainerInspect['State']): void {
  if (!state.Running) throw new CliError('You cannot attach to a stopped container, start it first')
  if (state.Paused) throw new CliError('You cannot attach to a paused container, unpause it first')
  if (state.Restarting)
    throw new CliError('You cannot attach to a restarting container, wait until it is running')
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    'detach-keys': flag.string('Keys that leave the container running'),
    'no-stdin': flag.bool('Do not attach standard input'),
    'sig-proxy': flag.bool('Pass signals on to the process', { initial: true }),
  },
  count: { min: 1, max: 1 },
  completes: ['running'],
  run: async (cli, { flags, args }) => {
    const path = `/containers/${encodeURIComponent(args[0] ?? '')}`
    const container = await cli.client.json<ContainerInspect>('GET', `${path}/json`)
    checkState(container.State)
    const tty = container.Config.Tty ?? false
    const stdin = !flags['no-stdin'] && (container.Config.OpenStdin ?? false)
    checkTerminal(cli, stdin, tty)
    const detachKeys = flags['detach-keys'] || cli.config.detachKeys || ''
    using cleanup = new DisposableStack()
    if (flags['sig-proxy'] && !tty) cleanup.use(proxySignals(cli, container.Id))
    const [hijacked, exit] = await Promise.all([
      cli.client.hijack('POST', `${path}/attach`, {
        query: { stream: true, stdin, stdout: true, stderr: true, detachKeys },
      }),
      beginWait(cli, container.Id, 'not-running'),
    ])
    if (tty && cli.stdout.isTerminal) {
      await askForRepaint(cli, `/containers/${container.Id}`)
      cleanup.use(followTerminalSize(cli, `/containers/${container.Id}`))
    }
    const session = new StreamSession(cli, hijacked, { stdin, stdout: true, stderr: true, tty, detachKeys })
    if ((await session.run()) === 'detached') {
      cli.warn('read escape sequence')
      return 1
    }
    return await exit()
  },
})
