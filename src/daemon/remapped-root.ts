/**
 * `userns-remap`: whose subordinate ids containers have instead of the host's own. The setting names a user, and perhaps
 * a group; /etc/subuid and /etc/subgid say which ids are that user's to give away. Texts are Docker's (moby
 * daemon/daemon_unix.go and pkg/idtools).
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import {
  freeRangeStart,
  parseSubordinateIds,
  rangesOf,
  type IdMapping,
  type SubordinateRange,
} from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'

/** What `default` stands for: Docker's name, so that both engines of a machine give containers the same ids. */
const defaultUser = 'dockremap'
const defaultRangeSize = 65_536
const databases = { passwd: '/etc/passwd', group: '/etc/group' } as const
const rangeFiles = { uid: '/etc/subuid', gid: '/etc/subgid' } as const

type Entry = { name: string; id: number }

/** The ids of containers on the host; undefined where they are the same. Throws `invalid`. */
export function remappedIds(setting: string, log: Log): IdMapping | undefined {
  if (setting === '') return undefined
  const user = remappedUser(setting)
  if (user.name === 'root') {
    log.warn('root cannot be remapped with itself; user namespaces are off')
    return undefined
  }
  log.info('containers have ids of their own', { user: user.name })
  return { uid: ownRanges('uid', user), gid: ownRanges('gid', user) }
}

/** The user that the setting names; what it says of a group is only checked, as in Docker. */
function remappedUser(setting: string): Entry {
  const [user = '', group, ...more] = setting.split(':')
  if (more.length > 0) {
    throw invalid(`Invalid user/group specification in --userns-remap: ${JSON.stringify(setting)}`)
  }
  const isNumber = /^[+-]?\d+$/.test(user)
  const found = isNumber ? userById(user) : userByName(user)
  if (group === undefined) {
    if (isNumber) groupById(user, '/etc/group')
    else lookUp('group', found.name, `Error during gid lookup for ${JSON.stringify(found.name)}`)
  } else if (/^[+-]?\d+$/.test(group)) groupById(group, '/etc/passwd')
  else lookUp('group', group, `Error during groupname lookup for ${JSON.stringify(group)}`)
  return found
}

function userById(uid: string): Entry {
  return lookUp('passwd', uid, `Uid ${Number(uid)} has no entry in /etc/passwd`)
}

function userByName(name: string): Entry {
  const wanted = name === 'default' ? defaultUser : name
  if (name === 'default' && find('passwd', wanted) === undefined) makeDefaultUser()
  return lookUp('passwd', wanted, `Error during uid lookup for ${JSON.stringify(wanted)}`)
}

function groupById(gid: string, file: string): void {
  lookUp('group', gid, `Gid ${Number(gid)} has no entry in ${file}`)
}

function lookUp(database: keyof typeof databases, key: string, complaint: string): Entry {
  const found = find(database, key)
  if (found !== undefined) return found
  throw invalid(`${complaint}: getent unable to find entry "${key}" in ${database} database`)
}

/** An entry by name or number: of the file, else of whatever else the machine asks (nsswitch.conf). */
function find(database: keyof typeof databases, key: string): Entry | undefined {
  return entryOf(readFileSync(databases[database], 'utf8'), key) ?? entryOf(getent(database, key), key)
}

function entryOf(text: string, key: string): Entry | undefined {
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':')
    if (name !== '' && (name === key || id === key)) return { name, id: Number(id) }
  }
  return undefined
}

function getent(database: string, key: string): string {
  try {
    return execFileSync('getent', [database, key], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    // It ends with 2 for a key that is nowhere; or there is no such program.
    return ''
  }
}

/** Makes the user of `default`, with ranges that nobody has. */
function makeDefaultUser(): void {
  try {
    execFileSync('useradd', ['--system', '--shell', '/bin/false', '--user-group', defaultUser], {
      stdio: 'pipe',
    })
    for (const [kind, flag] of [
      ['uid', '--add-subuids'],
      ['gid', '--add-subgids'],
    ] as const) {
      const ranges = readRanges(kind)
      if (ranges.some(({ user }) => user === defaultUser)) continue
      const start = freeRangeStart(ranges, defaultRangeSize)
      execFileSync('usermod', [flag, `${start}-${start + defaultRangeSize - 1}`, defaultUser], {
        stdio: 'pipe',
      })
    }
  } catch (error) {
    throw invalid(`Error during "${defaultUser}" user creation: ${errorMessage(error)}`, error)
  }
}

function ownRanges(kind: 'uid' | 'gid', user: Entry): IdMapping['uid'] {
  const ranges = rangesOf(readRanges(kind), { uid: user.id, name: user.name })
  if (ranges.length > 0) return ranges
  throw invalid(`Can't create ID mappings: no sub${kind} ranges found for user ${JSON.stringify(user.name)}`)
}

function readRanges(kind: 'uid' | 'gid'): SubordinateRange[] {
  try {
    return parseSubordinateIds(readFileSync(rangeFiles[kind], 'utf8'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw invalid(`Can't create ID mappings: ${rangeFiles[kind]}: ${errorMessage(error)}`, error)
  }
}

function invalid(message: string, cause?: unknown): EngineError {
  return new EngineError('invalid', message, { cause })
}
