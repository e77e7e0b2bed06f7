/** A place of its own for a test: an instance with names nobody else has, and hosts outside of it. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { containerId, type ContainerId } from '../../../src/spec/ids.ts'
import { EndpointSettings } from '../../../src/spec/container-config.ts'
import type { SandboxRequest, SandboxState } from '../../../src/spec/sandbox-types.ts'
import { NetworkCreate } from '../../../src/spec/network-types.ts'
import { removeNamespace } from '../../../src/kernel/netns.ts'
import { NetlinkSocket } from '../../../src/kernel/netlink.ts'
import { Nftables } from '../../../src/kernel/nftables.ts'
import { findLink, listLinks } from '../../../src/kernel/rtnetlink-read.ts'
import { addAddress, createVeth, deleteLink, replaceRoute, setLink } from '../../../src/kernel/rtnetlink.ts'
import { randomIds, systemClock } from '../../../src/lib/clock.ts'
import { createLog } from '../../../src/lib/log.ts'
import { Plugins } from '../../../src/lib/plugin-client.ts'
import { Networks } from '../../../src/networks/networks.ts'
import { Sandbox } from '../../../src/networks/sandbox.ts'
import { defaultNetworkSettings, type NetworkDaemonSettings } from '../../../src/networks/settings.ts'
import { projectRoot } from '../../fixtures/test-daemon.ts'
import { Database } from '../../../src/store/database.ts'

const prefix = 'wt'

/** Ends what killed runs have left: their names hold their process's number. */
function sweep(): void {
  const isDead = (name: string) => {
    const pid = new RegExp(`^${prefix}(\\d+)[a-z]`).exec(name)?.[1]
    return pid !== undefined && !existsSync(`/proc/${pid}`)
  }
  using socket = new NetlinkSocket(0)
  for (const link of listLinks(socket)) {
    if (isDead(link.name)) socket.request([deleteLink(link.index)], link.name, ['ENODEV'])
  }
  for (const name of readdirSync(tmpdir())) {
    const pid = /^wharf-net-(\d+)-/.exec(name)?.[1]
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    for (const directory of ['run/netns', 'outside'].map((part) => join(tmpdir(), name, part))) {
      if (!existsSync(directory)) continue
      for (const file of readdirSync(directory)) removeNamespace(join(directory, file))
    }
    const bridges = join(tmpdir(), name, 'run/bridges')
    for (const bridge of existsSync(bridges) ? readdirSync(bridges) : []) {
      socket.request([deleteLink(bridge)], bridge, ['ENODEV'])
    }
    rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
  using nftables = new Nftables()
  for (const line of nftables.run('list tables').split('\n')) {
    const [, family, name] = line.split(' ')
    if (name !== undefined && isDead(name)) nftables.run(`delete table ${family} ${name}`)
  }
}

/** How long plugins are waited for. */
const patience = { retryMs: 500, answerMs: { usual: 1500, long: 1500, short: 700 } }

let count = 0

/** See the file's head. */
export class Lab implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), `wharf-net-${process.pid}-`))
  readonly settings: NetworkDaemonSettings
  readonly events: string[] = []
  readonly #outside: Sandbox[] = []
  readonly #socket = new NetlinkSocket(0)
  database: Database
  networks: Networks

  private constructor(settings: Partial<NetworkDaemonSettings>) {
    const letter = String.fromCodePoint(97 + (count++ % 26))
    const instance = `${prefix}${process.pid}${letter}`
    const subnet = 1 + ((process.pid * 26 + count) % 250)
    this.settings = {
      ...defaultNetworkSettings,
      instance,
      runRoot: join(this.root, 'run'),
      keeperProgram: join(projectRoot, 'build/wharf-net'),
      bridgeName: `${instance}b`,
      linkPrefix: instance,
      warmSandboxes: 2,
      defaultAddressPools: [{ base: `10.${subnet}.0.0/16`, size: 24 }],
      uniqueLocalPrefix: `fd77:0:${subnet.toString(16)}::/48`,
      ...settings,
    }
    this.database = new Database(join(this.root, 'db'))
    this.networks = this.#build()
  }

  static async start(settings: Partial<NetworkDaemonSettings> = {}): Promise<Lab> {
    sweep()
    const lab = new Lab(settings)
    await lab.networks.start()
    return lab
  }

  #build(): Networks {
    return new Networks({
      settings: this.settings,
      database: this.database,
      log: createLog({ level: 'warn', format: 'text', write: (line) => void process.stderr.write(line) }),
      events: {
        emit: ({ type, action, attributes }) =>
          void this.events.push(`${type} ${action} ${attributes['name'] ?? ''}`.trim()),
      },
      clock: systemClock,
      ids: randomIds,
      plugins: new Plugins({ sockets: [join(this.root, 'plugins')], specifications: [] }, patience),
    })
  }

  /** As after `kill -9` of the daemon: sockets close, nothing is put away. */
  async restart(): Promise<void> {
    await this.networks[Symbol.asyncDispose]()
    this.database[Symbol.dispose]()
    this.database = new Database(join(this.root, 'db'))
    this.networks = this.#build()
    await this.networks.start()
  }

  request(name: string, changes: Partial<SandboxRequest> = {}): SandboxRequest {
    const id = containerId(randomIds.hex64())
    const directory = join(this.root, 'containers', id)
    mkdirSync(directory, { recursive: true })
    return {
      containerId: id,
      containerName: name,
      hostname: id.slice(0, 12),
      domainname: '',
      mode: 'own',
      endpoints: [{ network: 'bridge', settings: endpoint() }],
      portBindings: {},
      exposedPorts: [],
      publishAllPorts: false,
      dns: [],
      dnsSearch: [],
      dnsOptions: [],
      extraHosts: [],
      links: [],
      sysctls: {},
      directory,
      ...changes,
    }
  }

  async up(name: string, changes: Partial<SandboxRequest> = {}): Promise<Box> {
    const request = this.request(name, changes)
    const state = await this.networks.containers.create(request, AbortSignal.timeout(10_000))
    return { id: request.containerId, request, state }
  }

  async network(name: string, fields: Record<string, unknown> = {}): Promise<string> {
    const created = await this.networks.service.create(NetworkCreate.parse({ Name: name, ...fields }))
    return created.Id
  }

  /** A namespace beside the host, joined by a cable: an outside host. Answers it, its address and the host's. */
  outside(): { path: string; address: string; hostAddress: string } {
    const sandbox = Sandbox.create(join(this.root, 'outside'))
    this.#outside.push(sandbox)
    const link = `${this.settings.instance}o`
    const third = (process.pid + this.#outside.length) % 250
    this.#socket.request([createVeth(link, {}, { name: 'eth0', namespaceFd: sandbox.namespace.fd })], 'cable')
    const host = findLink(this.#socket, link)!.index
    const inside = sandbox.findLink('eth0')!.index
    const bytes = (last: number) => Buffer.from([10, 254, third, last])
    this.#socket.request(
      [setLink(host, { up: true }), addAddress({ index: host, address: bytes(1), prefixLength: 24 })],
      'cable',
    )
    sandbox.request(
      [
        setLink(inside, { up: true }),
        addAddress({ index: inside, address: bytes(2), prefixLength: 24 }),
        replaceRoute({ index: inside, gateway: bytes(1) }),
      ],
      'cable',
    )
    return { path: sandbox.path, address: `10.254.${third}.2`, hostAddress: `10.254.${third}.1` }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sandbox of this.#outside) sandbox.remove()
    this.#socket.request([deleteLink(`${this.settings.instance}o`)], 'cable', ['ENODEV'])
    await this.networks.destroy()
    await this.networks[Symbol.asyncDispose]()
    this.database[Symbol.dispose]()
    this.#socket[Symbol.dispose]()
    rmSync(this.root, { recursive: true, force: true })
  }
}

