/**
 * What a daemon's store must hold after operations that were acknowledged, and after one that was not: for tests that
 * let the daemon die, its disk fill, or the power go.
 */
import assert from 'node:assert/strict'
import type { CheckFinding, CheckReport } from '../../../src/spec/check-types.ts'
import { tarHeader } from '../../../src/lib/tar-format.ts'
import { busyboxImage, imageArchive, tarOf } from '../../../tools/images/busybox.ts'
import type { TestDaemon } from '../../fixtures/test-daemon.ts'

/** An operation: what it does, and what is there once it is done. */
export type Operation = {
  name: string
  run: (daemon: TestDaemon) => Promise<unknown>
  /** Objects that are there afterwards and were not before, and the other way round. */
  makes: string[]
  removes: string[]
}

async function ask(daemon: TestDaemon, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await daemon.api(method, path, body)
  // A load answers 200 and tells in its stream what went wrong.
  if (answer.status >= 400 || answer.body.includes('"error"')) throw new Refused(answer.status, answer.body)
  return answer.json
}

/** The daemon's answer was an error. */
export class Refused extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(`${status} ${text}`)
    this.status = status
  }
}

const writer = {
  Image: 'busybox',
  Cmd: ['sh', '-c', 'echo kept >/data/file; echo layer >/file'],
  HostConfig: { Binds: ['data:/data'] },
  Volumes: { '/anonymous': {} },
}

/** One image beside busybox, of its own layer. */
async function otherImage(): Promise<Buffer> {
  const image = await busyboxImage()
  const content = Buffer.alloc(300_000, 'other')
  const file = {
    header: tarHeader({ name: 'other', type: 'file', size: content.length }),
    content: [content],
  }
  return imageArchive([{ ...image, layers: [...image.layers, await tarOf([file])], names: ['other:latest'] }])
}

const importPath = '/images/create?fromSrc=-&repo=imported&changes=LABEL%20pruned%3D1'
const prunePath = `/images/prune?filters=${encodeURIComponent('{"dangling":["false"],"label":["pruned=1"]}')}`

/** Operations in an order in which each can be done; after the last the store is as before the first. */
export async function operations(): Promise<Operation[]> {
  const other = await otherImage()
  const content = Buffer.alloc(200_000, 'imported')
  const header = tarHeader({ name: 'file', type: 'file', size: content.length })
  const imported = await tarOf([{ header, content: [content] }])
  const op = (
    name: string,
    run: (daemon: TestDaemon) => Promise<unknown>,
    change: { makes?: string[]; removes?: string[] } = {},
  ): Operation => ({ name, run, makes: change.makes ?? [], removes: change.removes ?? [] })
  return [
    op('volume create', (daemon) => ask(daemon, 'POST', '/volumes/create', { Name: 'data' }), {
      makes: ['/volumes/data'],
    }),
    op('load', (daemon) => ask(daemon, 'POST', '/images/load?quiet=1', other), {
      makes: ['/images/other/json'],
    }),
    op('create', (daemon) => ask(daemon, 'POST', '/containers/create?name=box', writer), {
      makes: ['/containers/box/json'],
    }),
    op('run', async (daemon) => {
      await ask(daemon, 'POST', '/containers/box/start')
      await ask(daemon, 'POST', '/containers/box/wait')
    }),
    op('commit', (daemon) => ask(daemon, 'POST', '/commit?container=box&repo=made', {}), {
      makes: ['/images/made/json'],
    }),
    op('tag', (daemon) => ask(daemon, 'POST', '/images/made/tag?repo=second'), {
      makes: ['/images/second/json'],
    }),
    op('rename', (daemon) => ask(daemon, 'POST', '/containers/box/rename?name=crate'), {
      makes: ['/containers/crate/json'],
      removes: ['/containers/box/json'],
    }),
    op('network create', (daemon) => ask(daemon, 'POST', '/networks/create', { Name: 'net' }), {
      makes: ['/networks/net'],
    }),
    op('rm', (daemon) => ask(daemon, 'DELETE', '/containers/crate?v=1'), {
      removes: ['/containers/crate/json'],
    }),
    op('untag', (daemon) => ask(daemon, 'DELETE', '/images/second'), { removes: ['/images/second/json'] }),
    op('rmi', (daemon) => ask(daemon, 'DELETE', '/images/made'), { removes: ['/images/made/json'] }),
    op('import', (daemon) => ask(daemon, 'POST', importPath, imported), { makes: ['/images/imported/json'] }),
    op('image prune', (daemon) => ask(daemon, 'POST', prunePath), { removes: ['/images/imported/json'] }),
    op('rmi loaded', (daemon) => ask(daemon, 'DELETE', '/images/other'), { removes: ['/images/other/json'] }),
    op('network rm', (daemon) => ask(daemon, 'DELETE', '/networks/net'), { removes: ['/networks/net'] }),
    op('volume rm', (daemon) => ask(daemon, 'DELETE', '/volumes/data'), { removes: ['/volumes/data'] }),
  ]
}

/** Which of the objects are there. */
export async function present(daemon: TestDaemon, paths: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  for (const path of paths) {
    const { status, body } = await daemon.api('GET', path)
    assert.ok(status === 200 || status === 404, `${path}: ${status} ${body}`)
    if (status === 200) found.add(path)
  }
  return found
}

/** The objects that the first operations leave, in an order of no meaning. */
export function expectedAfter(done: readonly Operation[]): Set<string> {
  const expected = new Set<string>()
  for (const { makes, removes } of done) {
    for (const path of makes) expected.add(path)
    for (const path of removes) expected.delete(path)
  }
  return expected
}

/** The store's faults, a line each. */
export async function faultsOf(daemon: TestDaemon, options = 'deep=1'): Promise<string[]> {
  const { status, body, json } = await daemon.api('POST', `/wharf/system/check?${options}`)
  assert.equal(status, 200, body)
  const line = ({ Area, Kind, Object: object, Detail }: CheckFinding) =>
    `${Area} ${Kind} ${object}: ${Detail}`
  return (json as CheckReport).Findings.map(line)
}
