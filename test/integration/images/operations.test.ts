import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ContainerConfig } from '../../../src/spec/container-config.ts'
import { EngineError } from '../../../src/spec/errors.ts'
import { tarHeader } from '../../../src/lib/tar-format.ts'
import { targetReference } from '../../../src/images/image-service.ts'
import { busyboxImage, imageArchive, tarOf, type ImageSource } from '../../../tools/images/busybox.ts'
import { chunks, inTree, newContainerId, openTestRoom, type TestRoom } from './image-room.ts'

const busybox = await busyboxImage()
const archive = await imageArchive([busybox])
const signal = () => AbortSignal.timeout(60_000)

async function withBusybox(t: TestContext): Promise<TestRoom> {
  const test = await openTestRoom(t)
  await test.load(archive)
  return test
}

function small(name: string, created: string, labels: Record<string, string> = {}): Promise<ImageSource> {
  return tarOf([{ header: tarHeader({ name, type: 'file', size: 4 }), content: [Buffer.from('text')] }]).then(
    (layer) => ({
      config: { architecture: 'amd64', os: 'linux', created, config: { Labels: labels } },
      layers: [layer],
      names: [`${name}:1`],
    }),
  )
}

const list = { all: false, filters: new Map(), sharedSize: false, manifests: false }

test('save gives an archive that loads to the same digests, byte for byte the same each time', async (t) => {
  const first = await withBusybox(t)
  const save = async () => {
    const pieces: Buffer[] = []
    // A piece is valid until the next is asked for.
    for await (const piece of await first.room.service.save(['busybox'], [], signal()))
      pieces.push(Buffer.from(piece))
    return Buffer.concat(pieces)
  }
  const saved = await save()
  assert.ok((await save()).equals(saved))
  const second = await openTestRoom(t)
  assert.deepEqual(await second.load(saved), [{ stream: 'Loaded image: busybox:latest\n' }])
  assert.deepEqual(second.room.images.resolve('busybox'), first.room.images.resolve('busybox'))
  await assert.rejects(first.room.service.save(['nosuch'], [], signal()), /No such image: nosuch/)
  await assert.rejects(first.room.service.save(['nosuch:1'], [], signal()), /reference does not exist/)
})

test('tag, list, inspect and history show the image', async (t) => {
  const { room, events } = await withBusybox(t)
  await room.service.tag('busybox', 'registry:5000/app', 'v1')
  const id = room.images.resolve('busybox').id
  const [summary] = await room.service.list({ ...list, manifests: true })
  assert.deepEqual(summary?.RepoTags, ['busybox:latest', 'registry:5000/app:v1'])
  assert.equal(summary?.Id, id)
  assert.equal(summary?.Created, 1684449257)
  assert.equal(summary?.Manifests?.length, 1)
  const inspected = await room.service.inspect('registry:5000/app:v1')
  assert.equal(inspected.Id, id)
  assert.equal(inspected.Size, summary?.Size)
  assert.deepEqual(inspected.Config?.Cmd, ['sh'])
  assert.equal(inspected.GraphDriver.Name, 'overlay2')
  assert.ok(existsSync(inspected.GraphDriver.Data?.['UpperDir'] ?? ''))
  const history = await room.service.history(id.slice(7, 19))
  assert.deepEqual(
    history.map(({ Id, Size }) => [Id, Size > 0]),
    [
      [id, false],
      ['<missing>', true],
    ],
  )
  assert.deepEqual(events.at(-1), {
    type: 'image',
    action: 'tag',
    id,
    attributes: { name: 'registry:5000/app:v1' },
  })
  await assert.rejects(
    room.service.tag('busybox', 'Upper', ''),
    /repository name \(library\/Upper\) must be lowercase/,
  )
  await assert.rejects(room.service.inspect('nosuch'), /^EngineError: No such image: nosuch:latest$/)
})

