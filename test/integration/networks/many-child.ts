/**
 * Five hundred endpoints, ten to a container, in a network namespace of this process's own: made, adopted after a restart, half of them
 * forgotten in a crash, all taken away. Prints what is different afterwards, as JSON. Run by many.test.ts.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { endpoint, equalInTheEnd, Lab, run, type Box } from './lab.ts'

const containers = 50
const networks = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']
/** Changed for good, as documented, or moving by themselves. */
const leftAlone = /\/(ip_forward|forwarding|nf_conntrack_(count|buckets|max|expect_max)|netns_ok)$/

/** Every network parameter of the namespace that can be read. */
function sysctls(directory = '/proc/sys/net'): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return sysctls(path)
    if (leftAlone.test(path)) return []
    try {
      return [`${path} ${readFileSync(path, 'utf8').trim()}`]
    } catch {
      return []
    }
  })
}

/** Each reading as lines, so that a difference is short. */
const state = (lab?: Lab) =>
  Object.entries(readings(lab)).flatMap(([kind, lines]) => lines.map((line) => `${kind}: ${line}`))

const output = (...command: string[]) =>
  run(undefined, ...command)
    .output.trim()
    .split('\n')

const readings = (lab?: Lab) => ({
  links: output('ip', '-o', 'link'),
  addresses: output('ip', '-o', 'addr'),
  routes: output('ip', 'route', 'show', 'table', 'all'),
  routes6: output('ip', '-6', 'route', 'show', 'table', 'all'),
  rules: output('nft', 'list', 'ruleset'),
  sysctls: sysctls().toSorted(),
  mounts: readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => lab !== undefined && line.includes(lab.root)),
})

/** Ten ports of the host from `first` on. */
const bindings = (first: number) =>
  Object.fromEntries(
    networks.map((_name, index) => [`${80 + index}/tcp`, [{ HostIp: '', HostPort: String(first + index) }]]),
  )
const rulesOf = () => run(undefined, 'nft', 'list', 'ruleset').output
const addressesOf = async (lab: Lab) =>
  (await Promise.all(networks.map(async (name) => lab.networks.service.inspect(name))))
    .flatMap(({ Containers }) => Object.values(Containers).map(({ IPv4Address }) => IPv4Address))
    .toSorted()

async function adoptAll(lab: Lab, boxes: Box[]): Promise<void> {
  await lab.restart()
  for (const box of boxes) await lab.networks.containers.adopt(box.id, box.state)
  await lab.networks.reconcile(boxes.map(({ id }) => id))
}

run(undefined, 'ip', 'link', 'set', 'lo', 'up')
// What makes its files and modules: parameters of connection tracking appear with the first rule that needs it.
const first = await Lab.start({ warmSandboxes: 0 })
await first[Symbol.asyncDispose]()
const before = state()
const lab = await Lab.start({ warmSandboxes: 0, defaultAddressPools: [{ base: '10.96.0.0/12', size: 20 }] })
for (const [index, name] of networks.entries()) {
  await lab.network(name, { IPAM: { Config: [{ Subnet: `10.95.${index}.0/24` }] } })
}
const boxes: Box[] = []
for (let number = 0; number < containers; number++) {
  boxes.push(
    await lab.up(`c${number}`, {
      endpoints: networks.map((network) => ({ network, settings: endpoint() })),
      portBindings: bindings(20_000 + number * 10),
    }),
  )
}
const [rules, addresses] = [rulesOf(), await addressesOf(lab)]
assert.equal(new Set(addresses).size, containers * networks.length)
await adoptAll(lab, boxes)
assert.equal(rulesOf(), rules, 'adopted, not made anew')
assert.deepEqual(await addressesOf(lab), addresses)
const kept = boxes.filter((_box, index) => index % 2 === 0)
await adoptAll(lab, kept)
assert.equal((await addressesOf(lab)).length, (containers * networks.length) / 2)
await lab.up('late', {
  endpoints: [{ network: 'a', settings: endpoint({ IPAMConfig: { IPv4Address: '10.95.0.3' } }) }],
  portBindings: bindings(20_010),
})
for (const box of kept.slice(0, 10)) await lab.networks.containers.remove(box.id, box.state)
await lab[Symbol.asyncDispose]()
const difference = () => {
  const after = state(lab)
  return {
    more: after.filter((line) => !before.includes(line)),
    less: before.filter((line) => !after.includes(line)),
  }
}
await equalInTheEnd(difference, { more: [], less: [] }, 'nothing is left, nothing is changed')
process.stdout.write('nothing is left\n')
