/**
 * Commands on images, word for word against a real dockerd: each script runs with the stock CLI there, and here with
 * the stock CLI and with ours, called `docker`. Ids are named by the order in which they turn up, as what is made at
 * another instant has another id.
 */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { busyboxImage, imageArchive } from '../../tools/images/busybox.ts'
import {
  buildImage,
  startDockerRegistry,
  uploadImage,
  type DockerRegistry,
} from '../fixtures/docker-registry.ts'
import { hasDockerd, startDockerd, type Dockerd } from '../fixtures/dockerd.ts'
import { runCommand } from '../fixtures/processes.ts'
import { projectRoot, startDaemon, type TestDaemon } from '../fixtures/test-daemon.ts'
import { tarOf } from '../integration/pull/tars.ts'

type Engine = { name: string; env: Record<string, string> }

let daemon: TestDaemon
let dockerd: Dockerd
let registry: DockerRegistry
let theirs: Engine
let ours: Engine[] = []
let cwd = ''

before(async () => {
  if (!hasDockerd) return
  registry = await startDockerRegistry()
  daemon = await startDaemon()
  dockerd = await startDockerd()
  cwd = join(daemon.names.root, 'scripts')
  mkdirSync(cwd)
  const wharf = join(cwd, 'docker')
  symlinkSync(join(projectRoot, 'bin/wharf'), wharf)
  const env = daemon.clientEnvironment()
  theirs = { name: 'dockerd', env: { ...env, D: 'docker', DOCKER_HOST: dockerd.socket } }
  ours = [
    { name: 'the stock command', env: { ...env, D: 'docker' } },
    { name: 'wharf', env: { ...env, D: wharf } },
  ]
  writeFileSync(join(cwd, 'images.tar'), await archive())
  writeFileSync(join(cwd, 'one.tar'), await tarOf({ file: Buffer.from('x') }))
  const files =
    ': >empty; head -c 10240 /dev/zero >zeros; echo no tar >text; gzip -k one.tar; xz -k one.tar; bzip2 -k one.tar; head -c 60 one.tar.gz >cut.gz'
  assert.equal((await runCommand('bash', ['-c', files], { cwd })).code, 0)
  const image = buildImage([await tarOf({ pulled: Buffer.from('pulled') })])
  for (const tag of ['1', '2']) await uploadImage(registry.url, 'pulled', tag, image)
})

