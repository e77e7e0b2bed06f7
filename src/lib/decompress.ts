/**
 * Decompression by what the bytes say they are: gzip (also of several members), zstd (also of several frames), xz
 * and bzip2 (through their tools, as these are rare), or nothing. Streamed; zlib works on a pool thread meanwhile. A
 * piece of the source has been used when the next one is asked for.
 */
import { spawn } from 'node:child_process'
import type { Duplex, Writable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { EngineError } from '../spec/errors.ts'
import { ZstdFrameSplitter } from './zstd-frames.ts'

type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2'

/** A stream of bytes, whoever makes it. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

const compressionMagicBytes = 6

/** The compression of data that starts so. Skippable zstd frames count as zstd. */
function detectCompression(start: Uint8Array): Compression {
  const bytes = Buffer.from(start.subarray(0, compressionMagicBytes))
  const hex = bytes.toString('hex')
  if (hex.startsWith('1f8b08')) return 'gzip'
  if (hex.startsWith('28b52ffd') || /^5.2a4d18/.test(hex)) return 'zstd'
  if (hex.startsWith('fd377a585a00')) return 'xz'
  if (hex.startsWith('425a68')) return 'bzip2'
  return 'none'
}

/** The plain bytes of `source`. Throws what the decompressor says about damaged data. */
export async function* decompress(source: ByteSource): AsyncGenerator<Buffer, void, void> {
  const { plain } = await openCompressed(source)
  yield* plain
}

/** As `decompress`, and tells whether there is anything to decompress. `plain` must be read or closed. */
export async function openCompressed(
  source: ByteSource,
): Promise<{ isCompressed: boolean; plain: AsyncGenerator<Buffer, void, void> }> {
  const { start, rest } = await peek(source)
  const compression = detectCompression(start)
  if (compression === 'none') return { isCompressed: false, plain: rest }
  return { isCompressed: true, plain: decompressed(compression, rest) }
}

function decompressed(
  compression: Exclude<Compression, 'none'>,
  rest: AsyncGenerator<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  if (compression === 'gzip') return through(createGunzip({ chunkSize: pieceBytes }), rest)
  return compression === 'zstd' ? zstdFrames(rest) : filterTool(compression, rest)
}

/** The plain bytes of `source`. Throws beyond so many: little that is compressed may be very much. */
export async function* decompressUpTo(
  source: ByteSource,
  maxBytes: number,
): AsyncGenerator<Buffer, void, void> {
  let total = 0
  for await (const chunk of decompress(source)) {
    total += chunk.length
    if (total > maxBytes)
      throw new EngineError('invalid', `archive is larger than the limit of ${maxBytes} bytes`)
    yield chunk
  }
}

const pieceBytes = 256 * 1024

async function peek(source: ByteSource): Promise<{ start: Buffer; rest: AsyncGenerator<Buffer> }> {
  const iterator = iterate(source)
  const held: Buffer[] = []
  let length = 0
  while (length < compressionMagicBytes) {
    const next = await iterator.next()
    if (next.done === true) break
    // Held while others are asked for.
    held.push(next.value.length < compressionMagicBytes ? Buffer.from(next.value) : next.value)
    length += next.value.length
  }
  return { start: Buffer.concat(held).subarray(0, compressionMagicBytes), rest: after(held, iterator) }
}

async function* iterate(source: ByteSource): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

async function* after(held: Buffer[], rest: AsyncGenerator<Buffer, void, void>): AsyncGenerator<Buffer> {
  try {
    yield* held
    yield* rest
  } finally {
    await rest.return()
  }
}

/** What comes out of a stream when `source` goes in. */
async function* through(stream: Duplex, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const feeding = feed(stream, source)
  try {
    for await (const chunk of stream) if (Buffer.isBuffer(chunk)) yield chunk
    await feeding
  } catch (error) {
    // zlib calls it an unexpected end of file.
    if (error instanceof Error && 'code' in error && error.code === 'Z_BUF_ERROR') {
      throw new Error('unexpected EOF', { cause: error })
    }
    throw error
  } finally {
    stream.destroy()
    await feeding.catch(() => {})
  }
}

async function feed(stream: Writable, source: AsyncIterable<Buffer>): Promise<void> {
  try {
    for await (const chunk of source) {
      if (stream.destroyed) return
      await taken(stream, chunk)
      if (stream.destroyed) return
    }
    stream.end()
  } catch (error) {
    stream.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}

/** Resolves when the stream has used the chunk, or is gone. */
async function taken(stream: Writable, chunk: Buffer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = () => resolve()
  stream.once('close', done)
  stream.write(chunk, done)
  await promise
  stream.off('close', done)
}

async function* zstdFrames(source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer, void, void> {
  const splitter = new ZstdFrameSplitter()
  const pieces = zstdPieces(source, splitter)
  try {
    for (let first = await pieces.next(); first.done !== true; first = await pieces.next()) {
      yield* through(createZstdDecompress({ chunkSize: pieceBytes }), oneFrame(first.value, pieces))
    }
    splitter.finish()
  } finally {
    await pieces.return()
  }
}

type Piece = { bytes: Buffer; last: boolean }

async function* zstdPieces(
  source: AsyncGenerator<Buffer>,
  splitter: ZstdFrameSplitter,
): AsyncGenerator<Piece, void, void> {
  for await (const chunk of source) yield* splitter.push(chunk)
}

async function* oneFrame(
  first: Piece,
  pieces: AsyncGenerator<Piece, void, void>,
): AsyncGenerator<Buffer, void, void> {
  for (let piece = first; ;) {
    if (piece.bytes.length > 0) yield piece.bytes
    if (piece.last) return
    const next = await pieces.next()
    if (next.done === true) return
    piece = next.value
  }
}

async function* filterTool(tool: 'xz' | 'bzip2', source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const child = spawn(tool, ['-dc'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  ended.catch(() => {})
  // The tool may end before it has read everything; its exit status says why.
  child.stdin.on('error', () => {})
  const feeding = feed(child.stdin, source)
  try {
    for await (const chunk of child.stdout) if (Buffer.isBuffer(chunk)) yield chunk
    await feeding
    const status = await ended
    if (status !== 0) throw new Error(`${tool}: damaged data (exit status ${status})`)
  } finally {
    child.kill('SIGKILL')
    // Nothing more is asked of the source.
    child.stdin.destroy()
    await feeding.catch(() => {})
  }
}