test('the list is filtered and sorted as Docker does', async (t) => {
  const { room, load } = await openTestRoom(t)
  const images = await Promise.all([
    small('old', '2020-01-01T00:00:00Z', { kind: 'a' }),
    small('mid', '2021-01-01T00:00:00Z', { kind: 'b' }),
    small('new', '2022-01-01T00:00:00Z', { kind: 'a' }),
  ])
  await load(await imageArchive(images))
  const names = async (filters: Record<string, string[]>) =>
    (await room.service.list({ ...list, filters: new Map(Object.entries(filters)) })).map(
      (image) => image.RepoTags?.[0],
    )
  assert.deepEqual(await names({}), ['new:1', 'mid:1', 'old:1'])
  assert.deepEqual(await names({ before: ['mid:1'] }), ['old:1'])
  assert.deepEqual(await names({ since: ['old:1'] }), ['new:1', 'mid:1'])
  assert.deepEqual(await names({ label: ['kind=a'] }), ['new:1', 'old:1'])
  assert.deepEqual(await names({ reference: ['*d:*'] }), ['mid:1', 'old:1'])
  assert.deepEqual(await names({ reference: ['n*'] }), ['new:1'])
  assert.deepEqual(await names({ until: ['2020-06-01'] }), ['old:1'])
  assert.deepEqual(await names({ dangling: ['true'] }), [])
  await assert.rejects(names({ nosuch: ['x'] }), /invalid filter 'nosuch'/)
  await assert.rejects(names({ reference: ['['] }), /syntax error in pattern/)
})

test('removal untags, deletes and refuses as Docker does', async (t) => {
  const { room, users } = await withBusybox(t)
  const { id } = room.images.resolve('busybox')
  const short = id.slice(7, 19)
  await room.service.tag('busybox', 'second', '')
  const container = { id: newContainerId(), running: false }
  users.set(id, [container])
  assert.deepEqual(await room.service.remove('second', { force: false, noPrune: false }), [
    { Untagged: 'second:latest' },
  ])
  await room.service.tag('busybox', 'second', '')
  const conflict = (text: RegExp) => (error: unknown) =>
    error instanceof EngineError && error.kind === 'conflict' && text.test(error.message)
  await assert.rejects(
    room.service.remove(short, { force: false, noPrune: false }),
    conflict(
      /^conflict: unable to delete [0-9a-f]{12} \(must be forced\) - image is referenced in multiple repositories$/,
    ),
  )
  await room.service.remove('second', { force: false, noPrune: false })
  await assert.rejects(
    room.service.remove('busybox', { force: false, noPrune: false }),
    conflict(
      /^conflict: unable to remove repository reference "busybox" \(must force\) - container a{12} is using its referenced image [0-9a-f]{12}$/,
    ),
  )
  users.set(id, [{ ...container, running: true }])
  await assert.rejects(
    room.service.remove(short, { force: true, noPrune: false }),
    conflict(/\(cannot be forced\) - image is being used by running container a{12}$/),
  )
  users.delete(id)
  const chain = room.images.resolve('busybox').topLayer
  assert.deepEqual(await room.service.remove('busybox', { force: false, noPrune: false }), [
    { Untagged: 'busybox:latest' },
    { Deleted: id },
    { Deleted: chain },
  ])
  assert.deepEqual(room.layers.all(), [])
  assert.equal(room.content.totalBytes(), 0)
})

test('layers of an image removed by force stay until its container goes', async (t) => {
  const { room, root } = await withBusybox(t)
  const image = room.images.resolve('busybox')
  const id = newContainerId()
  await room.rootfs.prepare(id, image.topLayer, {})
  await room.service.remove('busybox', { force: true, noPrune: false })
  assert.equal(room.layers.all().length, 1)
  const merged = await room.rootfs.mount(id, { volatile: false })
  assert.equal(inTree(merged, 'echo alive'), 'alive\n')
  await room.rootfs.remove(id)
  assert.deepEqual(room.layers.all(), [])
  await room.idle()
  assert.deepEqual(readdirSync(join(root, 'trash')), [])
})

