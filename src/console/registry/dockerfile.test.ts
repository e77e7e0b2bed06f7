import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dockerfileText, readHistory } from './dockerfile.ts'

const cases: [createdBy: string, text: string][] = [
  ['/bin/sh -c #(nop)  CMD ["sh"]', 'CMD ["sh"]'],
  ['CMD ["sh"]', 'CMD ["sh"]'],
  ['/bin/sh -c #(nop) ADD file:0123456789abcdef0123 in / ', 'ADD file:0123456789ab… /'],
  ['COPY --chown=1 a b # buildkit', 'COPY --chown=1 a b'],
  ['RUN /bin/sh -c make install # buildkit', 'RUN make install'],
  ['/bin/sh -c make install', 'RUN make install'],
  ['/bin/bash -o pipefail -c make', 'RUN make'],
  ['RUN |2 A=1 B=two words /bin/sh -c make $A # buildkit', 'RUN make $A'],
  ['|1 A=1 /bin/sh -c make', 'RUN make'],
  ['EXPOSE map[443/tcp:{} 80/tcp:{}]', 'EXPOSE 443/tcp 80/tcp'],
  ['ENV A=b\n', 'ENV A=b'],
  ['bazel build ...', 'RUN bazel build ...'],
  ['', '# a layer without history'],
]

for (const [createdBy, text] of cases) {
  test(`readHistory() reads ${JSON.stringify(createdBy)} as ${text}`, () => {
    assert.equal(dockerfileText(readHistory({ history: [{ created_by: createdBy }] })), `${text}\n`)
  })
}

test('readHistory() breaks long commands before && outside of quotes, and keeps their own breaks', () => {
  const long = `apt-get update && echo "a && b" && apt-get install -y ${'package '.repeat(10)}`
  const [first] = readHistory({ history: [{ created_by: `RUN /bin/sh -c ${long}# buildkit` }] })
  assert.deepEqual(first?.lines.length, 3)
  assert.equal(first?.lines[1], '&& echo "a && b"')
  const [second] = readHistory({
    history: [{ created_by: 'RUN /bin/sh -c set -e;     \\\n  make\n\tmake install # buildkit' }],
  })
  assert.deepEqual(second?.lines, ['set -e;', 'make', 'make install'])
})

test('readHistory() counts layers past the empty ones', () => {
  const history = [
    { created_by: 'ADD a /' },
    { created_by: 'CMD ["a"]', empty_layer: true },
    { created_by: 'COPY b /' },
  ]
  assert.deepEqual(
    readHistory({ history }).map(({ layer }) => layer),
    [0, undefined, 1],
  )
})

test('readHistory() takes anything', () => {
  for (const config of [null, 3, 'text', [], { history: {} }, { history: [null, 1, { created_by: 4 }] }]) {
    assert.ok(Array.isArray(readHistory(config)))
  }
})
