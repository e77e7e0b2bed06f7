/**
 * A process that brings images into a store and takes them away, again and again, to be killed:
 * `node load-child.ts ROOT ARCHIVE`.
 */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { openImageRoom } from '../../../src/images/image-room.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Database } from '../../../src/store/database.ts'

const [, , root = '', archive = ''] = process.argv
const database = new Database(join(root, 'wharf.db'))
const room = await openImageRoom({
  root,
  database,
  log: silentLog,
  users: { usersOf: () => [] },
  events: { emit: () => {} },
  host: { os: 'linux', architecture: 'amd64' },
})
const { signal } = new AbortController()
const imported = { repository: 'imported', tag: '', message: '', source: '-', changes: [], platform: '' }
process.stdout.write('ready\n')
for (;;) {
  const request = { quiet: true, platforms: [], report: () => {} }
  const work = {
    load: () => room.service.load(createReadStream(archive), request, signal),
    import: () => room.service.import(createReadStream(archive), imported, () => {}, signal),
    remove: () => room.service.remove('busybox', { force: true, noPrune: false }),
    prune: () => room.service.prune(new Map([['dangling', ['false']]])),
  }
  for (const name of ['load', 'import', 'remove', 'load', 'import', 'prune'] as const) {
    await work[name]()
    process.stdout.write(`${name}\n`)
  }
}
