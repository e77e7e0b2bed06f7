/**
 * A network namespace with what is needed to work in it, and a small store of namespaces made ready: a container's
 * start then only joins a bridge. A namespace ends by being let go of; its links go with it, in the background.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import { NetlinkSocket, netlinkProtocols, type NetlinkMessage } from '../kernel/netlink.ts'
import { NetworkNamespace, removeNamespace } from '../kernel/netns.ts'
import { findLink, listLinks, type Link } from '../kernel/rtnetlink-read.ts'
import { createVeth, setLink } from '../kernel/rtnetlink.ts'
import { writeSysctl } from '../kernel/sysctl.ts'
import type { Log } from '../lib/log.ts'

/** A pair of links made ahead: `index` is eth0 inside, `hostName` and `hostIndex` its other end. */
export type SpareLink = { index: number; hostName: string; hostIndex: number }

/** An open sandbox. Closing it lets go of the descriptors, not of the namespace. */
export class Sandbox implements Disposable {
  /** 64 hex digits. */
  readonly id: string
  readonly path: string
  readonly namespace: NetworkNamespace
  readonly #socket: NetlinkSocket
  #spare: SpareLink | undefined

  private constructor(
    id: string,
    path: string,
    parts: { namespace: NetworkNamespace; socket: NetlinkSocket; spare?: SpareLink },
  ) {
    this.id = id
    this.path = path
    this.namespace = parts.namespace
    this.#socket = parts.socket
    this.#spare = parts.spare
  }

  /** Makes a namespace with its loopback up; with `host`, also a spare pair of links. */
  static create(directory: string, host?: { socket: NetlinkSocket; linkPrefix: string }): Sandbox {
    const id = randomBytes(32).toString('hex')
    const path = join(directory, id.slice(0, 12))
    const created: NetlinkSocket[] = []
    const namespace = NetworkNamespace.create(path, () => {
      created.push(new NetlinkSocket(netlinkProtocols.route))
      // Neighbours learn at once when an address moves to another link.
      writeSysctl('net/ipv4/conf/default/arp_notify', '1')
    })
    const [socket] = created
    if (socket === undefined) throw new Error('no socket was opened')
    try {
      socket.request([setLink('lo', { up: true })], 'loopback')
      const spare = host === undefined ? undefined : createSpare(host, namespace, socket)
      return new Sandbox(id, path, { namespace, socket, ...(spare === undefined ? {} : { spare }) })
    } catch (error) {
      socket[Symbol.dispose]()
      namespace[Symbol.dispose]()
      removeNamespace(path)
      throw error
    }
  }

  /** Opens a sandbox that is there. Throws ENOENT, or EINVAL for a file that is no namespace. */
  static open(id: string, path: string): Sandbox {
    const namespace = NetworkNamespace.open(path)
    try {
      const socket = namespace.run(() => new NetlinkSocket(netlinkProtocols.route))
      return new Sandbox(id, path, { namespace, socket })
    } catch (error) {
      namespace[Symbol.dispose]()
      throw error
    }
  }

  /** The pair of links made ahead, once. */
  takeSpare(): SpareLink | undefined {
    const spare = this.#spare
    this.#spare = undefined
    return spare
  }

  /** Changes links, addresses or routes inside. */
  request(messages: NetlinkMessage[], what: string, tolerate: readonly string[] = []): void {
    this.#socket.request(messages, what, tolerate)
  }

  /** The links inside. */
  links(): Link[] {
    return listLinks(this.#socket)
  }

  /** The link of that name inside. */
  findLink(name: string): Link | undefined {
    return findLink(this.#socket, name)
  }

  /** The first name of the form `eth0`, `eth1` ... that no link inside has; `spare` does not count. */
  freeLinkName(prefix: string, spare?: SpareLink): string {
    const used = new Set(
      this.links()
        .filter((link) => link.index !== spare?.index)
        .map((link) => link.name),
    )
    for (let number = 0; ; number++) {
      if (!used.has(`${prefix}${number}`)) return `${prefix}${number}`
    }
  }

  /** Sets a parameter inside. Throws what the kernel says. */
  writeParameter(name: string, value: string): void {
    this.namespace.run(() => writeSysctl(name, value))
  }

  /** Sets a parameter inside; kernels without it are left alone. */
  setParameter(name: string, value: string): void {
    try {
      this.writeParameter(name, value)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
  }

  /** Ends the namespace, once no process is in it any more. Idempotent. */
  remove(): void {
    this[Symbol.dispose]()
    removeNamespace(this.path)
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
    this.namespace[Symbol.dispose]()
  }
}

function createSpare(
  host: { socket: NetlinkSocket; linkPrefix: string },
  namespace: NetworkNamespace,
  inside: NetlinkSocket,
): SpareLink {
  const hostName = randomLinkName(host.linkPrefix)
  host.socket.request(
    [createVeth(hostName, {}, { name: 'eth0', namespaceFd: namespace.fd })],
    'container link',
  )
  const index = findLink(inside, 'eth0')?.index
  const hostIndex = findLink(host.socket, hostName)?.index
  if (index === undefined || hostIndex === undefined) {
    throw new Error(`container link ${hostName} is gone`)
  }
  return { index, hostName, hostIndex }
}

/** A name for a new link on the host. */
export function randomLinkName(prefix: string): string {
  return `${prefix}${randomBytes(4).toString('hex').slice(0, 7)}`
}

/** Keeps sandboxes ready. */
export class SandboxStore implements Disposable {
  readonly #directory: string
  readonly #host: { socket: NetlinkSocket; linkPrefix: string }
  readonly #size: number
  readonly #log: Log
  readonly #ready: Sandbox[] = []
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: {
    directory: string
    host: { socket: NetlinkSocket; linkPrefix: string }
    size: number
    log: Log
  }) {
    this.#directory = options.directory
    this.#host = options.host
    this.#size = options.size
    this.#log = options.log
  }

  /** A sandbox with a spare link, ready or new. */
  take(): Sandbox {
    const sandbox = this.#ready.shift() ?? Sandbox.create(this.#directory, this.#host)
    this.refill()
    return sandbox
  }

  /** A sandbox without links but its loopback. */
  takeBare(): Sandbox {
    return Sandbox.create(this.#directory)
  }

  /** Paths of the sandboxes that are ready: nobody's yet, but not left over either. */
  readyPaths(): string[] {
    return this.#ready.map((sandbox) => sandbox.path)
  }

  /** Makes what is missing, one at a time and not at once: somebody may be starting a container. */
  refill(): void {
    if (this.#closed || this.#timer !== undefined || this.#ready.length >= this.#size) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      try {
        this.#ready.push(Sandbox.create(this.#directory, this.#host))
      } catch (error) {
        this.#log.warn('cannot make a network sandbox ready', { error })
        return
      }
      this.refill()
    }, refillDelayMs)
    this.#timer.unref()
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const sandbox of this.#ready.splice(0)) sandbox.remove()
  }
}

const refillDelayMs = 25