after(async () => {
  await dockerd?.[Symbol.asyncDispose]()
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

/** busybox, and three images of other times, labels and layers on top of it. */
async function archive(): Promise<Buffer> {
  const busybox = await busyboxImage()
  const later = await Promise.all(
    ['2020', '2021', '2022'].map(async (year) => ({
      config: {
        ...busybox.config,
        created: `${year}-01-01T00:00:00Z`,
        author: 'somebody',
        config: { Cmd: ['sh'], Labels: { year, kind: year === '2021' ? 'odd' : 'even' } },
        history: [
          {
            created: '2019-01-01T00:00:00Z',
            created_by: '/bin/sh -c #(nop) ADD file:0123456789abcdef0123456789 in / ',
          },
          { created: `${year}-01-01T00:00:00Z`, created_by: `RUN make\tyear ${year}`, comment: 'a comment' },
          { created: `${year}-01-01T00:00:00Z`, created_by: 'CMD ["sh"]', empty_layer: true },
          ...(year === '2022' ? oddSteps : []),
        ],
      },
      layers: [...busybox.layers, await tarOf({ [year]: Buffer.alloc(3_500, year) })],
      names: [`year:${year}`],
    })),
  )
  return imageArchive([busybox, ...later])
}

/** Steps without a layer that are not easy to show. */
const oddSteps = [
  { created_by: `é\u0001<b>&"two" ${'x'.repeat(60)}`, comment: 'é\t<c>' },
  { created_by: '日本語'.repeat(20) },
  { created_by: '日本語'.repeat(7) + 'ab' },
  {},
].map((step) => ({ ...step, created: '1960-01-01T00:00:00Z', empty_layer: true }))

/** Words that engines of today have in place of this dockerd's. */
const newer: [RegExp, string][] = [
  [/name \([^)]*\) must/g, 'name must'],
  [/Invalid (filter)/g, 'invalid $1'],
  [/\bRUN is not a valid/g, 'run is not a valid'],
  [/Error processing tar file\(exit status 1\): /g, ''],
  [/\[A-Za-z0-9_-\]\+\$"/g, '[A-Za-z0-9_.-]+$"'],
]

/** What a script prints, with its exit codes. */
async function output({ env }: Engine, script: string): Promise<string[]> {
  const begin = 'exec 2>&1; $D load -q -i images.tar >/dev/null; c() { "$@" || echo "exit $?"; }\n'
  const end =
    '\n$D ps -aq | xargs -r $D rm -f >/dev/null; until $D images -aq | sort -u | xargs -r $D rmi -f; do :; done >/dev/null 2>&1'
  const { stdout } = await runCommand('bash', ['-c', `${begin}${script}${end}`], {
    cwd,
    env: { ...env, R: registry.host },
    timeoutMs: 120_000,
  })
  const names = new Map<string, string>()
  const named = stdout.replaceAll(/\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b/g, (id) => {
    const key = id.slice(0, 12)
    const name = names.get(key) ?? `id${names.size + 1}`
    names.set(key, name)
    return `<${name}:${id.length}>`
  })
  return newer
    .reduce((text, [old, now]) => text.replaceAll(old, now), named)
    .trimEnd()
    .split('\n')
}

const scripts: Record<string, string> = {
  'rmi of names, ids and prefixes': `
    $D tag busybox a:1; $D tag busybox a:2; $D tag busybox b:1
    id=$($D images -q --no-trunc busybox)
    c $D rmi a:1
    c $D rmi $id
    c $D rmi nosuch
    c $D rmi nosuch:1 b:1
    c $D rmi -f nosuch
    c $D rmi NoSuch
    short=$(echo $id | cut -c8-19)
    c $D rmi -f $short
    c $D rmi $short
    c $D rmi year:2020 year:2021
    c $D images -q busybox`,
  'rmi with containers': `
    $D create --name stopped busybox true >/dev/null
    c $D rmi busybox
    $D tag busybox other
    c $D rmi busybox
    c $D rmi other
    c $D rmi $($D images -q other)
    $D rm stopped >/dev/null
    $D run -d --network none --name running other sleep 1000 >/dev/null
    c $D rmi other
    c $D rmi -f $($D images -q other)
    c $D rmi -f other
    c $D ps --format '{{.Image}}'`,
  'rmi of what was committed on top of one another': `
    for n in 1 2 3; do
      $D run --network none --name box$n \${from:-busybox} sh -c "echo $n >/$n"
      from=chain:$n
      $D commit -m "step $n" box$n chain:$n >/dev/null
      $D rm box$n >/dev/null
    done
    c $D rmi chain:2
    c $D rmi --no-prune chain:3
    $D images -a --format '{{.Repository}}:{{.Tag}}' | sort
    c $D image prune -f | sed 's/space: .*/space/'
    $D images -a --format '{{.Repository}}:{{.Tag}}' | sort
    c $D rmi chain:1`,
  'rmi of what was pulled, by tag and by digest': `
    $D pull -q $R/pulled:1; $D pull -q $R/pulled:2
    digest=$($D images --digests --format '{{.Digest}}' $R/pulled | head -1)
    $D images --digests --format '{{.Repository}} {{.Tag}} {{.Digest}}' $R/pulled
    c $D rmi $R/pulled:1
    c $D rmi $R/pulled@$digest
    $D images --digests --format '{{.Repository}} {{.Tag}} {{.Digest}}' $R/pulled
    c $D rmi $R/pulled:2
    $D pull -q $R/pulled@$digest
    c $D rmi $R/pulled@$digest`,
  'prune and its filters': `
    $D tag year:2020 kept; $D tag year:2021 year:2020
    c $D image prune -f --filter label=kind=odd
    $D rmi kept
    c $D image prune -af --filter label=kind=odd
    c $D image prune -af --filter label!=kind=even --filter until=2021-06-01
    c $D image prune -af --filter until=2021-06-01T00:00:00
    c $D image prune -af --filter until=nonsense
    c $D image prune -f --filter nosuch=1
    c $D image prune -f --filter dangling=maybe
    $D images --format '{{.Repository}}:{{.Tag}}' | sort`,
  'images, filters and forms': `
    $D tag year:2020 reg:5000/deep/name:tag; $D tag year:2021 year:2020
    c $D images
    c $D images -a --no-trunc
    c $D images --digests year
    c $D images -q
    for f in before=year:2021 since=year:2021 reference='y*' reference='*:20*' reference='reg:*/*/*' label=kind label=kind=even dangling=true dangling=false before=nosuch nosuch=1 dangling=perhaps; do
      echo "-- $f"; c $D images --format '{{.Repository}}:{{.Tag}} {{.Size}}' -f "$f"
    done
    c $D images year:2022
    c $D images year:2*
    c $D images nosuch
    c $D images --format '{{.ID}} {{.CreatedAt}} {{.CreatedSince}} {{.Digest}}' year`,
  'history of images, its flags and forms': `
    for flags in '' --no-trunc -H=false '-q' '-q --no-trunc' '--format table' '--format raw'; do
      c $D history $flags year:2022
    done
    for form in '{{json .}}' 'table {{.ID}}\\t{{.CreatedBy}}' '{{.Nosuch}}' '{{'; do
      c $D history --format "$form" year:2022; c $D history -H=false --no-trunc --format "$form" year:2022
    done
    c $D history $($D images -q year:2020)
    c $D history nosuch
    c $D history NoSuch
    c $D history ''`,
  'commit, what it prints, names and keeps': `
    $D create --name box -e A=1 -l x=y busybox sh -c 'echo hi' >/dev/null
    hex=0123456789012345678901234567890123456789012345678901234567890123
    for name in name name:tag NAME reg:5000/a/b:c name@sha256:$hex sha256:$hex $hex a:b:c :tag name: name:-x ''; do
      c $D commit box "$name"
    done
    c $D commit nosuch
    c $D commit nosuch name
    c $D commit -a 'me <m@x>' -m 'a message' -c 'CMD ["x"]' -c 'ENV Z=1' box full
    c $D inspect -f '{{.Author}}|{{.Comment}}|{{json .Config.Cmd}}|{{json .Config.Env}}|{{json .Config.Labels}}' full
    c $D inspect -f '{{.Parent}}|{{.Architecture}}|{{.Os}}|{{len .RootFS.Layers}}|{{.Size}}|{{.RepoTags}}' full
    step='{{.ID}}|{{.CreatedBy}}|{{.Comment}}|{{.Size}}'
    c $D history --no-trunc --format "$step" full
    for change in 'RUN x' ENV 'USER \${A' 'EXPOSE'; do c $D commit -c "$change" box bad; done
    $D tag full other
    c $D commit --pause=false box full
    $D images -q bad
    $D images --format '{{.Repository}}:{{.Tag}} {{.ID}}' full
    $D images --format '{{.Repository}}:{{.Tag}} {{.ID}}' other
    $D run -d --network none --name runs busybox sh -c 'echo data >/f; sleep 1000' >/dev/null
    until $D exec runs test -s /f; do :; done
    c $D commit runs live
    $D pause runs
    c $D commit runs
    $D ps --format '{{.Names}} {{.State}}'
    $D unpause runs
    $D create --name top live >/dev/null
    c $D commit -c 'ENTRYPOINT ["e"]' top above
    c $D history --no-trunc --format "$step" above
    c $D inspect -f '{{json .Config.Entrypoint}}|{{json .Config.Cmd}}|{{len .RootFS.Layers}}|{{.Size}}' above`,
  'import, what it prints, names and keeps': `
    hex=0123456789012345678901234567890123456789012345678901234567890123
    for name in x x:y BAD bad: bad@sha256:$hex $hex ''; do c $D import one.tar $name; done
    c $D import - stdin <one.tar
    c $D import -m 'a message' one.tar message
    c $D import -m '' one.tar none
    form='{{.Comment}}|{{.Author}}|{{.Os}}|{{.Parent}}|{{.Size}}|{{len .RootFS.Layers}}|{{json .Config.Cmd}}'
    c $D inspect -f "$form" x message none
    c $D history --no-trunc --format '{{.ID}}|{{.CreatedBy}}|{{.Comment}}|{{.Size}}' x
    c $D import -c 'CMD ["/x"]' -c 'ENV A=b' -c 'EXPOSE 80' -c 'LABEL a=b' one.tar changed
    c $D inspect -f '{{json .Config.Cmd}}{{json .Config.Env}}{{json .Config.ExposedPorts}}' changed
    c $D import -c 'RUN x' one.tar bad
    c $D import -c ENV one.tar bad
    c $D import nosuch.tar
    c $D import nosuch.tar BAD
    c $D import ''
    c $D import ftp://127.0.0.1:1/x.tar
    c $D import http://127.0.0.1:1/x.tar
    for file in empty zeros text one.tar.gz cut.gz one.tar.xz one.tar.bz2; do c $D import $file file; done
    for platform in linux LINUX/AMD64 windows/amd64 nonsense/x a/b/c/d 'linux/$' nonsense '*'; do
      c $D import --platform "$platform" one.tar platform
    done
    c $D inspect -f '{{.Os}}/{{.Architecture}}{{.Variant}}' platform
    $D images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -v none | sort`,
}

for (const [name, script] of Object.entries(scripts)) {
  test(name, { skip: !hasDockerd }, async () => {
    const expected = output(theirs, script)
    await expected.catch(() => {})
    for (const engine of ours) assert.deepEqual(await output(engine, script), await expected, engine.name)
  })
}
