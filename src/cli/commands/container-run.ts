/** `run`: creates a container, attaches to it before it starts, starts it and ends with its exit code. */
import { failureOf, CliError, RunError } from '../errors.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { createFlags } from '../container/create-flags.ts'
import type { CreateFlagValues } from '../container/create-flags.ts'
import { createRequest } from '../container/create-request.ts'
import type { CreateRequest } from '../container/create-request.ts'
import { checkPullOption, createContainer } from '../container/create.ts'
import { checkTerminal } from '../container/attach-options.ts'
import { proxySignals } from '../container/signals.ts'
import { StreamSession } from '../container/stream-session.ts'
import { followTerminalSize } from '../container/terminal-size.ts'
import { beginWait } from '../container/wait.ts'
import { flag } from '../../lib/flags.ts'
import type { FlagValues } from '../../lib/flags.ts'

const runFlags = {
  detach: flag.bool('Leave the container running and print its id', { short: 'd' }),
  'detach-keys': flag.string('Keys that leave the container running'),
  'sig-proxy': flag.bool('Pass signals on to the process', { initial: true }),
}
const flags = { ...createFlags, ...runFlags }
type RunFlags = CreateFlagValues & FlagValues<typeof runFlags>

/** The exit code for a container that could not be started, from the engine's message. */
export function startFailureCode(message: string): number {
  const text = message.replace(/^Error response from daemon: /, '')
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(text))
    return 127
  return /permission denied|is a directory/.test(text) ? 126 : 125
}

function prepare(
  cli: Cli,
  input: { flags: RunFlags; given: ReadonlySet<string>; args: string[] },
): CreateRequest {
  checkPullOption(input.flags.pull)
  const { env, config } = cli
  const request = createRequest({ ...input, env, config, host: cli.client.host.text })
  if (!input.flags.detach) {
    checkTerminal(cli, request.attach.stdin, request.tty)
    return request
  }
  if (input.flags.attach.length > 0)
    throw new CliError('conflicting options: cannot specify both --attach and --detach')
  request.attach = { stdin: false, stdout: false, stderr: false }
  Object.assign(request.body, {
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    StdinOnce: false,
  })
  return request
}

function refused(error: unknown): RunError {
  const { message } = failureOf(error)
  return new RunError(message, { code: startFailureCode(message), cause: error })
}

/** Opens the attach stream and begins to wait, side by side. */
async function connect(cli: Cli, id: string, request: CreateRequest, options: RunFlags) {
  const { attach } = request
  const isAttached = attach.stdin || attach.stdout || attach.stderr
  const detachKeys = options['detach-keys'] || cli.config.detachKeys || ''
  const hijacked = !isAttached
    ? undefined
    : cli.client.hijack('POST', `/containers/${id}/attach`, {
        query: { stream: true, ...attach, detachKeys },
      })
  // Nobody asks for the exit code of a container that is left alone.
  const wait = isAttached ? beginWait(cli, id, options.rm ? 'removed' : 'next-exit') : undefined
  const [stream, exit] = await Promise.all([hijacked, wait])
  const session =
    stream === undefined
      ? undefined
      : new StreamSession(cli, stream, { ...attach, tty: request.tty, detachKeys })
  return { session, exit }
}

async function runContainer(cli: Cli, request: CreateRequest, options: RunFlags): Promise<number> {
  using cleanup = new DisposableStack()
  let id: string
  try {
    id = await createContainer(cli, request, options)
  } catch (error) {
    throw refused(error)
  }
  if (options['sig-proxy'] && !options.detach) cleanup.use(proxySignals(cli, id))
  const { session, exit } = await connect(cli, id, request, options)
  const ended = session?.run()
  // Its failure is reported below; until then it must not count as unhandled.
  ended?.catch(() => {})
  try {
    await cli.client.send('POST', `/containers/${id}/start`)
  } catch (error) {
    session?.abort()
    await ended?.catch(() => {})
    if (options.rm && exit !== undefined) await exit().catch(() => 0)
    throw refused(error)
  }
  if (session !== undefined && request.tty && cli.stdout.isTerminal) {
    cleanup.use(followTerminalSize(cli, `/containers/${id}`))
  }
  if (!request.attach.stdout && !request.attach.stderr) cli.print(id)
  if ((await ended) === 'detached') return 0
  if (exit === undefined || (!request.attach.stdout && !request.attach.stderr)) return 0
  return await exit()
}

/** See the file's description. */
export const command = defineCommand({
  flags,
  count: { min: 1 },
  interspersed: false,
  completes: ['image'],
  run: async (cli, input) => {
    let request: CreateRequest
    try {
      request = prepare(cli, input)
    } catch (error) {
      if (error instanceof CliError) throw error
      throw new RunError(failureOf(error).message, { code: 125, cause: error })
    }
    return await runContainer(cli, request, input.flags)
  },
})
