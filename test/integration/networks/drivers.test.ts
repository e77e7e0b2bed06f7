/** The contracts of network and IPAM drivers, for all there are. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { BridgeDriver } from '../../../src/networks/bridge-driver.ts'
import { Firewall } from '../../../src/networks/firewall.ts'
import { HostForward } from '../../../src/networks/host-forward.ts'
import { ParentDriver } from '../../../src/networks/parent-driver.ts'
import { createLog, silentLog } from '../../../src/lib/log.ts'
import { Plugins } from '../../../src/lib/plugin-client.ts'
import { PluginNetworkDriver } from '../../../src/networks/plugin-driver.ts'
import { PluginIpam } from '../../../src/networks/plugin-ipam.ts'
import { startNetworkPlugin } from '../../fixtures/network-plugin.ts'
import { DefaultIpam, dockerDefaultPools } from '../../../src/networks/ipam.ts'
import { driverContract } from './driver-contract.ts'
import { ipamContract } from './ipam-contract.ts'
import type { Lab } from './lab.ts'

const log = createLog({ level: 'warn', format: 'text', write: (line) => void process.stderr.write(line) })

driverContract('bridge', ({ settings }, socket) => {
  const firewall = new Firewall(settings.instance, log)
  const hostForward = new HostForward(settings.instance, log)
  return {
    driver: new BridgeDriver(socket, { firewall, hostForward }, settings),
    options: {},
    [Symbol.dispose]: () => {
      firewall[Symbol.dispose]()
      hostForward[Symbol.dispose]()
    },
  }
})

driverContract('macvlan without a parent', ({ settings }, socket) => ({
  driver: new ParentDriver('macvlan', socket, settings),
  options: {},
  [Symbol.dispose]: () => {},
}))

driverContract('macvlan on a link', (lab, socket) => {
  lab.outside()
  return {
    driver: new ParentDriver('macvlan', socket, lab.settings),
    options: { parent: `${lab.settings.instance}o` },
    [Symbol.dispose]: () => {},
  }
})

/** A plugin of the lab's, found by the name `own`. */
async function pluginOf(lab: Lab) {
  mkdirSync(join(lab.root, 'plugins'), { recursive: true })
  const { instance: prefix } = lab.settings
  return startNetworkPlugin(join(lab.root, 'plugins/own.sock'), { prefix, base: '10.251.0.0/16' })
}

driverContract('a plugin', async (lab, socket) => {
  const plugin = await pluginOf(lab)
  const plugins = new Plugins({ sockets: [join(lab.root, 'plugins')], specifications: [] })
  return {
    driver: new PluginNetworkDriver('own', plugins, { socket, log: silentLog }),
    options: {},
    [Symbol.asyncDispose]: async () => {
      assert.deepEqual([plugin.networks.size, plugin.endpoints.size], [0, 0])
      await plugin[Symbol.asyncDispose]()
    },
  }
})

ipamContract('default', () => new DefaultIpam(dockerDefaultPools, 'fd00:1::/48'))

const ended = new AsyncDisposableStack()
after(async () => ended.disposeAsync())

ipamContract(
  'a plugin',
  async () => {
    const sockets = mkdtempSync(join(tmpdir(), 'wharf-ipam-'))
    ended.defer(() => rmSync(sockets, { recursive: true, force: true }))
    ended.use(await startNetworkPlugin(join(sockets, 'own.sock'), { prefix: '', base: '10.250.0.0/16' }))
    return new PluginIpam('own', new Plugins({ sockets: [sockets], specifications: [] }), silentLog)
  },
  {
    full: 'IpamDriver.RequestAddress: no available addresses on this pool',
    foreign: 'IpamDriver.RequestAddress: requested address is out of range',
    overlap:
      'IpamDriver.RequestPool: invalid pool request: Pool overlaps with other one on this address space',
  },
)
