/** A process that loads an archive into a store again and again, to be killed: `node load-child.ts ROOT ARCHIVE`. */
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
process.stdout.write('ready\n')
for (;;) {
  const request = { quiet: true, platforms: [], report: () => {} }
  await room.service.load(createReadStream(archive), request, new AbortController().signal)
  process.stdout.write('loaded\n')
  await room.service.remove('busybox', { force: true, noPrune: false })
  process.stdout.write('removed\n')
}
