/** `userns-remap`: owners of files, of images, volumes and binds, inside and on the host. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { busyboxArchive } from '../../fixtures/busybox-image.ts'
import { runCommand } from '../../fixtures/processes.ts'
import {
  docker,
  gid0,
  host,
  layersOf,
  loadOwned,
  owner,
  ownersIn,
  remapping,
  storeName,
  type Remapping,
  uid0,
  words,
} from '../../fixtures/remapping.ts'
import { type TestDaemon } from '../../fixtures/test-daemon.ts'

let world: Remapping

before(async () => {
  world = await remapping()
})
after(() => world[Symbol.asyncDispose]())

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

describe('files of a daemon that remaps', () => {
  let daemon: TestDaemon
  const run = (...args: string[]) => docker(daemon, args)
  const inside = (first: string, ...more: string[]) => run(`run --rm ${first}`, ...more)

  before(async () => {
    daemon = await world.daemon()
    await loadOwned(daemon)
  })
  after(() => daemon[Symbol.asyncDispose]())

  const store = (...parts: string[]) => join(daemon.dataRoot, storeName, ...parts)

  test('layers lie on the host with the owners shifted, containers see those of the image', async () => {
    const seen = await inside(
      '-u 0 owned stat -c',
      '%u:%g %n',
      '/',
      '/etc',
      '/data',
      '/data/mine',
      '/data/deep/file',
    )
    assert.deepEqual(seen.split('\n'), [
      '0:0 /',
      '0:0 /etc',
      '1000:2000 /data',
      '1000:2000 /data/mine',
      '65535:0 /data/deep/file',
    ])
    const upper = await run('image inspect -f {{.GraphDriver.Data.UpperDir}} owned')
    assert.equal(owner(join(upper, 'data/mine')), host(1000, 2000))
    assert.equal(owner(join(upper, 'data/deep/file')), host(65_535, 0))
    assert.equal(owner(upper), host(0))
  })

  test('images go out as they came in: saved again their layers have the same digests', async () => {
    const source = join(world.scratch, 'in.tar')
    const saved = join(world.scratch, 'out.tar')
    writeFileSync(source, await busyboxArchive())
    await run('save -o', saved, 'busybox')
    const [before_, after_] = [await layersOf(source), await layersOf(saved)]
    assert.deepEqual(after_.map(sha256), before_.map(sha256))
  })

  test('commit writes the owners that the container sees', async () => {
    await run(
      'run --name wrote -u 0 owned sh -c',
      'mkdir /w; echo x > /w/f; chown 7:8 /w/f; touch /data/new; rm /data/mine',
    )
    const diff = await run('diff wrote')
    assert.deepEqual(diff.split('\n').sort(), ['A /data/new', 'A /w', 'A /w/f', 'C /data', 'D /data/mine'])
    await run('commit wrote wrote-image')
    const saved = join(world.scratch, 'wrote.tar')
    await run('save -o', saved, 'wrote-image')
    const owners = await ownersIn((await layersOf(saved)).at(-1) ?? '')
    assert.deepEqual(
      [owners.get('w/'), owners.get('w/f'), owners.get('data/'), owners.get('data/new')],
      ['0:0', '7:8', '1000:2000', '0:0'],
    )
    assert.equal(await inside('-u 0 wrote-image stat -c %u:%g /w/f'), '7:8')
    await run('rm wrote')
  })

  test('a file capability set inside is one that holds elsewhere in the image', async () => {
    // Version 3 with the namespace's root is what the kernel makes of it inside (capabilities(7)).
    await run('create --name capable busybox')
    await run('start capable')
    const upper = await run('inspect -f {{.GraphDriver.Data.UpperDir}} capable')
    writeFileSync(join(upper, 'tool'), 'x')
    chownSync(join(upper, 'tool'), uid0, gid0)
    const root = Buffer.alloc(4)
    root.writeUInt32LE(uid0)
    const value = `0x0100000300200000000000000000000000000000${root.toString('hex')}`
    const set = await runCommand('python3', [
      '-c',
      `import os,sys; os.setxattr(sys.argv[1], 'security.capability', bytes.fromhex(sys.argv[2][2:]))`,
      join(upper, 'tool'),
      value,
    ])
    assert.equal(set.code, 0, set.stderr)
    await run('commit capable capable-image')
    const layer = await run('image inspect -f {{.GraphDriver.Data.UpperDir}} capable-image')
    const get = await runCommand('python3', [
      '-c',
      `import os,sys; print(os.getxattr(sys.argv[1], 'security.capability').hex())`,
      join(layer, 'tool'),
    ])
    assert.equal(get.stdout.trim(), '0100000200200000000000000000000000000000')
    await run('rm capable')
  })

  test('cp goes both ways with the ids of the container', async () => {
    await run('run -d --name copies -v copied:/v busybox sleep 1000')
    const source = join(world.scratch, 'cp.tar')
    const directory = mkdtempSync(join(world.scratch, 'cp-'))
    writeFileSync(join(directory, 'f'), 'f')
    chownSync(join(directory, 'f'), 1234, 4321)
    await runCommand('tar', ['-C', directory, '-cf', source, 'f'])
    for (const path of ['/tmp', '/v']) {
      await docker(daemon, ['cp -', `copies:${path}`], { input: readFileSync(source) })
      assert.equal(await run('exec copies stat -c %u:%g', `${path}/f`), '1234:4321')
      await daemon.docker(words(['exec copies sh -c', `cat ${path}/f`]))
      const back = join(world.scratch, 'back.tar')
      const { code } = await runCommand('sh', ['-c', `docker cp copies:${path}/f - > ${back}`], {
        env: daemon.clientEnvironment(),
      })
      assert.equal(code, 0)
      assert.equal((await ownersIn(back)).get('f'), '1234:4321')
    }
    assert.equal(owner(join(store('volumes/copied/_data'), 'f')), host(1234, 4321))
    chownSync(join(directory, 'f'), 70_000, 0)
    await runCommand('tar', ['-C', directory, '-cf', source, 'f'])
    const refused = await daemon.docker(words(['cp - copies:/tmp']), { input: readFileSync(source) })
    assert.match(refused.stderr, /Container ID 70000 cannot be mapped to a host ID/)
    assert.equal(await run('exec copies stat -c %u:%g /tmp/f'), '1234:4321', 'nothing is lost by it')
    await run('rm -f copies')
  })

  test('directories that an archive does not name belong to root of the container', async () => {
    await run('create --name implied -v /made/by/cp busybox')
    const source = join(world.scratch, 'implied.tar')
    const directory = mkdtempSync(join(world.scratch, 'implied-'))
    mkdirSync(join(directory, 'a/b'), { recursive: true })
    writeFileSync(join(directory, 'a/b/c'), 'c')
    await runCommand('tar', ['-C', directory, '-cf', source, 'a/b/c'])
    await docker(daemon, ['cp - implied:/tmp'], { input: readFileSync(source) })
    const upper = await run('inspect -f {{.GraphDriver.Data.UpperDir}} implied')
    assert.deepEqual(
      [owner(join(upper, 'tmp/a')), owner(join(upper, 'tmp/a/b')), owner(join(upper, 'made/by'))],
      [host(0), host(0), host(0)],
    )
    await run('rm -v implied')
  })

  test('export has the ids of the container', async () => {
    await run('create --name exported owned')
    const target = join(world.scratch, 'export.tar')
    await run('export -o', target, 'exported')
    const owners = await ownersIn(target)
    assert.deepEqual(
      [
        owners.get('data/'),
        owners.get('data/mine'),
        owners.get('data/deep/file'),
        owners.get('bin/'),
        owners.get('etc/hosts'),
      ],
      ['1000:2000', '1000:2000', '65535:0', '0:0', '0:0'],
    )
    assert.ok([...owners.values()].every((ids) => !ids.startsWith(`${uid0}`)))
    await run('rm exported')
  })

  test('volumes, binds and directories made for binds belong to the root of containers', async () => {
    const bind = join(world.scratch, 'made/for/it')
    await inside('-v fresh:/v -v', `${bind}:/b`, 'busybox', 'sh', '-c', 'touch /v/f /b/f; chown 9:10 /v/f')
    assert.equal(owner(store('volumes/fresh/_data')), host(0))
    assert.equal(owner(store('volumes/fresh/_data/f')), host(9, 10))
    assert.deepEqual(
      [owner(bind), owner(join(world.scratch, 'made')), owner(join(bind, 'f'))],
      [host(0), host(0), host(0)],
    )
  })

  test("what is the host's stays out of reach: its files are nobody's inside", async () => {
    const directory = mkdtempSync(join(world.scratch, 'theirs-'))
    chmodSync(directory, 0o755)
    writeFileSync(join(directory, 'secret'), 'x', { mode: 0o600 })
    const seen = await inside(
      '-v',
      `${directory}:/h`,
      'busybox',
      'sh',
      '-c',
      'stat -c %u:%g /h; cat /h/secret 2>&1; touch /h/x 2>&1; true',
    )
    assert.match(seen, /^65534:65534\n.*[Pp]ermission denied\n.*[Pp]ermission denied$/)
  })

  test('a new volume takes the content of the image with its owners', async () => {
    const seen = await inside(
      '-v filled:/data owned sh -c',
      'stat -c %u:%g /data /data/mine /data/deep/file; echo own > /data/own',
    )
    assert.equal(seen, '1000:2000\n1000:2000\n65535:0')
    assert.equal(owner(store('volumes/filled/_data')), host(1000, 2000))
    assert.equal(owner(store('volumes/filled/_data/own')), host(1000, 2000))
  })

  test('a part of a volume and an image can be mounted', async () => {
    await inside('-v parts:/v busybox sh -c', 'mkdir /v/sub; echo part > /v/sub/f')
    assert.equal(
      await inside('--mount type=volume,src=parts,dst=/p,volume-subpath=sub busybox cat /p/f'),
      'part',
    )
    assert.equal(
      await inside('--mount type=image,src=owned,dst=/i busybox stat -c %u:%g /i/data/mine'),
      '1000:2000',
    )
  })

  test('an image with ids that no container can have is refused, and nothing of it stays', async () => {
    const directory = mkdtempSync(join(world.scratch, 'far-'))
    writeFileSync(join(directory, 'far'), 'x')
    chownSync(join(directory, 'far'), 65_536, 0)
    const layer = join(world.scratch, 'far.tar')
    await runCommand('tar', ['-C', directory, '-cf', layer, 'far'])
    const { code, stderr } = await daemon.docker(words(['import', layer, 'far']))
    assert.equal(code, 1)
    assert.match(stderr, /Container ID 65536 cannot be mapped to a host ID/)
    assert.equal(await run('images -q far'), '')
  })

  test('only root and the root of containers come through to what is mounted of a volume', async () => {
    await inside('-v hidden:/v busybox mkdir /v/sub')
    await run(
      'run -d --name part --mount type=volume,src=hidden,dst=/p,volume-subpath=sub busybox sleep 1000',
    )
    const mounts = join(daemon.names.root, 'run/mounts')
    for (const path of [mounts, join(mounts, await run('inspect -f {{.Id}} part'))]) {
      assert.equal(owner(path), `0:${gid0}`)
      assert.equal(statSync(path).mode & 0o777, 0o710)
    }
    await run('rm -f part')
  })
})
