/**
 * Every kind of Go template that Docker's reference shows with `--format`, on real objects: our command line prints
 * what the stock client prints against the same daemon.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runCli } from '../../src/cli/dispatch.ts'
import { startDaemon } from '../fixtures/test-daemon.ts'
import type { TestDaemon } from '../fixtures/test-daemon.ts'

const examples: readonly (readonly [words: string, ...templates: string[]])[] = [
  [
    'inspect web',
    '{{.Id}}',
    '{{ .SizeRw }}',
    '{{.Config.Image}}',
    '{{.Config.Hostname}}',
    '{{ .Config.Env }}',
    '{{json .Config}}',
    '{{.LogPath}}',
    '{{ .RestartCount }}',
    '{{ .State.StartedAt }}',
    '{{.State.Health.Status}}',
    '{{json .State.Health}}',
    '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
    '{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}',
    '{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{with $conf}}{{(index . 0).HostPort}}{{else}}none{{end}} {{end}}',
    '{{(index (index .NetworkSettings.Ports "8787/tcp") 0).HostPort}}',
    '{{with $m := index .Mounts 0}}{{$m.Destination}}{{end}}',
    '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}',
    '{{join .Config.Env ","}} {{split .Name "/"}} {{upper .Name}} {{title .Name}} {{lower .Name | len}}',
    '{{pad .Name 2 3}}|{{truncate .Image 6}}|{{slice .Image 0 4}}',
    '{{index .Config.Labels "com.example"}} {{.HostConfig.Memory}} {{printf "%q %5d %t %v" .Name .RestartCount .State.Running .HostConfig.RestartPolicy.Name}}',
    '{{.Nope}}',
    '{{if and .State.Running (not .State.Paused)}}up{{else}}down{{end}}',
  ],
  ['inspect --size web', '{{ .SizeRootFs }}', '{{ .SizeRw }}'],
  [
    'ps -a --no-trunc',
    '{{.ID}}: {{.Command}}',
    'table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.CreatedAt}}',
    'table {{.ID}}\\t{{.Labels}}',
    'table {{.ID}}\\t{{.Mounts}}',
    '{{.Names}} {{.State}} {{.Ports}} {{.Networks}} {{.LocalVolumes}} {{.Size}} {{.Label "com.example"}}',
    '{{json .Names}}',
  ],
  [
    'images --no-trunc',
    '{{.ID}}: {{.Repository}}',
    'table {{.ID}}\\t{{.Repository}}\\t{{.Tag}}',
    'table {{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.CreatedAt}}\\t{{.Size}}',
    '{{ json . }}',
    '{{len .}}',
  ],
  ['history --no-trunc busybox', '{{.ID}}: {{.CreatedAt}}', 'table {{.ID}}\\t{{.Size}}\\t{{.Comment}}'],
  ['image inspect busybox', '{{.Os}}/{{.Architecture}}', '{{json .RootFS}}', '{{.RootFS.Type}}'],
  [
    'stats --no-stream --no-trunc web',
    '{{.Container}}: {{.Name}} {{.ID}}',
    'table {{.Container}}\\t{{.Name}}',
  ],
  ['volume ls', '{{.Name}}: {{.Driver}}', 'table {{.Name}}\\t{{.Scope}}\\t{{.Mountpoint}}', '{{json .}}'],
  ['volume inspect data', '{{ .Mountpoint }}', '{{json .Options}}', '{{.CreatedAt}}'],
  ['network ls --no-trunc', '{{.ID}}: {{.Driver}}', 'table {{.ID}}\\t{{.Name}}\\t{{.Internal}}'],
  ['network inspect bridge', '{{json .Options}}', '{{range .IPAM.Config}}{{.Subnet}}{{end}}', '{{.Scope}}'],
  [
    'system df',
    '{{.Type}}: {{.TotalCount}}',
    'table {{.Type}}\\t{{.Size}}\\t{{.Reclaimable}}',
    'raw',
    '{{.Nope}}',
  ],
  [
    'system df -v',
    '{{json .Images}} {{json .Volumes}}',
    '{{range .Images}}{{.Repository}} {{.ID}} {{.UniqueSize}}{{end}} {{range .Containers}}{{.Names}} {{.Size}}{{end}}',
    '{{range .Volumes}}{{.Name}} {{.Links}}{{end}} {{len .BuildCache}}',
    '{{.Nope}}',
  ],
  [
    'version',
    '{{',
    '{{.Server.Version}}',
    '{{.Server.APIVersion}} {{.Server.Os}}',
    '{{.Client.APIVersion}} {{json .Client.APIVersion}}',
    '{{.Nope}}',
  ],
  [
    'info',
    '{{.Driver}} {{.NCPU}}',
    '{{json .Plugins}}',
    '{{.Swarm.LocalNodeState}}',
    '{{.Nope}}',
    '{{json.}}',
    '{{.Warnings}}',
  ],
  ['context ls', '{{.Name}}', 'table {{.Name}}\\t{{.Description}}', '{{json .Name}}'],
  [
    'events --since 0 --until 1 --filter type=container',
    'Type={{.Type}}  Status={{.Status}}  ID={{.ID}}',
    '{{json .}}',
  ],
  [
    'events --since 10m --until 1s --filter event=create',
    'Type={{.Type}}  Action={{.Action}}  ID={{.Actor.ID}}',
    '{{.Actor.Attributes.name}}',
    '{{.Scope}} {{.Time}} {{.TimeNano}} {{.From}} {{.}}',
    '{{json .Actor}} {{json .TimeNano}} {{json .Scope}}',
    '{{.Nope}}',
    '{{.Actor.Nope}}',
    '{{.scope}}',
  ],
  [
    'plugin ls',
    '{{.ID}}: {{.Name}}',
    'table {{.ID}}\\t{{.Name}}\\t{{.Enabled}}',
    'table {{.PluginReference}}',
  ],
  ['node ls', '{{.ID}}: {{.Hostname}} {{.TLSStatus}}'],
  ['service ls', '{{.ID}}: {{.Mode}} {{.Replicas}}'],
  ['ps', '{{.Nope}}', '{{', '{{nope .ID}}', '{{.ID | printf "%-15s|"}}', 'table {{upper .Names}}'],
]

/** One that both speak: answers differ by version. */
const version = { DOCKER_API_VERSION: '1.41' }