/** A container's network, without a container. */
export type Box = { id: ContainerId; request: SandboxRequest; state: SandboxState }

/** Endpoint settings as a client would send them. */
export function endpoint(fields: Record<string, unknown> = {}): EndpointSettings {
  return EndpointSettings.parse(fields)
}

/** Runs a command in a namespace (undefined: on the host); answers its exit code and output. */
export function run(path: string | undefined, ...command: string[]): { code: number | null; output: string } {
  const [program = '', ...rest] = path === undefined ? command : ['nsenter', `--net=${path}`, ...command]
  const result = spawnSync(program, rest, { encoding: 'utf8', timeout: 15_000 })
  return { code: result.status, output: result.stdout + result.stderr }
}

/** The same without blocking this process, for what it has to serve meanwhile. */
export async function runBeside(
  path: string,
  ...command: string[]
): Promise<{ code: number | null; output: string }> {
  const child = spawn('nsenter', [`--net=${path}`, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 15_000,
  })
  const [output, error, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { code: typeof code === 'number' ? code : null, output: output + error }
}

/**
 * Asserts what `read` answers in the end. The kernel takes namespaces apart in the background, and the links in them
 * go after their namespace, so what is left is only known after a while.
 */
export async function equalInTheEnd<T>(
  read: () => T | Promise<T>,
  expected: T,
  message: string,
): Promise<void> {
  const deadlineMs = Date.now() + 20_000
  for (;;) {
    const actual = await read()
    if (isDeepStrictEqual(actual, expected)) return
    if (Date.now() > deadlineMs) assert.deepEqual(actual, expected, message)
    await delay(20)
  }
}

/** Whether `path` reaches the address by ICMP. */
export function pings(path: string | undefined, address: string): boolean {
  return run(path, 'busybox', 'ping', '-c', '1', '-W', '1', address).code === 0
}

/** A server in a namespace that answers every connection with `text` and the client's address. */
export async function serve(path: string, port: number, text: string, bind = '0.0.0.0'): Promise<Disposable> {
  const address = bind.includes(':')
    ? `TCP6-LISTEN:${port},bind=[${bind}]`
    : `TCP4-LISTEN:${port},bind=${bind}`
  const child = spawn(
    'nsenter',
    [
      `--net=${path}`,
      'socat',
      '-d',
      '-d',
      `${address},fork,reuseaddr`,
      `SYSTEM:echo ${text} $SOCAT_PEERADDR`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  while (!log.includes('listening on')) {
    const [chunk] = await once(child.stderr, 'data')
    log += String(chunk)
  }
  child.stderr.resume()
  return { [Symbol.dispose]: () => void child.kill('SIGKILL') }
}

/** What a server says to a client in `path`, or empty when it is not reached. */
export function ask(path: string | undefined, address: string, port: number): string {
  const host = address.includes(':') ? `TCP6:[${address}]` : `TCP4:${address}`
  const result = run(path, 'socat', '-T', '2', '-', `${host}:${port},connect-timeout=1`)
  return result.code === 0 ? result.output.trim() : ''
}