test('prune takes untagged images, and with dangling=false all unused ones', async (t) => {
  const { room, load, users } = await openTestRoom(t)
  await load(
    await imageArchive([
      await small('one', '2020-01-01T00:00:00Z'),
      await small('two', '2021-01-01T00:00:00Z'),
    ]),
  )
  const two = room.images.resolve('two:1')
  // A second load of the same name leaves the first image without one.
  const replaced = await small('one', '2023-01-01T00:00:00Z')
  const messages = await load(await imageArchive([replaced]))
  assert.match(
    messages[0]?.stream ?? '',
    /^The image one:1 already exists, renaming the old one with ID sha256:/,
  )
  const first = await room.service.prune(new Map())
  assert.equal(first.deleted.filter((line) => 'Deleted' in line).length, 1, 'its layer is shared')
  users.set(two.id, [{ id: newContainerId(), running: false }])
  const second = await room.service.prune(new Map([['dangling', ['false']]]))
  assert.ok(second.reclaimedBytes > 0)
  assert.deepEqual(
    room.images.all().map((image) => image.id),
    [two.id],
  )
})

test('commit makes an image of what a container changed', async (t) => {
  const { room } = await withBusybox(t)
  const image = room.images.resolve('busybox')
  const id = newContainerId()
  await room.rootfs.prepare(id, image.topLayer, {})
  const merged = await room.rootfs.mount(id, { volatile: false })
  inTree(
    merged,
    'rm -r /var/www && mkdir /var/www && echo new > /var/www/index && rm /etc/shadow && echo data > /root/data && ln /root/data /root/link && mknod /dev/x c 1 3',
  )
  const before = await room.rootfs.changes(id)
  const committed = await room.service.commit(
    {
      containerId: id,
      imageId: image.id,
      containerConfig: ContainerConfig.parse({ Cmd: ['sh', '-c', 'x'], Env: ['A=1'] }),
      config: undefined,
      changes: ['ENV B="two words" C=$A', 'CMD ["run"]', 'EXPOSE 80 90-91/udp', 'LABEL k=v'],
      comment: 'a comment',
      author: 'me',
      reference: targetReference('mine', ''),
    },
    signal(),
  )
  const made = room.images.resolve('mine')
  assert.equal(made.id, committed)
  assert.deepEqual(made.config.Env, ['A=1', 'B=two words', 'C=1'])
  assert.deepEqual(made.config.Cmd, ['run'])
  assert.deepEqual(Object.keys(made.config.ExposedPorts ?? {}), ['80/tcp', '90/udp', '91/udp'])
  assert.equal((await room.service.inspect('mine')).Parent, image.id)
  assert.deepEqual(
    (await room.service.history('mine')).map((step) => step.Id),
    [committed, image.id, '<missing>'],
  )
  const second = newContainerId()
  await room.rootfs.prepare(second, made.topLayer, {})
  const tree = await room.rootfs.mount(second, { volatile: false })
  assert.equal(
    inTree(
      tree,
      'cat /var/www/index; ls /etc/shadow 2>&1; cat /root/link; stat -c %h /root/data; stat -c "%t %T" /dev/x',
    ),
    'new\nls: /etc/shadow: No such file or directory\ndata\n2\n1 3\n',
  )
  assert.deepEqual(await room.rootfs.changes(second), [])
  assert.deepEqual(
    before.map(({ Kind, Path }) => `${'CAD'[Kind]} ${Path}`),
    [
      'C /dev',
      'A /dev/x',
      'C /etc',
      'D /etc/shadow',
      'C /root',
      'A /root/data',
      'A /root/link',
      'C /var',
      'C /var/www',
      'A /var/www/index',
    ],
  )
  // A container that changed nothing adds no layer.
  const request = {
    containerId: second,
    imageId: made.id,
    containerConfig: made.config,
    config: undefined,
    changes: [],
    comment: '',
    author: '',
    reference: undefined,
  }
  const unchanged = room.images.get(await room.service.commit(request, signal()))
  assert.deepEqual(unchanged?.layers, room.images.get(made.id)?.layers)
  await assert.rejects(
    room.service.commit({ ...request, changes: ['RUN x'] }, signal()),
    /RUN is not a valid change command/,
  )
  for (const container of [id, second]) await room.rootfs.remove(container)
})

