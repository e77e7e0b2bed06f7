import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { linesForSuite, readAptSources } from './apt-sources.ts'

function sourcesOf(files: Record<string, string>) {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-apt-'))
  try {
    mkdirSync(join(directory, 'sources.list.d'))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
    return readAptSources(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const modern = `# a comment
Types: deb deb-src
# another
URIs: http://one.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/one.gpg

Types: deb
URIs: http://two.test/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.test
Suites: bookworm
Components: main
`

test("the suite's sources are taken in both forms, with updates and security", () => {
  const sources = sourcesOf({
    'sources.list.d/debian.sources': modern,
    'sources.list.d/other.list': 'deb [arch=amd64 signed-by=/k.gpg] https://tool.test/apt stable tool\n',
    'sources.list.d/old.list.disabled': 'deb http://never.test bookworm main\n',
    'sources.list': '# deb http://no.test bookworm main\ndeb http://three.test/debian bookworm main # here\n',
  })
  assert.deepEqual(linesForSuite(sources, 'bookworm'), [
    'deb http://three.test/debian bookworm main',
    'deb [signed-by=/usr/share/keyrings/one.gpg] http://one.test/debian bookworm main contrib',
    'deb [signed-by=/usr/share/keyrings/one.gpg] http://one.test/debian bookworm-updates main contrib',
    'deb http://two.test/security bookworm-security main',
  ])
})

test('another release comes from the same archive', () => {
  const sources = sourcesOf({ 'sources.list.d/debian.sources': modern })
  assert.deepEqual(linesForSuite(sources, 'trixie'), [
    'deb [signed-by=/usr/share/keyrings/one.gpg] http://one.test/debian trixie main contrib',
  ])
})

test('without a source of Debian it is refused', () => {
  const sources = sourcesOf({ 'sources.list': 'deb https://tool.test/apt stable tool\n' })
  assert.throws(() => linesForSuite(sources, 'bookworm'), { message: /^no package source for bookworm: / })
  assert.throws(() => linesForSuite(sourcesOf({}), 'bookworm'))
})
