/**
 * Users and groups of a container, looked up in the container's own /etc/passwd and /etc/group. The rules and texts
 * are those of Docker's `--user` and `--group-add`: a name, a number, or `user:group` of either.
 */
import { EngineError, errorCode } from '../spec/errors.ts'
import { readFileInRoot } from '../kernel/scoped-path.ts'

/** Who a process runs as. */
export type ContainerUser = { uid: number; gid: number; additionalGids: number[]; home: string }

type PasswdEntry = { name: string; uid: number; gid: number; home: string }
type GroupEntry = { name: string; gid: number; members: string[] }

const maxId = 2 ** 31 - 1
/** More than any real database; a hostile image must not fill the daemon's memory. */
const maxDatabaseBytes = 8 << 20

/** Resolves `user[:group]` (empty means root) and further groups inside a mounted root. Throws Docker's errors. */
export function resolveUser(rootfs: string, user: string, groupAdd: readonly string[]): ContainerUser {
  return lookUpUser({
    passwd: readDatabase(rootfs, '/etc/passwd'),
    group: readDatabase(rootfs, '/etc/group'),
    user,
    groupAdd,
  })
}

/** As `resolveUser`, from the text of the two files. */
export function lookUpUser(request: {
  passwd: string
  group: string
  user: string
  groupAdd: readonly string[]
}): ContainerUser {
  const colon = request.user.indexOf(':')
  const userPart = colon < 0 ? request.user : request.user.slice(0, colon)
  const groupPart = colon < 0 ? '' : request.user.slice(colon + 1)
  const groups = parseGroup(request.group)
  const found = findUser(parsePasswd(request.passwd), userPart)
  const result: ContainerUser = {
    uid: found?.uid ?? numericId(userPart, 'user'),
    gid: found?.gid ?? 0,
    additionalGids: [],
    home: found?.home === undefined || found.home === '' ? '/' : found.home,
  }
  const further: number[] = []
  if (groupPart !== '') {
    const wanted = decimal(groupPart)
    const match = groups.find((group) => group.name === groupPart || group.gid === wanted)
    result.gid = match?.gid ?? numericId(groupPart, 'group')
  } else if (found !== undefined) {
    for (const group of groups) if (group.members.includes(found.name)) further.push(group.gid)
  }
  further.push(...additionalGroups(groups, request.groupAdd))
  result.additionalGids = [...new Set([result.gid, ...further])]
  return result
}

function findUser(entries: PasswdEntry[], wanted: string): PasswdEntry | undefined {
  if (wanted === '') return entries.find((entry) => entry.uid === 0)
  const uid = decimal(wanted)
  return entries.find((entry) => entry.name === wanted || entry.uid === uid)
}

function additionalGroups(groups: GroupEntry[], asked: readonly string[]): number[] {
  return asked.map((name) => {
    const wanted = decimal(name)
    const match = groups.find((group) => group.name === name || group.gid === wanted)
    return match?.gid ?? numericId(name, 'group')
  })
}

/** The number itself where no entry exists. Empty text is root. */
function numericId(text: string, what: 'user' | 'group'): number {
  if (text === '') return 0
  const id = decimal(text)
  if (id === undefined) {
    const file = what === 'user' ? 'passwd' : 'group'
    throw new EngineError('internal', `unable to find ${what} ${text}: no matching entries in ${file} file`)
  }
  if (id < 0 || id > maxId) throw new EngineError('internal', `uids and gids must be in range 0-${maxId}`)
  return id
}

function decimal(text: string): number | undefined {
  return /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined
}

function parsePasswd(text: string): PasswdEntry[] {
  return entries(text).map(([name = '', , uid = '', gid = '', , home = '']) => ({
    name,
    uid: decimal(uid) ?? 0,
    gid: decimal(gid) ?? 0,
    home,
  }))
}

function parseGroup(text: string): GroupEntry[] {
  return entries(text).map(([name = '', , gid = '', members = '']) => ({
    name,
    gid: decimal(gid) ?? 0,
    members: members.split(',').filter((member) => member !== ''),
  }))
}

function entries(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'))
}

/** The file's text; empty where the image has no such file, or something that is none. */
function readDatabase(rootfs: string, path: string): string {
  try {
    return readFileInRoot(rootfs, path, maxDatabaseBytes).toString('utf8')
  } catch (error) {
    const code = errorCode(error) ?? ''
    if (['ENOENT', 'ENOTDIR', 'EINVAL', 'ELOOP', 'EFBIG', 'EACCES', 'ENXIO'].includes(code)) return ''
    throw error
  }
}
