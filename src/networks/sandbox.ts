/**
 * A network namespace with what is needed to work in it, and a small store of namespaces made ready: a container's
 * start then only joins a bridge. A namespace ends by being let go of; its links go with it, in the background.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import type { SandboxRequest } from '../spec/sandbox-types.ts'
import { NetlinkSocket, netlinkProtocols, type NetlinkMessage } from '../kernel/netlink.ts'
import { NetworkNamespace, removeNamespace } from '../kernel/netns.ts'
import { findLink, findLinkAside, listLinks, type Link } from '../kernel/rtnetlink-read.ts'
import { createVeth, setLink } from '../kernel/rtnetlink.ts'
import { writeSysctl } from '../kernel/sysctl.ts'
import type { NamespaceOwner } from '../kernel/user-namespace.ts'
import type { Log } from '../lib/log.ts'
import { Semaphore } from '../lib/mutex.ts'

/** A pair of links made ahead: `index` is eth0 inside, `hostName` and `hostIndex` its other end. */
export type SpareLink = { index: number; hostName: string; hostIndex: number }

/** What spare links are made with: a socket in the host's namespace, names, and whose the namespaces are. */
type SpareSource = { socket: NetlinkSocket; linkPrefix: string; owner?: NamespaceOwner | undefined }

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
    parts: { namespace: NetworkNamespace; socket: NetlinkSocket },
  ) {
    this.id = id
    this.path = path
    this.namespace = parts.namespace
    this.#socket = parts.socket
  }

  /** Makes a namespace with its loopback up; `owner` says whose it is, if not the host's. */
  static create(directory: string, owner?: NamespaceOwner): Sandbox {
    const sandbox = Sandbox.#make(directory, owner)
    try {
      sandbox.request([setLink('lo', { up: true })], 'loopback')
      return sandbox
    } catch (error) {
      sandbox.remove()
      throw error
    }
  }

  /**
   * The same with a spare pair of links, the slow parts on other threads. `host` is a socket in the host's namespace
   * that nobody else uses meanwhile; `begun` is told the namespace's file.
   */
  static async createWithSpare(
    directory: string,
    host: SpareSource,
    begun: (path: string) => void,
  ): Promise<Sandbox> {
    const sandbox = Sandbox.#make(directory, host.owner)
    begun(sandbox.path)
    try {
      const { namespace } = sandbox
      const inside = sandbox.#socket
      await inside.requestAside([setLink('lo', { up: true })], 'loopback')
      sandbox.#spare = await createSpare(host, namespace, inside)
      return sandbox
    } catch (error) {
      sandbox.remove()
      throw error
    }
  }

  static #make(directory: string, owner: NamespaceOwner | undefined): Sandbox {
    const id = randomBytes(32).toString('hex')
    const path = join(directory, id.slice(0, 12))
    const created: NetlinkSocket[] = []
    const inside = () => {
      created.push(new NetlinkSocket(netlinkProtocols.route))
      // Neighbours learn at once when an address moves to another link.
      writeSysctl('net/ipv4/conf/default/arp_notify', '1')
    }
    const namespace = NetworkNamespace.create(path, inside, owner)
    const [socket] = created
    if (socket === undefined) throw new Error('no socket was opened')
    return new Sandbox(id, path, { namespace, socket })
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

async function createSpare(
  host: SpareSource,
  namespace: NetworkNamespace,
  inside: NetlinkSocket,
): Promise<SpareLink> {
  const hostName = randomLinkName(host.linkPrefix)
  const pair = createVeth(hostName, {}, { name: 'eth0', namespaceFd: namespace.fd })
  await host.socket.requestAside([pair], 'container link')
  const index = (await findLinkAside(inside, 'eth0'))?.index
  const hostIndex = (await findLinkAside(host.socket, hostName))?.index
  if (index === undefined || hostIndex === undefined) {
    throw new Error(`container link ${hostName} is gone`)
  }
  return { index, hostName, hostIndex }
}

/** A name for a new link on the host. */
export function randomLinkName(prefix: string): string {
  return `${prefix}${randomBytes(4).toString('hex').slice(0, 7)}`
}

/** How sandboxes are kept ready. */
export type SandboxStoreOptions = {
  directory: string
  linkPrefix: string
  size: number
  /** Whose the namespaces of containers are: a user namespace each; undefined for the host's. */
  owner: NamespaceOwner | undefined
  log: Log
}

/** Keeps sandboxes ready. */
export class SandboxStore implements Disposable {
  readonly #directory: string
  readonly #host: SpareSource
  /** The socket's: one pair of links at a time, as the kernel makes them anyway. */
  readonly #turns = new Semaphore(1)
  readonly #size: number
  readonly #log: Log
  readonly #ready: Sandbox[] = []
  readonly #begun = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #filling = false
  #closed = false

  constructor(options: SandboxStoreOptions) {
    const { linkPrefix, owner } = options
    this.#directory = options.directory
    this.#host = { socket: new NetlinkSocket(netlinkProtocols.route), linkPrefix, owner }
    this.#size = options.size
    this.#log = options.log
  }

  /** A sandbox with a spare link, ready or new; one without where the container is not like the others. */
  async take(users: SandboxRequest['userNamespace']): Promise<Sandbox> {
    if (this.#host.owner !== undefined && users !== undefined) return this.takeBare(users)
    const ready = this.#ready.shift()
    this.refill()
    return ready ?? this.#create()
  }

  /** A sandbox without links but its loopback. */
  takeBare(users: SandboxRequest['userNamespace']): Sandbox {
    return Sandbox.create(this.#directory, this.#ownerFor(users))
  }

  #ownerFor(users: SandboxRequest['userNamespace']): NamespaceOwner | undefined {
    const { owner } = this.#host
    if (owner === undefined || users === 'host') return undefined
    return users === undefined ? owner : { ...owner, path: users.path }
  }

  /** Paths of the sandboxes that are ready or are being made: nobody's yet, but not left over either. */
  readyPaths(): string[] {
    return [...this.#ready.map((sandbox) => sandbox.path), ...this.#begun]
  }

  /** Makes what is missing, not at once: somebody may be starting a container. */
  refill(): void {
    if (this.#closed || this.#filling || this.#timer !== undefined || this.#ready.length >= this.#size) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#fill()
    }, refillDelayMs)
    this.#timer.unref()
  }

  /** Never rejects. */
  async #fill(): Promise<void> {
    this.#filling = true
    try {
      while (!this.#isClosed() && this.#ready.length < this.#size) {
        const sandbox = await this.#create()
        if (this.#isClosed()) sandbox.remove()
        else this.#ready.push(sandbox)
      }
    } catch (error) {
      if (!this.#isClosed()) this.#log.warn('cannot make a network sandbox ready', { error })
    } finally {
      this.#filling = false
    }
  }

  async #create(): Promise<Sandbox> {
    using _turn = await this.#turns.acquire()
    if (this.#isClosed()) throw new Error('the daemon ends')
    let path = ''
    try {
      return await Sandbox.createWithSpare(this.#directory, this.#host, (begun) => {
        path = begun
        this.#begun.add(path)
      })
    } finally {
      this.#begun.delete(path)
      if (this.#isClosed()) this.#host.socket[Symbol.dispose]()
    }
  }

  #isClosed(): boolean {
    return this.#closed
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const sandbox of this.#ready.splice(0)) sandbox.remove()
    // A pair of links that is being made needs it to its end.
    if (this.#begun.size === 0) this.#host.socket[Symbol.dispose]()
  }
}

const refillDelayMs = 25
