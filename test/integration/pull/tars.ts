/** Tars for layers. */
import { tarHeader } from '../../../src/lib/tar-format.ts'
import { writeTar, type TarSource } from '../../../src/lib/tar-stream.ts'

/** A tar of files. */
export async function tarOf(files: Record<string, Buffer>): Promise<Buffer> {
  const sources = Object.entries(files).map(([name, content]): TarSource => ({
    header: tarHeader({ name, type: 'file', size: content.length, mode: 0o644 }),
    content: [content],
  }))
  const parts: Uint8Array[] = []
  for await (const bytes of writeTar(sources)) parts.push(Buffer.from(bytes))
  return Buffer.concat(parts)
}
