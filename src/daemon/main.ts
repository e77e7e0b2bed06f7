/**
 * wharfd: reads the command line and the environment once, starts the daemon, and waits for a signal.
 * SIGTERM and SIGINT end it (containers run on), SIGHUP reloads the configuration.
 */
import { once } from 'node:events'
import { createLog, type LogSink } from '../lib/log.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { defaultConfigFile, parseCommandLine, usage, type CommandLine } from './config.ts'
import { startDaemon } from './daemon.ts'
import { productVersion } from './info.ts'
import { LiveSettings, loadSettings } from './live-settings.ts'

async function main(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const command = parseCommandLine(args)
  if (command.help) {
    process.stdout.write(usage())
    return 0
  }
  if (command.version) {
    process.stdout.write(`Wharf version ${productVersion}, node ${process.versions.node}\n`)
    return 0
  }
  const source = {
    flags: command.settings,
    file: command.configFile ?? defaultConfigFile,
    fileMustExist: command.configFile !== undefined,
  }
  const initial = loadSettings(source)
  if (command.validate) {
    process.stderr.write('configuration OK\n')
    return 0
  }
  const sink: LogSink = { level: 'info', format: 'text', write: (line) => void process.stderr.write(line) }
  const log = createLog(sink)
  const live = new LiveSettings({ initial, source, sink, log: log.child('config') })
  return serve({ live, log, environment, command })
}

type ServeParts = {
  live: LiveSettings
  log: ReturnType<typeof createLog>
  environment: NodeJS.ProcessEnv
  command: CommandLine
}

async function serve({ live, log, environment }: ServeParts): Promise<number> {
  const stopped = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info('stopping', { signal })
      stopped.abort()
    })
  }
  const daemon = await startDaemon({
    live,
    log,
    searchPath: environment['PATH'],
    systemdSockets: passedSockets(environment),
    proxies: {
      http: either(environment, 'HTTP_PROXY'),
      https: either(environment, 'HTTPS_PROXY'),
      none: either(environment, 'NO_PROXY'),
    },
    ...(environment['WHARF_TEST_DIE_AT'] !== undefined && { dieAt: environment['WHARF_TEST_DIE_AT'] }),
    ...(environment['WHARF_TRACE'] !== undefined && { traceFile: environment['WHARF_TRACE'] }),
  })
  process.on('SIGHUP', () => daemon.reload())
  log.info('daemon started', { version: productVersion, pid: process.pid, addresses: daemon.addresses })
  if (!stopped.signal.aborted) await once(stopped.signal, 'abort')
  await daemon[Symbol.asyncDispose]()
  log.info('daemon stopped')
  return 0
}

/** A variable that some write in capitals and some do not. */
function either(environment: NodeJS.ProcessEnv, name: string): string {
  return environment[name] ?? environment[name.toLowerCase()] ?? ''
}

/** Names of the sockets that systemd passed to this process (sd_listen_fds(3)). */
function passedSockets(environment: NodeJS.ProcessEnv): string[] {
  const count = Number(environment['LISTEN_FDS'] ?? 0)
  if (Number(environment['LISTEN_PID'] ?? 0) !== process.pid || !Number.isInteger(count)) return []
  const names = (environment['LISTEN_FDNAMES'] ?? '').split(':')
  return Array.from({ length: count }, (_, index) => names[index] ?? '')
}

try {
  // The one place that reads the environment.
  // oxlint-disable-next-line node/no-process-env
  process.exitCode = await main(process.argv.slice(2), process.env)
} catch (error) {
  const text =
    error instanceof EngineError || !(error instanceof Error) ? errorMessage(error) : (error.stack ?? '')
  process.stderr.write(`wharfd: ${text}\n`)
  process.exitCode = 1
}
