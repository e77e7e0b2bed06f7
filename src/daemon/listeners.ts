/**
 * The sockets that the daemon answers on: unix sockets with group and mode, TCP with or without TLS, and those
 * that systemd has opened already (sd_listen_fds(3)).
 */
import { chmod, chown, mkdir, readFile, unlink } from 'node:fs/promises'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Server as TlsServer, ServerOptions } from 'node:https'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { Log } from '../lib/log.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import { isLoopback, type Host } from './hosts.ts'

/** What listening needs. */
export type ListenOptions = {
  hosts: readonly Host[]
  /** Group of unix sockets by name or number; one that was not asked for may be missing. */
  group: { name: string; required: boolean }
  tls: ServerOptions | undefined
  /** Names of the sockets systemd passed, first is descriptor 3. */
  systemdSockets: readonly string[]
  makeServer: (tls?: ServerOptions) => Server | TlsServer
  log: Log
}

/** First descriptor that systemd passes. */
const firstSystemdDescriptor = 3

/** Opens all listeners or none. Disposing closes them and removes their files. */
export async function listen(options: ListenOptions): Promise<AsyncDisposable & { addresses: string[] }> {
  await using undo = new AsyncDisposableStack()
  const addresses: string[] = []
  for (const host of options.hosts) {
    for (const opened of await open(host, options)) {
      undo.use(opened)
      addresses.push(opened.address)
      options.log.info('API listens', { address: opened.address })
    }
  }
  const stack = undo.move()
  return { addresses, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

type Opened = AsyncDisposable & { address: string }

async function open(host: Host, options: ListenOptions): Promise<Opened[]> {
  if (host.kind === 'unix') return [await openUnix(host.path, options)]
  if (host.kind === 'tcp') return [await openTcp(host, options)]
  return openSystemd(host.name, options)
}

async function openUnix(path: string, options: ListenOptions): Promise<Opened> {
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  await removeStale(path)
  const server = options.makeServer()
  // Nobody may connect before the mode and the group are right.
  const before = process.umask(0o177)
  try {
    server.listen(path)
    await once(server, 'listening')
  } finally {
    process.umask(before)
  }
  const group = await findGroup(options.group, options.log)
  if (group !== undefined && process.getuid?.() === 0) await chown(path, 0, group)
  await chmod(path, 0o660)
  return {
    address: `unix://${path}`,
    [Symbol.asyncDispose]: () => closeServer(server),
  }
}

/** A socket file that nobody answers on is what a killed daemon left. Throws `conflict` when somebody does. */
async function removeStale(path: string): Promise<void> {
  const probe = connect(path)
  try {
    await once(probe, 'connect')
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT') return
    if (code === 'ECONNREFUSED') {
      await unlink(path)
      return
    }
    throw new EngineError('conflict', `cannot listen on ${path}`, { cause: error })
  } finally {
    probe.destroy()
  }
  throw new EngineError('conflict', `another process answers on ${path}`)
}

async function openTcp(host: Host & { kind: 'tcp' }, options: ListenOptions): Promise<Opened> {
  if (options.tls === undefined) {
    const fields = { address: `${host.address}:${host.port}` }
    const where = isLoopback(host.address)
      ? 'every user and container of this machine'
      : 'everybody on the network'
    options.log.warn(`API is open over TCP without TLS: ${where} who can reach it is root here`, fields)
  }
  const server = options.makeServer(options.tls)
  server.listen({ host: host.address, port: host.port })
  await once(server, 'listening')
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : host.port
  return {
    address: `tcp://${host.address.includes(':') ? `[${host.address}]` : host.address}:${port}`,
    [Symbol.asyncDispose]: () => closeServer(server),
  }
}

async function openSystemd(name: string, options: ListenOptions): Promise<Opened[]> {
  const picked = options.systemdSockets
    .map((socketName, index) => ({ socketName, fd: firstSystemdDescriptor + index }))
    .filter((socket) => name === '' || socket.socketName === name || String(socket.fd) === name)
  if (picked.length === 0) {
    throw new EngineError(
      'invalid',
      'no sockets found via socket activation: make sure the service was started by systemd',
    )
  }
  const opened: Opened[] = []
  for (const { fd } of picked) {
    const server = options.makeServer()
    server.listen({ fd })
    await once(server, 'listening')
    opened.push({ address: `fd://${fd}`, [Symbol.asyncDispose]: () => closeServer(server) })
  }
  return opened
}

async function closeServer(server: Server | TlsServer): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  await closed
}

/** Id of a group. Throws `invalid` for one that was asked for and is not there. */
async function findGroup(group: { name: string; required: boolean }, log: Log): Promise<number | undefined> {
  if (group.name === '') return undefined
  const entries = (await readFile('/etc/group', 'utf8')).split('\n').map((line) => line.split(':'))
  const entry = entries.find((fields) => fields[0] === group.name)
  if (entry !== undefined) return Number(entry[2])
  if (/^[0-9]+$/.test(group.name)) return Number(group.name)
  if (group.required) throw new EngineError('invalid', `group ${group.name} not found`)
  log.debug('the socket is for root alone: its group does not exist', { group: group.name })
  return undefined
}
