/** The registry's process: reads the command line and the environment once, and runs one of its commands. */
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { flag, parseFlags } from '../lib/flags.ts'
import { systemClock } from '../lib/clock.ts'
import { createLog, type Log } from '../lib/log.ts'
import { TaskGroup } from '../lib/task-group.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { collect } from './collect.ts'
import { loadConfig, type RegistryConfig } from './config.ts'
import { htpasswdLine } from './htpasswd.ts'
import { rebuildIndex } from './rebuild.ts'
import { startRegistry } from './registry.ts'
import { openStore } from './store.ts'

const flags = {
  addr: flag.string('Address to listen on', { type: 'host:port' }),
  data: flag.string('Folder of blobs and index', { type: 'dir' }),
  config: flag.string('Configuration file', { type: 'file' }),
  'dry-run': flag.bool('Say what would be removed, and remove nothing'),
  untagged: flag.bool('Remove manifests that nothing leads to'),
}
const usage = `usage: wharf-registry COMMAND [--config FILE] [--data DIR]

  serve [--addr HOST:PORT]        run the registry in the foreground
  index                           build the index anew from the folder
  collect [--dry-run] [--untagged]  remove what nothing needs, while no registry runs
  htpasswd NAME                   print a line for the file of users; the password comes on standard input

A registry that runs is told to collect by POST /_wharf/collect, and reads its configuration again on SIGHUP.`

async function main(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const [command = '', ...rest] = args
  const { values, given, args: extra, help } = parseFlags(flags, rest)
  if (help || command === '--help') {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  if (command === 'htpasswd') {
    const [name, ...more] = extra
    if (name === undefined || more.length > 0) throw new EngineError('invalid', usage)
    const password = (await text(process.stdin)).split(/\r?\n/)[0] ?? ''
    process.stdout.write(await htpasswdLine(name, password))
    return 0
  }
  if (extra.length > 0) throw new EngineError('invalid', usage)
  const load = () =>
    loadConfig({
      file: given.has('config') ? values.config : undefined,
      environment,
      flags: {
        ...(given.has('addr') ? { addr: values.addr } : {}),
        ...(given.has('data') ? { data: values.data } : {}),
      },
    })
  const config = await load()
  const output = bufferedStderr()
  const log = createLog({ level: config.log.level, format: config.log.format, write: output.write })
  try {
    if (command === 'serve') await serve(config, log, load)
    else if (command === 'index') await rebuild(config, log)
    else if (command === 'collect') {
      await collectOffline(config, log, { dryRun: values['dry-run'], untagged: values.untagged })
    } else throw new EngineError('invalid', usage)
  } finally {
    output.flush()
  }
  return 0
}

async function serve(config: RegistryConfig, log: Log, load: () => Promise<RegistryConfig>): Promise<void> {
  const stopped = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info('stopping', { signal })
      stopped.abort()
    })
  }
  await using registry = await startRegistry({ config, log })
  await using tasks = new TaskGroup(log)
  let reloading: Promise<void> = Promise.resolve()
  const reloadAfter = async (before: Promise<void>) => {
    await before.catch(() => {})
    await registry.reload(await load())
    log.info('configuration reloaded')
  }
  process.on('SIGHUP', () => {
    // One after the other: what was read last holds.
    reloading = reloadAfter(reloading)
    tasks.run('reload', () => reloading)
  })
  const { address, port } = registry.address
  log.info('registry started', { address, port, data: config.data })
  if (!stopped.signal.aborted) await once(stopped.signal, 'abort')
}

async function rebuild(config: RegistryConfig, log: Log): Promise<void> {
  await using store = await openStore(config, { clock: systemClock, log })
  if (!(await store.journal.settled())) {
    throw new EngineError(
      'unavailable',
      'the folder cannot be brought up to date: building the index would lose changes',
    )
  }
  const result = await rebuildIndex({ ...store, log })
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

async function collectOffline(
  config: RegistryConfig,
  log: Log,
  options: { dryRun: boolean; untagged: boolean },
): Promise<void> {
  // Nobody else is at work, so nobody has to be given time.
  const alone = { ...config, collect: { ...config.collect, grace: 0 } }
  await using store = await openStore(alone, { clock: systemClock, log })
  const { retention, untagged } = config.collect
  const result = await collect(store, {
    retention,
    dryRun: options.dryRun,
    untagged: options.untagged || untagged,
  })
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

/** Standard error written in pieces of many lines: a busy registry logs every request. */
function bufferedStderr(): { write: (line: string) => void; flush: () => void } {
  let lines: string[] = []
  const flush = () => {
    if (lines.length === 0) return
    const text = lines.join('')
    lines = []
    process.stderr.write(text)
  }
  const write = (line: string) => {
    if (lines.length === 0) setTimeout(flush, flushMs).unref()
    lines.push(line)
    if (lines.length >= mostLines) flush()
  }
  return { write, flush }
}

const flushMs = 20
const mostLines = 500

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
