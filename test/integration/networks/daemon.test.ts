/** The networks of a whole daemon. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'
import { ask, equalInTheEnd, run } from './lab.ts'
import { docker, World } from './world.ts'

const serving = ['busybox', 'nc', '-ll', '-p', '80', '-e', 'echo', 'hello']

for (const backend of ['nft', 'legacy']) {
  const skip = spawnSync('unshare', ['--net', `iptables-${backend}`, '-L']).status !== 0
  test(
    `a host that drops by policy lets containers through, its own rules first (${backend})`,
    { skip },
    async () => {
      using world = new World()
      const iptables = (...args: string[]) => world.sh(`iptables-${backend}`, '-w', ...args)
      iptables('-P', 'FORWARD', 'DROP')
      await using daemon = await startDaemon({ namespace: world.host.path })
      await daemon.loadBusybox()
      await docker(daemon, 'run', '-d', '--name', 'web', '-p', '8080:80', ...serving)
      const reached = () => ask(world.outside.path, world.address, 8080)
      await eventually('the published port is reached', () => reached() === 'hello')
      const ping = ['exec', 'web', 'ping', '-c1', '-W2', world.outsideAddress]
      await eventually('outwards, too', async () => (await daemon.docker(ping)).code === 0)
      assert.match(iptables('-L', 'FORWARD'), /policy DROP/, 'the listing can still be read')

      iptables('-A', 'FORWARD', '-p', 'tcp', '--dport', '80', '-j', 'DROP')
      iptables('-F', 'WHARF-FORWARD-' + daemon.names.instance)
      await docker(daemon, 'network', 'create', 'other')
      await eventually('a rule of the host decides, although it came later', () => reached() === '')
      iptables('-F', 'FORWARD')
      await docker(daemon, 'network', 'rm', 'other')
      await eventually('it is reached after the host’s firewall was loaded anew', () => reached() === 'hello')

      iptables('-P', 'FORWARD', 'ACCEPT')
      await docker(daemon, 'network', 'create', 'other')
      // A listing that is taken while the daemon changes the table may fail as a whole: it is taken again.
      const listing = () => run(world.host.path, `iptables-${backend}`, '-w', '-S')
      await eventually('nothing is left where nothing is needed', () => {
        const { code, output } = listing()
        return code === 0 && !output.includes('WHARF')
      })
      await eventually('it is reached without our rules', () => reached() === 'hello')
    },
  )
}

test('a connection to a published port lives on while the daemon is killed and comes back', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  await docker(daemon, 'network', 'create', 'net')
  const on = ['run', '-d', '--network', 'net']
  const echo = ['busybox', 'nc', '-ll', '-p', '80', '-e', 'cat']
  await docker(daemon, ...on, '--name', 'web', '-p', '8080:80', ...echo)
  await docker(daemon, ...on, '--name', 'client', 'busybox', 'sleep', '1000')
  await eventually('web listens', async () =>
    (await daemon.docker(['exec', 'web', 'netstat', '-tln'])).stdout.includes(':80 '),
  )
  const stream = spawn('nsenter', [`--net=${world.outside.path}`, 'socat', '-', `TCP4:${world.address}:8080`])
  const echoes = async (text: string) => {
    stream.stdin.write(`${text}\n`)
    let seen = ''
    while (!seen.includes(text)) {
      const [chunk] = await once(stream.stdout, 'data', { signal: AbortSignal.timeout(10_000) })
      seen += String(chunk)
    }
  }
  const rules = () => world.sh('nft', 'list', 'table', 'inet', daemon.names.instance)
  const links = () =>
    world
      .sh('ip', '-br', 'addr')
      .split('\n')
      .filter((line) => /@|br-/.test(line) && / UP /.test(line))
  await echoes('before')
  const before = {
    rules: rules(),
    links: links(),
    inspect: await docker(daemon, 'inspect', 'web', '-f', '{{json .NetworkSettings}}'),
  }
  const key = await docker(daemon, 'inspect', 'client', '-f', '{{.NetworkSettings.SandboxKey}}')
  const resolves = () => run(key, 'busybox', 'nslookup', 'web', '127.0.0.11')
  assert.match(resolves().output, /^Name:\s+web/m)
  await daemon.kill9()
  await echoes('while it is dead')
  assert.match(resolves().output, /^Name:\s+web/m, 'names resolve without a daemon')
  await daemon.start()
  const lookup = await daemon.docker(['exec', 'client', 'nslookup', 'web'])
  assert.equal(lookup.code, 0, `names resolve at once: ${lookup.stdout}`)
  await echoes('after')
  await equalInTheEnd(rules, before.rules, 'the rules are those of before')
  await equalInTheEnd(links, before.links, 'and the links')
  assert.equal(await docker(daemon, 'inspect', 'web', '-f', '{{json .NetworkSettings}}'), before.inspect)
  stream.kill('SIGKILL')
  await once(stream, 'exit')
})
