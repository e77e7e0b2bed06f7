/** Where forwarded output goes: one connection to a syslog server or to the journal. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { UnixDatagramSocket } from '../../kernel/unix-datagram.ts'
import { errorCode } from '../../spec/errors.ts'
import { journalMessage } from './journald-format.ts'
import { chosenAttributes } from './log-attributes.ts'
import type { LogSubject } from './log-attributes.ts'
import { syslogAddress } from './log-options.ts'
import type { LogOptions, SyslogAddress } from './log-options.ts'
import { parseFacility, parseSyslogFormat, syslogMessage } from './syslog-format.ts'
import type { SyslogMessageOptions } from './syslog-format.ts'

/** A record on its way out. */
export type ForwardedLine = {
  stream: 'stdout' | 'stderr'
  timeNs: bigint
  /** Without its line feed. */
  line: Buffer
  /** A piece of a line that goes on. */
  partial: boolean
}

/** Takes lines. `send` resolves when the other side, or the kernel on its behalf, has them all. */
export interface LogTarget extends Disposable {
  send(lines: readonly ForwardedLine[], signal: AbortSignal): Promise<void>
}

const localSyslog = ['/dev/log', '/var/run/syslog', '/var/run/log']
const journalSocket = '/run/systemd/journal/socket'
const fullQueueMs = 5

/** Connects to what the options name. Rejects when it cannot be reached. */
export async function connectSyslog(options: LogOptions, tag: string): Promise<LogTarget> {
  const format = parseSyslogFormat(options['syslog-format'] ?? '')
  const message: SyslogMessageOptions = {
    format,
    facility: parseFacility(options['syslog-facility'] ?? ''),
    tag,
    hostname: hostname(),
    pid: process.pid,
  }
  const encode = ({ stream, timeNs, line }: ForwardedLine) =>
    syslogMessage(message, stream, Number(timeNs / 1_000_000n), line)
  const address = syslogAddress(options['syslog-address'])
  if (address.kind === 'udp') return await udpTarget(address, encode)
  if (address.kind === 'local') return datagramTarget(firstOf(localSyslog), encode)
  if (address.kind === 'unixgram') return datagramTarget(new UnixDatagramSocket(address.path), encode)
  const counted = address.kind === 'tls' && format.startsWith('rfc5424')
  return await streamTarget(await connectStream(address, options), (line) => {
    const bytes = encode(line)
    // RFC 5425 counts octets over TLS; a line feed ends a message elsewhere.
    return counted
      ? Buffer.concat([Buffer.from(`${bytes.length} `), bytes])
      : Buffer.concat([bytes, Buffer.from('\n')])
  })
}

/** Connects to the journal of this machine. Throws when it has none. */
export function connectJournal(subject: LogSubject, tag: string, socket = journalSocket): LogTarget {
  const fields = {
    ...chosenAttributes(subject, journalKey),
    CONTAINER_ID: subject.id.slice(0, 12),
    CONTAINER_ID_FULL: subject.id,
    CONTAINER_NAME: subject.name.replace(/^\//, ''),
    CONTAINER_TAG: tag,
    IMAGE_NAME: subject.imageName,
    SYSLOG_IDENTIFIER: tag,
  }
  return datagramTarget(new UnixDatagramSocket(socket), (line) => journalMessage(fields, line))
}

/** The journal takes capital letters, digits and underscores, the first of them no underscore. */
function journalKey(key: string): string {
  return key
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '')
}

function firstOf(paths: readonly string[]): UnixDatagramSocket {
  let failure: unknown
  for (const path of paths) {
    try {
      return new UnixDatagramSocket(path)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

function datagramTarget(socket: UnixDatagramSocket, encode: (line: ForwardedLine) => Buffer): LogTarget {
  return {
    send: async (lines, signal) => {
      for (const line of lines) await sendWhenFree(socket, encode(line), signal)
    },
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  }
}

async function sendWhenFree(socket: UnixDatagramSocket, message: Buffer, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      socket.send(message)
      return
    } catch (error) {
      // Too long for a datagram: the receiver could never take it.
      if (errorCode(error) === 'EMSGSIZE') return
      if (errorCode(error) !== 'EAGAIN') throw error
    }
    await delay(fullQueueMs, undefined, { signal })
  }
}

async function udpTarget(
  { host, port }: { host: string; port: number },
  encode: (line: ForwardedLine) => Buffer,
): Promise<LogTarget> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('error', reject)
  socket.connect(port, host, resolve)
  await promise
  // Nobody listens at the moment: datagrams are allowed to get lost.
  socket.on('error', () => {})
  return {
    send: async (lines) => {
      for (const line of lines) {
        await new Promise<void>((done) => {
          socket.send(encode(line), () => done())
        })
      }
    },
    [Symbol.dispose]: () => {
      socket.close()
    },
  }
}

type StreamAddress = Exclude<SyslogAddress, { kind: 'local' | 'udp' | 'unixgram' }>

async function connectStream(address: StreamAddress, options: LogOptions): Promise<Socket> {
  if (address.kind !== 'tls') {
    const socket = connect('path' in address ? { path: address.path } : { ...address })
    await once(socket, 'connect')
    return socket
  }
  const file = (option: string) => {
    const path = options[option] ?? ''
    return path === '' ? undefined : readFileSync(path)
  }
  const [ca, cert, key] = [file('syslog-tls-ca-cert'), file('syslog-tls-cert'), file('syslog-tls-key')]
  const socket = connectTls({
    host: address.host,
    port: address.port,
    servername: address.host,
    rejectUnauthorized: options['syslog-tls-skip-verify'] === undefined,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  })
  await once(socket, 'secureConnect')
  return socket
}

async function streamTarget(socket: Socket, encode: (line: ForwardedLine) => Buffer): Promise<LogTarget> {
  let failure: Error | undefined
  socket.on('error', (error) => {
    failure = error
  })
  socket.on('close', () => {
    failure ??= new Error('connection closed')
  })
  // What a server answers is of no interest, but its end has to be noticed.
  socket.resume()
  return {
    send: async (lines, signal) => {
      if (failure !== undefined) throw failure
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const onAbort = () => reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      socket.write(Buffer.concat(lines.map(encode)), (error) => (error ? reject(error) : resolve()))
      try {
        await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
    [Symbol.dispose]: () => {
      socket.destroySoon()
    },
  }
}
