/** A docker archive of one image with one layer, streamed. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { tarHeader } from '../../lib/tar-format.ts'
import { writeTar, type TarSource } from '../../lib/tar-stream.ts'

/** An image to be, without its layer: the configuration's fields beside the root file system. */
export type BaseImage = { config: Record<string, unknown> }

/** The layer's tar: bytes, or a file that holds them. */
export type BaseLayer = Buffer | { path: string }

/** The archive's bytes. The layer is read twice: its digest stands in front. */
export async function* baseArchive(
  { config }: BaseImage,
  layer: BaseLayer,
  name: string,
): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of bytesOf(layer)) {
    hash.update(chunk)
    size += chunk.length
  }
  const rootfs = { type: 'layers', diff_ids: [`sha256:${hash.digest('hex')}`] }
  yield* writeTar([
    file('config.json', JSON.stringify({ ...config, rootfs })),
    file(
      'manifest.json',
      JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
    ),
    { header: tarHeader({ name: 'layer.tar', type: 'file', size }), content: bytesOf(layer) },
  ])
}

function file(name: string, text: string): TarSource {
  const data = Buffer.from(text)
  return { header: tarHeader({ name, type: 'file', size: data.length }), content: [data] }
}

async function* bytesOf(layer: BaseLayer): AsyncGenerator<Uint8Array, void, void> {
  if (Buffer.isBuffer(layer)) yield layer
  else {
    for await (const chunk of createReadStream(layer.path, { highWaterMark: 1 << 20 })) {
      if (Buffer.isBuffer(chunk)) yield chunk
    }
  }
}
