import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { runToEnd, RuntimeFixture } from './fixture.ts'

const fixture = new RuntimeFixture()
after(() => fixture[Symbol.asyncDispose]())

test('a container writes to both streams and ends with its code', async () => {
  const start = fixture.start(['sh', '-c', 'printf out; printf err >&2; exit 7'])
  const { stdout, stderr, exit } = await runToEnd(fixture, start)
  assert.equal(stdout.toString(), 'out')
  assert.equal(stderr.toString(), 'err')
  assert.equal(exit.exitCode, 7)
})
