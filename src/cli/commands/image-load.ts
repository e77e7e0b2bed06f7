/** `load`: an archive of images, from a file or standard input. */
import { createReadStream, openSync, statSync } from 'node:fs'
import { jsonLines } from '../../client/ndjson.ts'
import { flag } from '../../lib/flags.ts'
import type { ProgressMessage } from '../../spec/image-types.ts'
import { errorCode } from '../../spec/errors.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { filePieces } from '../file-pieces.ts'
import { platformQuery } from '../image-names.ts'
import { showProgress } from '../progress.ts'

function openArchive(path: string): AsyncIterable<Buffer> {
  try {
    if (!statSync(path).isDirectory()) return filePieces(openSync(path, 'r'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT')
      throw new CliError(`open ${path}: no such file or directory`, { cause: error })
    throw error
  }
  throw new CliError(`read ${path}: is a directory`)
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    input: flag.string('Read this file in place of standard input', { short: 'i' }),
    platform: flag.string('Load this platform only'),
    quiet: flag.bool('Show no progress', { short: 'q' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    if (flags.input === '' && cli.isInputTerminal) {
      throw new CliError('requested load from stdin, but stdin is empty')
    }
    const body =
      flags.input === '' ? createReadStream('', { fd: 0, highWaterMark: 1 << 20 }) : openArchive(flags.input)
    const quiet = flags.quiet || !cli.stdout.isTerminal
    const response = await cli.client.request('POST', '/images/load', {
      query: { quiet, platform: platformQuery(flags.platform) },
      headers: { 'Content-Type': 'application/x-tar' },
      body,
    })
    await showProgress(jsonLines<ProgressMessage>(response), { output: cli.stdout, width: cli.columns })
  },
})
