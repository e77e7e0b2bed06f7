/** The contracts of network and IPAM drivers, for all there are. */
import { BridgeDriver } from '../../../src/networks/bridge-driver.ts'
import { Firewall } from '../../../src/networks/firewall.ts'
import { HostForward } from '../../../src/networks/host-forward.ts'
import { ParentDriver } from '../../../src/networks/parent-driver.ts'
import { createLog } from '../../../src/lib/log.ts'
import { DefaultIpam, dockerDefaultPools } from '../../../src/networks/ipam.ts'
import { driverContract } from './driver-contract.ts'
import { ipamContract } from './ipam-contract.ts'

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

ipamContract('default', () => new DefaultIpam(dockerDefaultPools, 'fd00:1::/48'))
