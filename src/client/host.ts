/** Where an engine listens: Docker's `-H` forms, and how a stream to each is opened. */
import type { Duplex } from 'node:stream'
import { fileErrorMessage } from '../lib/file-error.ts'
import { connectWithBun } from './bun-connection.ts'
import type { Connection } from './connection.ts'
import { ConnectionError } from './errors.ts'

/** TLS material of an endpoint, as file paths. */
export type TlsFiles = { ca?: string; cert?: string; key?: string; verify: boolean }

/** A parsed engine address. `text` is how messages name it. */
export type EngineHost =
  | { kind: 'unix'; text: string; path: string }
  | { kind: 'tcp'; text: string; hostname: string; port: number; basePath: string; tls?: TlsFiles }
  | { kind: 'ssh'; text: string; destination: string; port?: string; path?: string }

function parseUrl(text: string): URL {
  const authority = /^\w+:\/\/([^/]*)/.exec(text)?.[1] ?? ''
  const port = /:([^:\]]*)$/.exec(authority.replace(/^.*@/, '').replace(/^\[[^\]]*\]/, ''))?.[1]
  const badPort = /^[^:[\]]*:[^:]*:/.test(authority) || (port !== undefined && !/^\d*$/.test(port))
  if (badPort) {
    const tail = authority.slice(authority.lastIndexOf(':'))
    throw new Error(`parse ${JSON.stringify(text)}: invalid port ${JSON.stringify(tail)} after host`)
  }
  return new URL(text.replace(/^tcp:/, 'http:'))
}

/** Parses a `-H` value (`unix:///run/x.sock`, `tcp://host:port`, `ssh://user@host`, `host:port`). Throws Docker's text. */
export function parseHost(value: string, tls?: TlsFiles): EngineHost {
  const text = value.includes('://') ? value : value.startsWith('/') ? `unix://${value}` : `tcp://${value}`
  if (text.startsWith('unix://')) return { kind: 'unix', text, path: text.slice(7) || '/var/run/docker.sock' }
  if (text.startsWith('ssh://')) {
    const url = new URL(text)
    const user = url.username === '' ? '' : `${decodeURIComponent(url.username)}@`
    const path = url.pathname === '' || url.pathname === '/' ? {} : { path: url.pathname }
    return {
      kind: 'ssh',
      text,
      destination: user + url.hostname,
      ...(url.port === '' ? {} : { port: url.port }),
      ...path,
    }
  }
  const scheme = text.slice(0, text.indexOf('://'))
  if (!['tcp', 'http', 'https'].includes(scheme)) throw new Error(`unable to parse docker host \`${value}\``)
  const url = parseUrl(text)
  const secure = tls ?? (scheme === 'https' ? { verify: true } : undefined)
  return {
    kind: 'tcp',
    text,
    hostname: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: url.port === '' ? (secure === undefined ? 2375 : 2376) : Number(url.port),
    basePath: url.pathname === '/' ? '' : url.pathname.replace(/\/$/, ''),
    ...(secure === undefined ? {} : { tls: secure }),
  }
}

async function secureStream(host: Extract<EngineHost, { kind: 'tcp' }>, files: TlsFiles): Promise<Duplex> {
  const [tls, { readFile }] = await Promise.all([import('node:tls'), import('node:fs/promises')])
  const read = async (path: string | undefined) => {
    if (path === undefined) return undefined
    try {
      return await readFile(path)
    } catch (error) {
      // Not the engine's absence: the caller's own file.
      const text = `unable to resolve docker endpoint: ${fileErrorMessage(error, path)}`
      throw new ConnectionError(text, { cause: error })
    }
  }
  const [ca, cert, key] = await Promise.all([read(files.ca), read(files.cert), read(files.key)])
  return await new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: host.hostname,
      port: host.port,
      rejectUnauthorized: files.verify,
      ...(/^[\d.]+$|:/.test(host.hostname) ? {} : { servername: host.hostname }),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    })
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

/** Runs `ssh HOST docker system dial-stdio` and joins its stdin and stdout to one stream. */
async function sshStream(host: Extract<EngineHost, { kind: 'ssh' }>): Promise<Duplex> {
  const [{ spawn }, { Duplex }] = await Promise.all([import('node:child_process'), import('node:stream')])
  const remote = 'if command -v wharf >/dev/null; then exec wharf "$@"; else exec docker "$@"; fi'
  const dial =
    host.path === undefined ? ['system', 'dial-stdio'] : ['-H', `unix://${host.path}`, 'system', 'dial-stdio']
  const script = `sh -c '${remote}' - ${dial.join(' ')}`
  const port = host.port === undefined ? [] : ['-p', host.port]
  const child = spawn('ssh', ['-o', 'ConnectTimeout=30', ...port, '--', host.destination, script], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4096)))
  // Input that ssh does not take is no failure of its own: why it ended says more, and comes with its end.
  child.stdin.on('error', () => {})
  const stream = new Duplex({
    read: () => {
      child.stdout.resume()
    },
    write: (chunk, _encoding, done) => {
      child.stdin.write(chunk, () => done())
    },
    final: (done) => {
      child.stdin.end(() => done())
    },
  })
  child.stdout.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) child.stdout.pause()
  })
  child.once('error', (error) => stream.destroy(error))
  child.once('close', (code) => {
    if (code === 0 || code === null) {
      stream.push(null)
      return
    }
    const reason = `command [ssh ${host.destination}] has exited with exit status ${code}`
    stream.destroy(new Error(`${reason}, make sure the URL is valid: stderr=${complaint.trim()}`))
  })
  stream.once('close', () => child.kill())
  return stream
}

/** Opens a stream to the engine. Rejects with the system's error; a stream's own close ends what carries it. */
export async function openStream(host: EngineHost): Promise<Connection> {
  if (host.kind === 'ssh') return await sshStream(host)
  if (host.kind === 'tcp' && host.tls !== undefined) return await secureStream(host, host.tls)
  const connection = host.kind === 'unix' ? await connectWithBun(host.path) : undefined
  if (connection !== undefined) return connection
  const { connect: connectSocket } = await import('node:net')
  return await new Promise((resolve, reject) => {
    const target = host.kind === 'unix' ? { path: host.path } : { host: host.hostname, port: host.port }
    const socket = connectSocket(target)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
    socket.once('error', reject)
  })
}
