/**
 * The long file work of layers: what the worker threads do. Synchronous calls throughout, as an asynchronous one
 * costs a thread hop each; only decompression is asynchronous, which lets zlib work on another thread meanwhile.
 */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { destroySubvolumes } from '../kernel/btrfs.ts'
import { copyTree } from '../kernel/copy-tree.ts'
import { startWriting, syncFileSystem } from '../kernel/file-tree.ts'
import { walkTree } from '../kernel/tree-walk.ts'
import { errorCode } from '../spec/errors.ts'
import { openCompressed } from '../lib/decompress.ts'
import type { IdMapping } from '../lib/id-mapping.ts'
import { releaseBuffer } from '../lib/release-buffer.ts'
import type { JobContext } from '../lib/worker-jobs.ts'
import { TarDecoder } from '../lib/tar-reader.ts'
import type { FilesystemChange } from '../spec/container-types.ts'
import { readGrowingFile } from './growing-file.ts'
import { compressFile } from './compress-file.ts'
import { HashedFile } from './hashed-file.ts'
import { inheritAttributes } from './inherit.ts'
import type { DigestAlgorithm } from '../spec/ids.ts'
import { layerChanges } from './layer-changes.ts'
import { changesTar, layerTar } from './layer-tar.ts'
import { LayerWriter } from './layer-writer.ts'

/** What a worker is asked to do. Paths are host paths. */
export type LayerJob =
  /** Reads a layer blob, hashes it and its plain tar, and writes it to `target` where one is named. */
  | {
      kind: 'unpack'
      source: string
      algorithm: DigestAlgorithm
      plainAlgorithm: DigestAlgorithm
      target?: string
      maxBytes: number
      /** Owners in the archive are containers'. */
      ids: IdMapping | undefined
      /** The source is a plain tar of this digest, made and hashed just now: it is not hashed again. */
      made?: string
      /** The source is still being written: see `growing-file.ts`. */
      growing?: SharedArrayBuffer
    }
  /** Gives directories that a layer used without describing them the attributes they have below. */
  | { kind: 'inherit'; directory: string; implied: string[]; lowers: string[] }
  /**
   * Writes a layer directory, or what a whole tree changed against `base`, as a tar to a new file. Not synced: an image
   * is with all that it is made of, once.
   */
  | { kind: 'pack'; directory: string; base?: string; target: string; ids: IdMapping | undefined }
  /** Lays layer directories over one another, the last on top, as one tree. */
  | { kind: 'merge'; sources: string[]; target: string }
  /** Copies a tree with all that makes a file into an existing directory. */
  | { kind: 'copy'; source: string; target: string }
  | { kind: 'changes'; upper: string; lowers: string[]; whole?: boolean }
  /** Bytes of a tree; with `base` only of what differs from that one. */
  | { kind: 'usage'; directory: string; base?: string }
  /** The same of several whole trees; -1 for one that cannot be read. */
  | { kind: 'sizes'; directories: readonly string[] }
  /** Writes a file's gzip to a new one; the same bytes give the same bytes. */
  | { kind: 'compress'; source: string; target: string }
  | { kind: 'remove'; path: string }
  /** Makes all that was written to the descriptor's file system durable. */
  | { kind: 'sync'; fd: number }

/** What a job answers; each kind fills its own. */
export type LayerJobResult = {
  unpacked?: UnpackedLayer
  packed?: { digest: string; bytes: number }
  changes?: FilesystemChange[]
  bytes?: number
  sizes?: number[]
}

/** A layer blob that was read to its end. */
export type UnpackedLayer = {
  blobDigest: string
  blobBytes: number
  diffId: string
  size: number
  implied: string[]
}

/** Does one job. */
export async function runLayerJob(job: LayerJob, context: JobContext): Promise<LayerJobResult> {
  switch (job.kind) {
    case 'unpack':
      return { unpacked: await unpack(job, context) }
    case 'inherit':
      inheritAttributes(job.directory, job.implied, job.lowers)
      return {}
    case 'pack':
      return { packed: pack(job, context) }
    case 'compress':
      return { packed: await compressFile(job, context) }
    case 'merge':
      merge(job, context)
      return {}
    case 'copy':
      copyTree(job.source, job.target, context)
      return {}
    case 'changes':
      return { changes: layerChanges(job.upper, job.lowers, job.whole) }
    case 'usage':
      return { bytes: treeBytes(job, context) }
    case 'sizes':
      return { sizes: job.directories.map((directory) => readableBytes(directory, context)) }
    case 'remove':
      destroySubvolumes(job.path)
      rmSync(job.path, { recursive: true, force: true })
      return {}
    case 'sync':
      syncFileSystem(job.fd)
      return {}
    default:
      return job satisfies never
  }
}

const pieceBytes = 512 * 1024

