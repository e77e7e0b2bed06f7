/** `context export`: a context as a tar archive. */
import { createWriteStream, existsSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { tarHeader } from '../../lib/tar-format.ts'
import { writeTar } from '../../lib/tar-stream.ts'
import { defineCommand } from '../command.ts'
import { ContextStore } from '../context-store.ts'
import type { Context } from '../context-store.ts'
import { CliError } from '../errors.ts'

function* entries({ meta, tls }: Context) {
  const json = Buffer.from(JSON.stringify(meta))
  const file = (name: string, data: Buffer) => ({
    header: tarHeader({ name, type: 'file', mode: 0o644, size: data.length }),
    content: [data],
  })
  const directory = (name: string) => ({
    header: tarHeader({ name, type: 'directory', mode: 0o700 }),
  })
  yield file('meta.json', json)
  yield directory('tls/')
  if (Object.keys(tls).length > 0) yield directory('tls/docker/')
  for (const [name, data] of Object.entries(tls)) yield file(`tls/docker/${name}`, data)
}

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 1, max: 2 },
  completes: ['context', 'file'],
  run: async (cli, { args: [name = '', target = `${name}.dockercontext`] }) => {
    const context = new ContextStore(cli.configDirectory).read(name)
    const archive = Readable.from(writeTar(entries(context)))
    if (target === '-') {
      if (cli.stdout.isTerminal)
        throw new CliError('cowardly refusing to export to a terminal, please specify a file path')
      for await (const chunk of archive) cli.stdout.write(chunk)
      return
    }
    if (existsSync(target)) throw new CliError(`open ${target}: file exists`)
    await pipeline(archive, createWriteStream(target, { flags: 'wx', mode: 0o600 }))
    cli.warn(`Written file ${JSON.stringify(target)}`)
  },
})
