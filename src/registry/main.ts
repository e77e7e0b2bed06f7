/** The registry's process: reads the command line and the environment once, and runs one of its commands. */
import { once } from 'node:events'
import { flag, parseFlags } from '../lib/flags.ts'
import { createLog, type LogSink } from '../lib/log.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { loadConfig, type RegistryConfig } from './config.ts'
import { startRegistry } from './registry.ts'

const flags = {
  addr: flag.string('Address to listen on', { type: 'host:port' }),
  data: flag.string('Folder of blobs and index', { type: 'dir' }),
  config: flag.string('Configuration file', { type: 'file' }),
}

async function main(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const [command = '', ...rest] = args
  const { values, given, args: extra } = parseFlags(flags, rest)
  if (command !== 'serve' || extra.length > 0) {
    throw new EngineError('invalid', 'usage: serve [--addr HOST:PORT] [--data DIR] [--config FILE]')
  }
  const config = await loadConfig({
    file: given.has('config') ? values.config : undefined,
    environment,
    flags: {
      ...(given.has('addr') ? { addr: values.addr } : {}),
      ...(given.has('data') ? { data: values.data } : {}),
    },
  })
  return await serve(config)
}

async function serve(config: RegistryConfig): Promise<number> {
  const sink: LogSink = {
    level: config.log.level,
    format: config.log.format,
    write: (line) => void process.stderr.write(line),
  }
  const log = createLog(sink)
  const stopped = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info('stopping', { signal })
      stopped.abort()
    })
  }
  await using registry = await startRegistry({ config, log })
  log.info('registry started', { address: registry.address.address, port: registry.address.port })
  if (!stopped.signal.aborted) await once(stopped.signal, 'abort')
  return 0
}

try {
  // The one place that reads the environment.
  // oxlint-disable-next-line node/no-process-env
  process.exitCode = await main(process.argv.slice(2), process.env)
} catch (error) {
  const text =
    error instanceof EngineError || !(error instanceof Error) ? errorMessage(error) : (error.stack ?? '')
  process.stderr.write(`wharf registry: ${text}\n`)
  process.exitCode = 1
}
