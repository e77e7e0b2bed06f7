/**
 * Usage lines and flags of every command, against the stock docker client where one is installed. Versions differ:
 * only commands and flags that both have are compared, and what ours lacks of the client's is an error only for
 * the families that are complete.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { runCli } from '../../src/cli/dispatch.ts'

const run = promisify(execFile)
const docker = ['/usr/local/bin/docker', '/usr/bin/docker'].find((path) => existsSync(path))
const directory = mkdtempSync(join(tmpdir(), 'wharf-help-'))
after(() => rmSync(directory, { recursive: true }))

const env = {
  ...process.env,
  DOCKER_HOST: `unix://${directory}/none.sock`,
  DOCKER_CONFIG: directory,
  COLUMNS: '80',
}

/** A command's help: its usage lines, subcommands, and flags as `-s, --name type`. */
type Help = { usage: string; commands: Set<string>; flags: Map<string, string> }

async function theirHelp(words: readonly string[]): Promise<Help> {
  return parseHelp((await run(docker ?? '', [...words, '--help'], { env })).stdout)
}

/** In this process: there are very many commands. */
async function ourHelp(words: readonly string[]): Promise<Help> {
  let stdout = ''
  const output = (write: (text: string) => void) => ({ isTerminal: false, columns: 80, write })
  await runCli(
    {
      program: 'docker',
      env,
      stdout: output((text) => (stdout += text)),
      stderr: output(() => {}),
      columns: 80,
      isInputTerminal: () => false,
    },
    [...words, '--help'],
  )
  return parseHelp(stdout)
}

function parseHelp(stdout: string): Help {
  const usage = (/^Usage:\s+(.*(?:\n\t.*)*)/m.exec(stdout)?.[1] ?? '').trimEnd()
  const commands = new Set<string>()
  const flags = new Map<string, string>()
  let section = ''
  for (const line of stdout.split('\n')) {
    if (/^\S.*:$/.test(line)) section = line
    else if (section.endsWith('ommands:')) {
      const name = /^ {2}(\S+?)\*? /.exec(line)?.[1]
      if (name !== undefined) commands.add(name)
    }
    const flag = /^ {2}(?:(-\w), | {4})--([\w-]+)(?: (\S+))?(?: {2}|$)/.exec(line)
    if (flag !== null) flags.set(flag[2] ?? '', `${flag[1] ?? ''} ${flag[3] ?? ''}`.trim())
  }
  return { usage, commands, flags }
}

async function walk(words: readonly string[], visit: (words: readonly string[], both: [Help, Help]) => void) {
  const both: [Help, Help] = await Promise.all([theirHelp(words), ourHelp(words)])
  visit(words, both)
  for (const name of both[1].commands) {
    if (both[0].commands.has(name)) await walk([...words, name], visit)
  }
}

/** Flags that mean something to Windows, to other products, or only to some versions of the client. */
const optional = /^(help|disable-content-trust|isolation|cpu-count|cpu-percent|io-max.*|kernel-memory)$/
const newer = { skip: docker === undefined ? 'no stock docker client is installed' : false }

test('usage lines and flags are those of the stock client', newer, async () => {
  const version = (await run(docker ?? '', ['--version'])).stdout
  const isCurrent = /version (2[89]|[3-9]\d)\./.test(version)
  const differences: string[] = []
  let compared = 0
  await walk([], (words, [theirs, mine]) => {
    compared++
    const name = words.join(' ') || 'docker'
    if (isCurrent && theirs.usage !== mine.usage)
      differences.push(`${name}: usage ${mine.usage}, not ${theirs.usage}`)
    for (const [flag, shape] of theirs.flags) {
      const own = mine.flags.get(flag)
      if (own === undefined) {
        if (isCurrent && !optional.test(flag)) differences.push(`${name}: no --${flag}`)
      } else if (isCurrent && own !== shape) differences.push(`${name}: --${flag} is ${own}, not ${shape}`)
    }
  })
  assert.deepEqual(differences, [])
  assert.ok(compared > 130, `only ${compared} commands were compared`)
})

const container = [
  'run',
  'exec',
  'ps',
  'logs',
  'inspect',
  'cp',
  'stats',
  'events',
  'wait',
  'update',
  'commit',
  'top',
]
test('the container commands are all there', newer, async () => {
  const { commands } = await ourHelp([])
  for (const name of container) assert.ok(commands.has(name), name)
})