let daemon: TestDaemon
before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
  const health = ['--health-cmd', 'true', '--health-interval', '1h']
  const made = await daemon.docker([
    'run',
    '-d',
    '--name=web',
    '-p',
    '127.0.0.1::8787',
    '-v=data:/data',
    '--label=com.example=yes',
    ...health,
    'busybox',
    'sleep',
    '1000',
  ])
  assert.equal(made.code, 0, made.stderr)
  await daemon.docker(['create', '--name', 'idle', 'busybox', 'true'])
})
after(async () => await daemon[Symbol.asyncDispose]())

/** Runs our command line in this process, as `docker`. */
async function ours(
  words: readonly string[],
  asked: Record<string, string> = version,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' }
  const output = (name: 'stdout' | 'stderr') => ({
    isTerminal: false,
    columns: 80,
    write: (data: string | Uint8Array) => void (written[name] += String(data)),
  })
  const env = { ...process.env, ...daemon.clientEnvironment(), ...asked, WHARF_HOST: '' }
  const options = { program: 'docker', env, columns: 80, isInputTerminal: () => false }
  const code = await runCli({ ...options, stdout: output('stdout'), stderr: output('stderr') }, words)
  return { code, ...written }
}

test('the stock client and ours print the same through every template', async () => {
  const differences: unknown[] = []
  for (const [words, ...templates] of examples) {
    for (const template of templates) {
      const line = [...words.split(' '), '--format', template]
      const [theirs, mine] = await Promise.all([daemon.docker(line, { env: version }), ours(line)])
      if (theirs.stdout === mine.stdout && theirs.stderr === mine.stderr && theirs.code === mine.code)
        continue
      differences.push({ line: line.join(' '), theirs, mine })
    }
  }
  assert.deepEqual(differences, [])
})

/** The JSON that a template gives, of the stock client and of ours. */
async function bothJson(words: string[], template: string): Promise<[theirs: unknown, mine: unknown]> {
  const line = [...words, '--format', template]
  const [theirs, mine] = await Promise.all([daemon.docker(line, { env: version }), ours(line)])
  return [JSON.parse(theirs.stdout), JSON.parse(mine.stdout)]
}

test('what clients say of themselves has the same names in JSON', async () => {
  const names = (value: unknown) => Object.keys(Object(value)).sort()
  const [theirClient, ourClient] = await bothJson(['version'], '{{json .Client}}')
  assert.deepEqual(names(ourClient), names(theirClient))
  const [theirServer, ourServer] = await bothJson(['version'], '{{json .Server}}')
  assert.deepEqual(ourServer, theirServer)
  const [theirInfo, ourInfo] = await bothJson(['info'], '{{json .ClientInfo}}')
  assert.deepEqual(names(ourInfo), names(theirInfo))
})

test('what only newer clients show of a container: its health', async () => {
  const list = async (template: string) => (await ours(['ps', '-a', '--format', template], {})).stdout
  assert.match(await list('{{.Names}} <{{.HealthStatus}}>'), /^idle <>\nweb <(starting|healthy)>\n$/)
  assert.match(await list('table {{.HealthStatus}}'), /^HEALTH STATUS\n/)
})

test('disk usage is the same in the newest API and in the oldest', async () => {
  for (const flags of [[], ['-v']]) {
    const line = ['system', 'df', ...flags]
    const [old, fresh] = await Promise.all([ours(line), ours(line, {})])
    assert.equal(fresh.stdout, old.stdout)
    assert.match(fresh.stdout, flags.length === 0 ? /^Containers +2 +1 /m : /data +1 /)
  }
})