async function unpack(
  job: Extract<LayerJob, { kind: 'unpack' }>,
  context: JobContext,
): Promise<UnpackedLayer> {
  const blobHash = createHash(job.algorithm)
  const tarHash = createHash(job.plainAlgorithm)
  const decoder = new TarDecoder()
  using writer =
    job.target === undefined
      ? undefined
      : new LayerWriter(job.target, { maxBytes: job.maxBytes, ids: job.ids })
  const counted = { bytes: 0 }
  const source =
    job.growing === undefined
      ? hashedFile(job.source, job.made === undefined ? blobHash : undefined, counted)
      : hashedGrowingFile(job.source, job.growing, { hash: blobHash, counted, context })
  const { isCompressed, plain } = await openCompressed(source)
  // What is not compressed has been hashed on its way in.
  const isHashed = job.made !== undefined || (!isCompressed && job.algorithm === job.plainAlgorithm)
  for await (const chunk of plain) {
    context.check()
    if (!isHashed) tarHash.update(chunk)
    if (writer !== undefined && !decoder.ended) {
      for (const event of decoder.push(chunk)) writer.handle(event)
    }
    // What is not compressed comes in buffers that go round.
    if (isCompressed) releaseBuffer(chunk)
  }
  if (writer !== undefined) decoder.finish()
  const written = writer?.finish() ?? { size: 0, implied: [] }
  const blobDigest = job.made ?? `${job.algorithm}:${blobHash.digest('hex')}`
  const diffId = isHashed ? blobDigest : `${job.plainAlgorithm}:${tarHash.digest('hex')}`
  return { blobDigest, blobBytes: counted.bytes, diffId, ...written }
}

/** The file's bytes. A few buffers go round: a chunk is valid until three more have been asked for. */
function* hashedFile(
  path: string,
  hash: Hash | undefined,
  counted: { bytes: number },
): Generator<Buffer, void, void> {
  const buffers = Array.from({ length: 4 }, () => Buffer.allocUnsafeSlow(pieceBytes))
  const fd = openSync(path, 'r')
  try {
    // The sync at the end then waits for what is unpacked alone.
    startWriting(fd)
    for (let turn = 0; ; turn++) {
      const buffer = buffers[turn % buffers.length]
      if (buffer === undefined) return
      const count = readSync(fd, buffer, 0, buffer.length, null)
      if (count === 0) return
      const chunk = buffer.subarray(0, count)
      hash?.update(chunk)
      counted.bytes += count
      yield chunk
    }
  } finally {
    closeSync(fd)
  }
}

/** Trees go through their tars, which carry links, owners, times and xattrs, and take whiteouts away on the way. */
function merge({ sources, target }: { sources: string[]; target: string }, context: JobContext): void {
  for (const source of sources) {
    using writer = new LayerWriter(target, { maxBytes: Number.POSITIVE_INFINITY, flatten: true })
    const decoder = new TarDecoder()
    for (const chunk of layerTar(source)) {
      context.check()
      for (const event of decoder.push(chunk)) writer.handle(event)
    }
    decoder.finish()
    writer.finish()
    inheritAttributes(target, ['/'], [source])
  }
}

type Hashing = { hash: Hash; counted: { bytes: number }; context: JobContext }

async function* hashedGrowingFile(
  path: string,
  shared: SharedArrayBuffer,
  { hash, counted, context }: Hashing,
): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of readGrowingFile(path, shared, () => context.check())) {
    hash.update(chunk)
    counted.bytes += chunk.length
    yield chunk
  }
}

function pack(
  { directory, base, target, ids }: Extract<LayerJob, { kind: 'pack' }>,
  context: JobContext,
): { digest: string; bytes: number } {
  using file = new HashedFile(target)
  const chunks =
    base === undefined
      ? layerTar(directory, ids)
      : changesTar(directory, layerChanges(directory, [base], true), ids)
  for (const chunk of chunks) {
    context.check()
    file.write(chunk)
  }
  return file.finish()
}

/** Bytes of all files and links, each inode once; directories count nothing, as in Docker. */
function treeBytes({ directory, base }: { directory: string; base?: string }, context: JobContext): number {
  const changes = base === undefined ? undefined : layerChanges(directory, [base], true)
  const counted = changes === undefined ? undefined : new Set(changes.map((change) => change.Path))
  const seen = new Set<bigint>()
  let bytes = 0n
  for (const { path, stats } of walkTree(directory)) {
    context.check()
    if (stats.isDirectory() || counted?.has(path) === false) continue
    if (stats.nlink > 1n) {
      if (seen.has(stats.ino)) continue
      seen.add(stats.ino)
    }
    bytes += stats.size
  }
  return Number(bytes)
}

function readableBytes(directory: string, context: JobContext): number {
  try {
    return treeBytes({ directory }, context)
  } catch (error) {
    // It, or something in it, goes just now. An abort has no code.
    if (errorCode(error) === undefined) throw error
    return -1
  }
}
