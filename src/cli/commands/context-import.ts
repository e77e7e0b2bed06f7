/** `context import`: a context from a tar archive, in a file or on standard input. */
import { createReadStream, existsSync } from 'node:fs'
import { denseContent, readTar } from '../../lib/tar-stream.ts'
import { defineCommand } from '../command.ts'
import { ContextStore, checkContextName } from '../context-store.ts'
import type { ContextTls } from '../context-store.ts'
import type { ContextMeta } from '../endpoint.ts'
import { CliError } from '../errors.ts'

const maxFileBytes = 10 << 20

async function* bytes(source: string): AsyncGenerator<Buffer, void> {
  if (source !== '-' && !existsSync(source)) throw new CliError(`open ${source}: no such file or directory`)
  const stream: AsyncIterable<Buffer> =
    source === '-' ? createReadStream('', { fd: 0 }) : createReadStream(source)
  yield* stream
}

async function readArchive(source: string): Promise<{ meta: ContextMeta | undefined; tls: ContextTls }> {
  let meta: ContextMeta | undefined
  const tls: ContextTls = {}
  for await (const entry of readTar(bytes(source))) {
    if (entry.header.type !== 'file') continue
    if (entry.header.size > maxFileBytes) throw new CliError('invalid context: a file is too large')
    const parts: Buffer[] = []
    for await (const part of denseContent(entry)) parts.push(part)
    const path = entry.header.name
    const certificate = /^tls\/docker\/([\w.-]+)$/.exec(path)?.[1]
    if (path === 'meta.json') meta = JSON.parse(Buffer.concat(parts).toString('utf8'))
    else if (certificate !== undefined && !certificate.startsWith('.'))
      tls[certificate] = Buffer.concat(parts)
    else throw new CliError(`${path}: unexpected context file`)
  }
  return { meta, tls }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 2, max: 2 },
  completes: ['context', 'file'],
  run: async (cli, { args: [name = '', source = ''] }) => {
    const store = new ContextStore(cli.configDirectory)
    checkContextName(name)
    if (store.exists(name)) throw new CliError(`context ${JSON.stringify(name)} already exists`)
    const { meta, tls } = await readArchive(source)
    if (meta === undefined) throw new CliError('invalid context: no metadata found')
    store.write({ meta: { ...meta, Name: name }, tls })
    cli.print(name)
    cli.warn(`Successfully imported context ${JSON.stringify(name)}`)
  },
})
