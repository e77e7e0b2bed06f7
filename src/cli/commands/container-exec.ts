/** `exec`: runs a command in a running container and ends with its exit code. */
import { flag } from '../../lib/flags.ts'
import type { ExecInspect } from '../../spec/container-types.ts'
import { defineCommand } from '../command.ts'
import { checkTerminal } from '../container/attach-options.ts'
import { environmentValue, inheritedValue, readKeyValues } from '../container/environment.ts'
import { StreamSession } from '../container/stream-session.ts'
import { followTerminalSize, terminalSize } from '../container/terminal-size.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    detach: flag.bool('Do not wait for the command', { short: 'd' }),
    'detach-keys': flag.string('Keys that leave the command running'),
    env: flag.list('Set an environment variable', { short: 'e' }, environmentValue),
    'env-file': flag.list('Set the environment variables listed in a file'),
    interactive: flag.bool('Keep standard input open', { short: 'i' }),
    privileged: flag.bool('Give the command all capabilities'),
    tty: flag.bool('Give the command a terminal', { short: 't' }),
    user: flag.string('User to run as: <name|uid>[:<group|gid>]', { short: 'u' }),
    workdir: flag.string('Working directory inside the container', { short: 'w' }),
  },
  count: { min: 2 },
  interspersed: false,
  completes: ['running'],
  run: async (cli, { flags, args }) => {
    const [container = '', ...Cmd] = args
    const path = `/containers/${encodeURIComponent(container)}`
    const variables = flags.env.map((value) => inheritedValue(value, cli.env))
    const Env = readKeyValues(flags['env-file'], variables, cli.env)
    const attach = { stdin: flags.interactive && !flags.detach, stdout: !flags.detach, stderr: !flags.detach }
    if (attach.stdin && flags.tty && !cli.isInputTerminal) {
      // A container that is not there is the worse mistake, so it is named first.
      await cli.client.send('GET', `${path}/json`)
      checkTerminal(cli, attach.stdin, flags.tty)
    }
    const detachKeys = flags['detach-keys'] || cli.config.detachKeys || ''
    const size = flags.tty ? terminalSize(cli) : undefined
    const consoleSize = size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] }
    const { Id } = await cli.client.json<{ Id: string }>('POST', `${path}/exec`, {
      json: {
        AttachStdin: attach.stdin,
        AttachStdout: attach.stdout,
        AttachStderr: attach.stderr,
        DetachKeys: detachKeys,
        Tty: flags.tty,
        ...consoleSize,
        Env,
        Cmd,
        Privileged: flags.privileged,
        User: flags.user,
        WorkingDir: flags.workdir,
      },
    })
    const start = { Detach: flags.detach, Tty: flags.tty, ...consoleSize }
    if (flags.detach) {
      await cli.client.send('POST', `/exec/${Id}/start`, { json: start })
      return 0
    }
    const hijacked = await cli.client.hijack('POST', `/exec/${Id}/start`, { json: start })
    using cleanup = new DisposableStack()
    if (flags.tty && cli.stdout.isTerminal) cleanup.use(followTerminalSize(cli, `/exec/${Id}`))
    const session = new StreamSession(cli, hijacked, { ...attach, tty: flags.tty, detachKeys })
    if ((await session.run()) === 'detached') {
      cli.warn('read escape sequence')
      return 1
    }
    const { ExitCode } = await cli.client.json<ExecInspect>('GET', `/exec/${Id}/json`)
    return ExitCode ?? 0
  },
})
