/** `import`: a tar archive of files becomes an image of one layer. */
import { createReadStream, openSync, statSync } from 'node:fs'
import { jsonLines } from '../../client/ndjson.ts'
import { fileErrorMessage } from '../../lib/file-error.ts'
import { flag } from '../../lib/flags.ts'
import type { ProgressMessage } from '../../spec/image-types.ts'

import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { parseImageName } from '../image-names.ts'
import { showProgress } from '../progress.ts'

function openFile(path: string): AsyncIterable<Buffer> {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new CliError(`read ${path}: is a directory`)
  }
  try {
    return createReadStream('', { fd: openSync(path, 'r'), highWaterMark: 1 << 20 })
  } catch (error) {
    throw new CliError(fileErrorMessage(error, path), { cause: error })
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    change: flag.list('Apply a Dockerfile instruction to the image', { short: 'c' }),
    message: flag.string('Comment of the image', { short: 'm' }),
    platform: flag.string('Platform of the image'),
  },
  count: { min: 1 },
  completes: ['file'],
  run: async (cli, { flags, args: [source = '', reference = ''] }) => {
    const remote = /^https?:\/\//.test(source)
    const input = () =>
      source === '-' ? createReadStream('', { fd: 0, highWaterMark: 1 << 20 }) : openFile(source)
    // An archive that isn't there is told of before a name that is none.
    const body = remote ? {} : { body: input() }
    if (reference !== '') parseImageName(reference)
    const response = await cli.client.request('POST', '/images/create', {
      query: {
        fromSrc: remote ? source : '-',
        repo: reference,
        changes: flags.change,
        message: flags.message,
        platform: flags.platform.toLowerCase(),
      },
      headers: { 'Content-Type': 'application/x-tar' },
      ...body,
    })
    await showProgress(jsonLines<ProgressMessage>(response), { output: cli.stdout, width: cli.columns })
  },
})