test('import makes an image of one layer', async (t) => {
  const { room, events } = await openTestRoom(t)
  const tar = await tarOf([
    { header: tarHeader({ name: './etc/x', type: 'file', size: 2 }), content: [Buffer.from('hi')] },
  ])
  const lines: object[] = []
  const request = {
    repository: 'made',
    tag: 'v2',
    message: 'from a tar',
    source: '-',
    changes: ['CMD ["/x"]'],
    platform: '',
  }
  await room.service.import(chunks(tar), request, (message) => void lines.push(message), signal())
  const image = room.images.resolve('made:v2')
  assert.deepEqual(lines, [{ status: image.id }])
  assert.deepEqual(image.config.Cmd, ['/x'])
  assert.equal((await room.service.inspect('made:v2')).Comment, 'from a tar')
  assert.deepEqual(
    events.map((event) => event.action),
    ['tag', 'import'],
  )
})

test('usage counts each layer once, and what du counts', async (t) => {
  const { room, users } = await withBusybox(t)
  const image = room.images.resolve('busybox')
  const usage = await room.service.usage()
  assert.deepEqual([usage.activeCount, usage.totalCount], [0, 1])
  assert.equal(usage.totalBytes, usage.reclaimableBytes)
  users.set(image.id, [{ id: newContainerId(), running: false }])
  assert.equal((await room.service.usage()).reclaimableBytes, 0)
  const id = newContainerId()
  await room.rootfs.prepare(id, image.topLayer, {})
  const merged = await room.rootfs.mount(id, { volatile: false })
  mkdirSync(join(merged, 'data'))
  writeFileSync(join(merged, 'data/a'), Buffer.alloc(100_000))
  inTree(merged, 'ln /data/a /data/b; ln -s /data/a /data/c')
  assert.deepEqual(await room.rootfs.usage(id), {
    writableBytes: 100_007,
    rootBytes: (await room.service.inspect('busybox')).Size + 100_007,
  })
  await room.rootfs.remove(id)
})

test('a store whose run ended in the middle is swept at the next start', async (t) => {
  const test = await withBusybox(t)
  const image = test.room.images.resolve('busybox')
  const layers = join(test.root, 'layers/overlay2')
  mkdirSync(join(layers, 'drafts/half/diff'), { recursive: true })
  mkdirSync(join(layers, 'layers', 'f'.repeat(64), 'diff'), { recursive: true })
  writeFileSync(join(test.root, 'content/ingest/half'), 'x')
  writeFileSync(join(test.root, 'content/sha256', 'e'.repeat(64)), 'x')
  mkdirSync(join(test.root, 'trash/gone/deep'), { recursive: true })
  await test.reopen()
  await test.room.idle()
  assert.deepEqual(readdirSync(join(layers, 'drafts')), [])
  assert.deepEqual(
    readdirSync(join(layers, 'layers')).filter((name) => name !== '.none'),
    [image.topLayer?.slice(7)],
  )
  assert.deepEqual(readdirSync(join(test.root, 'content/ingest')), [])
  assert.equal(readdirSync(join(test.root, 'content/sha256')).length, 3)
  assert.deepEqual(readdirSync(join(test.root, 'trash')), [])
})

test('an archive that decompresses to more than the limit is refused, and leaves nothing', async (t) => {
  const test = await openTestRoom(t, { maxLayerBytes: 1 << 20 })
  const bomb = gzipSync(Buffer.alloc(64 << 20))
  const file = {
    header: tarHeader({ name: 'zeros', type: 'file', size: 64 << 20 }),
    content: [Buffer.alloc(64 << 20)],
  }
  const archives = [bomb, gzipSync(await tarOf([file]))]
  const request = { repository: 'bomb', tag: '', message: '', source: '-', changes: [], platform: '' }
  for (const data of archives) {
    await assert.rejects(test.room.service.import(chunks(data), request, () => {}, signal()))
    await assert.rejects(test.load(data))
  }
  await assert.rejects(test.load(archives[1]!), /archive is larger than the limit of 2097152 bytes/)
  const within = {
    ...file,
    header: tarHeader({ name: 'zeros', type: 'file', size: 3 << 19 }),
    content: [Buffer.alloc(3 << 19)],
  }
  await assert.rejects(
    test.room.service.import(chunks(await tarOf([within])), request, () => {}, signal()),
    /layer is larger than the limit of 1048576 bytes/,
  )
  await test.room.idle()
  assert.deepEqual(test.room.images.all(), [])
  assert.deepEqual(readdirSync(join(test.root, 'content/ingest')), [])
  assert.deepEqual(readdirSync(join(test.root, 'layers/overlay2/drafts')), [])
})
