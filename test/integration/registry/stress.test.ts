/** Pushes, pulls, deletions, mounts and collections at the same time, each answer checked against a model. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Clock } from '../../../src/lib/clock.ts'
import { digestOf, imageManifest, pushManifest, startTestRegistry } from '../../fixtures/test-registry.ts'

const seed = Number(process.env['WHARF_TEST_SEED'] ?? Math.floor(Math.random() * 1e9))
const operations = 60
const workers = 6
const minuteMs = 60_000

/** Numbers that a seed repeats (mulberry32). */
function randomNumbers(start: number): (below: number) => number {
  let state = start
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

class StepClock implements Clock {
  #ms = Date.now()
  nowMs(): number {
    return this.#ms
  }
  nowNs(): bigint {
    return BigInt(this.#ms) * 1_000_000n
  }
  step(): void {
    this.#ms += minuteMs
  }
}

// Few contents, so that workers share them, and what one pushes another's collection could take.
const contents = Array.from({ length: 12 }, (_, index) => `layer ${index} `.repeat(2000 * (1 + (index % 3))))

class Worker {
  readonly #url: string
  readonly #random: (below: number) => number
  readonly #repository: string
  readonly #tags = new Map<string, { text: string; blobs: string[] }>()
  #exists = false
  done = 0

  constructor(url: string, number: number) {
    this.#url = `${url}/v2`
    this.#random = randomNumbers(seed + number)
    this.#repository = `worker/w${number}`
  }

  async run(): Promise<void> {
    for (; this.done < operations; this.done++) {
      const choice = this.#random(10)
      if (choice < 5) await this.#push()
      else if (choice < 6) await this.#deleteTag()
      else if (choice < 7) await this.#deleteManifest()
      else if (choice < 8 && this.#random(4) === 0) await this.#deleteRepository()
      else await this.#check()
    }
    await this.#check()
  }

  async deleteAll(): Promise<void> {
    await this.#deleteRepository()
  }

  async #send(method: string, path: string, body?: string): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${this.#url}/${path}`, { method, ...(body === undefined ? {} : { body }) })
    return { status: answer.status, text: await answer.text() }
  }

  async #pushBlob(text: string): Promise<string> {
    const digest = digestOf(text)
    const way = this.#random(3)
    if (way === 0 && (await this.#send('HEAD', `${this.#repository}/blobs/${digest}`)).status === 200)
      return digest
    if (way === 1) {
      const { status } = await this.#send('POST', `${this.#repository}/blobs/uploads/?mount=${digest}`)
      assert.ok(status === 201 || status === 202)
      if (status === 201) return digest
    }
    const { status } = await this.#send('POST', `${this.#repository}/blobs/uploads/?digest=${digest}`, text)
    assert.equal(status, 201)
    return digest
  }

  async #push(): Promise<void> {
    const tag = `t${this.#random(5)}`
    const blobs = [await this.#pushBlob(`{"config":${this.#random(1000)}}`)]
    for (let count = this.#random(3); count >= 0; count--) {
      blobs.push(await this.#pushBlob(contents[this.#random(contents.length)]!))
    }
    const text = imageManifest(blobs[0]!, blobs.slice(1))
    const { status, body } = await pushManifest(
      this.#url.slice(0, -'/v2'.length),
      { repository: this.#repository, reference: tag },
      text,
    )
    assert.equal(status, 201, body)
    this.#exists = true
    this.#tags.set(tag, { text, blobs })
  }

  async #deleteTag(): Promise<void> {
    const tag = `t${this.#random(5)}`
    const { status } = await this.#send('DELETE', `${this.#repository}/manifests/${tag}`)
    assert.equal(status, this.#tags.delete(tag) ? 202 : 404)
  }

  async #deleteManifest(): Promise<void> {
    const [first] = this.#tags.values()
    if (first === undefined) return
    const { status } = await this.#send('DELETE', `${this.#repository}/manifests/${digestOf(first.text)}`)
    assert.equal(status, 202)
    for (const [tag, { text }] of this.#tags) if (text === first.text) this.#tags.delete(tag)
  }

  async #deleteRepository(): Promise<void> {
    const answer = await fetch(`${this.#url.slice(0, -3)}/_wharf/repositories/${this.#repository}`, {
      method: 'DELETE',
    })
    // Blobs alone make a repository too, so only what is sure is checked.
    if (this.#exists) assert.equal(answer.status, 202)
    await answer.arrayBuffer()
    this.#exists = false
    this.#tags.clear()
  }

  async #check(): Promise<void> {
    const list = await this.#send('GET', `${this.#repository}/tags/list`)
    if (this.#exists) {
      assert.equal(list.status, 200)
      assert.deepEqual((JSON.parse(list.text) as { tags: string[] }).tags, [...this.#tags.keys()].sort())
    }
    for (const [tag, { text, blobs }] of this.#tags) {
      const manifest = await this.#send('GET', `${this.#repository}/manifests/${tag}`)
      assert.equal(manifest.status, 200)
      assert.equal(manifest.text, text)
      for (const digest of blobs) {
        const blob = await this.#send('GET', `${this.#repository}/blobs/${digest}`)
        assert.equal(blob.status, 200)
        assert.equal(digestOf(blob.text), digest)
      }
    }
  }
}

test(`nothing reachable is lost and no request is refused (seed ${seed})`, async () => {
  const clock = new StepClock()
  await using r = await startTestRegistry({ collect: { grace: '4m', untagged: true } }, { clock })
  const all = Array.from({ length: workers }, (_, number) => new Worker(r.url, number))
  const ending = new AbortController()
  let collections = 0
  let collectedBlobs = 0
  const collector = async () => {
    let seen = all.map(({ done }) => done)
    while (!ending.signal.aborted) {
      const answer = await fetch(`${r.url}/_wharf/collect`, { method: 'POST' })
      assert.equal(answer.status, 200)
      collectedBlobs += ((await answer.json()) as { blobs: number }).blobs
      collections += 1
      // A minute passes once every worker has ended an operation: none takes as long as the time of grace.
      if (all.every(({ done }, index) => done > seen[index]! || done >= operations)) {
        seen = all.map(({ done }) => done)
        clock.step()
      }
    }
  }
  const collecting = collector()
  try {
    await Promise.all(all.map((worker) => worker.run()))
  } finally {
    ending.abort()
    await collecting
  }
  assert.ok(collections > 10 && collectedBlobs > 0, `${collections} collections, ${collectedBlobs} blobs`)
  await Promise.all(all.map((worker) => worker.deleteAll()))
  for (let minutes = 0; minutes < 10; minutes++) clock.step()
  await r.registry.collect({})
  await r.registry.store.journal.settled()
  const left = await readdir(join(r.data, 'docker/registry/v2/blobs'), { recursive: true })
  assert.deepEqual(
    left.filter((name) => name.endsWith('data')),
    [],
  )
})
