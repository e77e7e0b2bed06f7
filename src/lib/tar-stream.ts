/** Tar archives as asynchronous iterables, an entry at a time; see `tar-reader.ts` and `tar-writer.ts`. */
import { TarDecoder, type TarEvent } from './tar-reader.ts'
import { TarError, tarPaddingBytes, type TarHeader } from './tar-format.ts'
import { encodeTarHeader, tarTrailer } from './tar-writer.ts'

/** A piece of a file's content and where it belongs. Holes do not come. */
export type TarContent = { position: number; bytes: Buffer }

/** An entry being read. `content` may be left unread or read in part; it ends when the next entry is asked for. */
export type TarEntry = { header: TarHeader; content: AsyncGenerator<TarContent, void, void> }

/** Reads an archive. Throws a TarError for a damaged one. Reads `source` to its end, also past the archive's. */
export async function* readTar(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<TarEntry, void, void> {
  const events = tarEvents(source)
  try {
    let next = await events.next()
    while (next.done !== true) {
      const event = next.value
      if (event.kind === 'entry') {
        const content = entryContent(events)
        yield { header: event.header, content }
        // The consumer may have stopped anywhere: read on to the entry's end.
        for await (const _rest of content);
      }
      next = await events.next()
    }
  } finally {
    await events.return()
  }
}

async function* entryContent(events: AsyncGenerator<TarEvent, void, void>): AsyncGenerator<TarContent> {
  let ended = false
  try {
    while (!ended) {
      const next = await events.next()
      if (next.done === true || next.value.kind === 'end') ended = true
      else if (next.value.kind === 'content') yield next.value
    }
  } finally {
    // A consumer that broke off closes this generator: the rest of the entry still has to go by.
    while (!ended) {
      const next = await events.next()
      if (next.done === true || next.value.kind === 'end') ended = true
    }
  }
}

async function* tarEvents(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<TarEvent, void, void> {
  const decoder = new TarDecoder()
  for await (const chunk of source) yield* decoder.push(chunk)
  decoder.finish()
}

const zeros = Buffer.alloc(64 * 1024)

/** The bytes of a file from its content: holes come as zeros, in pieces of bounded size. */
export async function* denseContent(entry: TarEntry): AsyncGenerator<Buffer, void, void> {
  let position = 0
  for await (const piece of entry.content) {
    yield* hole(piece.position - position)
    yield piece.bytes
    position = piece.position + piece.bytes.length
  }
  yield* hole(entry.header.size - position)
}

function* hole(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= zeros.length)
    yield zeros.subarray(0, Math.min(left, zeros.length))
}

/** An entry to write: its header, and as many bytes of content as `header.size` says. */
export type TarSource = { header: TarHeader; content?: AsyncIterable<Uint8Array> | Iterable<Uint8Array> }

/** The bytes of an archive of the entries, trailer included. Throws a TarError when a content's length is not its size. */
export async function* writeTar(
  entries: AsyncIterable<TarSource> | Iterable<TarSource>,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const { header, content } of entries) {
    yield encodeTarHeader(header)
    let written = 0
    if (content !== undefined) {
      for await (const chunk of content) {
        written += chunk.length
        if (written > header.size) throw new TarError('archive/tar: write too long')
        yield chunk
      }
    }
    if (written !== header.size) {
      throw new TarError(`archive/tar: missed writing ${header.size - written} bytes`)
    }
    const padding = tarPaddingBytes(header.size)
    if (padding > 0) yield zeros.subarray(0, padding)
  }
  yield tarTrailer
}
