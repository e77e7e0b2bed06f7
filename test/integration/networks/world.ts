/** A host of its own for a whole daemon: a namespace with a cable to another host outside. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addAddress, createVeth, setLink } from '../../../src/kernel/rtnetlink.ts'
import { Sandbox } from '../../../src/networks/sandbox.ts'
import type { TestDaemon } from '../../fixtures/test-daemon.ts'
import { run } from './lab.ts'

/** A host without a daemon yet. `address` is its own, as the one outside sees it. */
export class World implements Disposable {
  readonly #root = mkdtempSync(join(tmpdir(), `wharf-net-${process.pid}-`))
  readonly host = Sandbox.create(join(this.#root, 'outside'))
  readonly outside = Sandbox.create(join(this.#root, 'outside'))
  readonly address = '10.253.1.1'
  readonly outsideAddress = '10.253.1.2'

  constructor() {
    this.host.request(
      [createVeth('cable', {}, { name: 'eth0', namespaceFd: this.outside.namespace.fd })],
      'cable',
    )
    for (const [sandbox, name, last] of [
      [this.host, 'cable', 1],
      [this.outside, 'eth0', 2],
    ] as const) {
      const index = sandbox.findLink(name)!.index
      const address = Buffer.from([10, 253, 1, last])
      sandbox.request(
        [setLink(index, { up: true }), addAddress({ index, address, prefixLength: 24 })],
        'cable',
      )
    }
    assert.equal(run(this.outside.path, 'ip', 'route', 'add', 'default', 'via', this.address).code, 0)
  }

  /** A command on the host, which must succeed. */
  sh(...command: string[]): string {
    const result = run(this.host.path, ...command)
    assert.equal(result.code, 0, `${command.join(' ')}: ${result.output}`)
    return result.output
  }

  [Symbol.dispose](): void {
    this.host.remove()
    this.outside.remove()
    rmSync(this.#root, { recursive: true, force: true })
  }
}

/** Runs the stock client, which must succeed; answers what it prints. */
export async function docker(daemon: TestDaemon, ...args: string[]): Promise<string> {
  const result = await daemon.docker(args)
  assert.equal(result.code, 0, `docker ${args.join(' ')}: ${result.stderr}`)
  return result.stdout.trim()
}
