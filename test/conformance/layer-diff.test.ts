/**
 * The layers that `commit` makes, against a real dockerd's: the same changes, made by chance, are made in a container
 * of each, and the layers of both images are compared entry by entry. The seed is printed; set WHARF_SEED to have the
 * same again. Docker's entries have whole seconds, and of extended attributes the capability only.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { createReadStream, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { denseContent, readTar } from '../../src/lib/tar-stream.ts'
import { busyboxArchive } from '../fixtures/busybox-image.ts'
import { hasDockerd, startDockerd, type Dockerd } from '../fixtures/dockerd.ts'
import { runCommand } from '../fixtures/processes.ts'
import { chance, quote, shell, treeScript } from '../fixtures/random-tree.ts'
import { startDaemon, type TestDaemon } from '../fixtures/test-daemon.ts'

const seed = Number(process.env['WHARF_SEED'] ?? Date.now() % 1_000_000)
const rounds = 2
const changesMade = 60
const second = 1_000_000_000n
/** cap_net_raw+ep, as the kernel keeps it. */
const capability = '0x0100000200200000000000000000000000000000'

type Engine = { name: string; docker: (...args: string[]) => Promise<string>; archive: string }

let daemon: TestDaemon
let dockerd: Dockerd
let engines: Engine[] = []

before(async () => {
  if (!hasDockerd) return
  daemon = await startDaemon()
  dockerd = await startDockerd()
  const env = daemon.clientEnvironment()
  engines = [
    { name: 'docker', docker: dockerd.docker, archive: join(daemon.names.root, 'docker.tar') },
    {
      name: 'wharf',
      archive: join(daemon.names.root, 'wharf.tar'),
      docker: async (...args) => {
        const { code, stdout, stderr } = await runCommand('bin/wharf', args, { env })
        assert.equal(code, 0, `wharf ${args.join(' ')}: ${stderr}`)
        return stdout.trimEnd()
      },
    },
  ]
  const input = await busyboxArchive()
  for (const load of [daemon.wharf.bind(daemon), dockerd.run]) {
    assert.equal((await load(['load', '-q'], { input })).code, 0)
  }
})

after(async () => {
  await dockerd?.[Symbol.asyncDispose]()
  await daemon?.[Symbol.asyncDispose]()
})

/**
 * Makes changes in a new container's /data, from outside: the host's tools do what a container's may not. Answers what
 * `diff` says of them.
 */
async function commitChanges(
  { docker }: Engine,
  { image, name, lines }: { image: string; name: string; lines: (names: string[]) => string[] },
): Promise<string[]> {
  const id = await docker('run', '-d', '--network', 'host', image, 'sleep', '1000')
  try {
    const root = `/proc/${await docker('inspect', '--format', '{{.State.Pid}}', id)}/root/data`
    execFileSync('mkdir', ['-p', root])
    const names = execFileSync('find', ['.', '-mindepth', '1', '-print0'], { cwd: root, encoding: 'utf8' })
      .split('\0')
      .filter(Boolean)
      .toSorted()
    shell(root, lines(names))
    // What the changes have touched was made at another instant in each.
    const recent = 'find . -newermt @1600000000 -print0 | xargs -0r touch -hd @1600000000.123456789'
    shell(root, [recent])
    await docker('commit', '--pause=false', id, name)
    return (await docker('diff', id))
      .split('\n')
      .filter((line) => line.startsWith('/data', 2))
      .toSorted()
  } finally {
    await docker('rm', '-f', id)
  }
}

/** Changes by chance of what is there: what an earlier one has removed is not there for a later one. */
function changes(random: (below: number) => number, names: readonly string[]): string[] {
  const any = () => quote(names[random(names.length)] ?? '')
  return Array.from({ length: changesMade }, (_, index) => {
    const [one, other] = [any(), any()]
    const line = [
      `rm -rf ${one}`,
      `chmod 0711 ${one}`,
      `chown -h 70000:5 ${one}`,
      `touch -hd @1234567890.5 ${one}`,
      `[ -d ${one} ] && rm -rf ${one} && mkdir -m 0750 ${one} && echo new > ${one}/again`,
      `rm -rf ${one} && mkdir -p ${one}/instead`,
      `rm -rf ${one} && ln -s target ${one}`,
      `rm -rf ${one} && echo file > ${one}`,
      `mkdir -p new${index}/sub && echo x > new${index}/sub/y`,
      `[ -f ${one} ] && echo more >> ${one}`,
      `[ -f ${one} ] && setfattr -n security.capability -v ${capability} ${one}`,
      `mv -T ${one} moved${index}`,
      `mv -fT ${one} ${other}`,
      `ln ${one} link${index}`,
      `ln -f ${one} ${other}`,
      `mknod device${index} ${random(2) === 0 ? 'b' : 'c'} ${random(300)} ${random(70_000)}`,
      `mkfifo pipe${index}`,
      `truncate -s 300000 sparse${index}; chmod 4755 sparse${index}`,
    ][random(18)]
    return `{ ${line}; } 2>/dev/null || true`
  })
}

/** The topmost layer of an image, a line an entry. */
async function topLayer({ docker, archive }: Engine, image: string): Promise<string[]> {
  await docker('save', '-o', archive, image)
  const manifest = execFileSync('tar', ['-xOf', archive, 'manifest.json'], { encoding: 'utf8' })
  const [{ Layers }] = JSON.parse(manifest) as [{ Layers: string[] }]
  const layer = `${archive}.layer`
  shell('.', [`tar -xOf ${quote(archive)} ${quote(Layers.at(-1) ?? '')} > ${quote(layer)}`])
  const lines: string[] = []
  for await (const entry of readTar(createReadStream(layer))) {
    const { header } = entry
    const hash = createHash('sha256')
    for await (const bytes of denseContent(entry)) hash.update(bytes)
    const { name, type, mode, uid, gid, size, mtimeNs, linkName, deviceMajor, deviceMinor, xattrs } = header
    if (name.split('/').some((part) => part.startsWith('.wh.'))) {
      lines.push(`${name} whiteout ${type} ${size}`)
      continue
    }
    const kept = Buffer.from(xattrs.get('security.capability') ?? []).toString('hex')
    const numbers = [mode.toString(8), uid, gid, size, mtimeNs / second, deviceMajor, deviceMinor].join(' ')
    lines.push(`${name} ${type} ${numbers} ${linkName} ${kept} ${size > 0 ? hash.digest('hex') : ''}`)
  }
  rmSync(layer)
  return lines
}

for (let round = 0; round < rounds; round++) {
  const from = seed + round
  test(`layers of changes by chance are dockerd's (seed ${from})`, { skip: !hasDockerd }, async () => {
    const [base, changed] = [`base:${from}`, `changed:${from}`]
    const diffs: string[][] = []
    for (const engine of engines) {
      await commitChanges(engine, { image: 'busybox', name: base, lines: () => treeScript(chance(from)) })
      const lines = (names: string[]) => changes(chance(from + 1), names)
      diffs.push(await commitChanges(engine, { image: base, name: changed, lines }))
    }
    assert.deepEqual(diffs[1], diffs[0])
    for (const image of [base, changed]) {
      const [theirs = [], ours = []] = await Promise.all(engines.map((engine) => topLayer(engine, image)))
      assert.deepEqual(ours, theirs)
    }
  })
}
