/**
 * Reading tar archives as a stream, whatever wrote them: v7, ustar, pax, GNU and star headers, long names, huge and
 * negative numbers, binary xattrs, sparse files in all four GNU forms.
 *
 * `TarDecoder` is the core and does no I/O: push chunks as they come, handle the events that each gives. Use it in
 * worker threads with synchronous reads:
 *
 *     const decoder = new TarDecoder()
 *     for (chunk of chunks) for (const event of decoder.push(chunk)) ...
 *     decoder.finish()
 *
 * `readTar` of `tar-stream.ts` is the asynchronous form, an entry at a time with back-pressure:
 *
 *     for await (const { header, content } of readTar(source)) {
 *       for await (const { position, bytes } of content) ...
 *     }
 *
 * Content comes with its position in the file, and holes of sparse files do not come at all: write at the position,
 * then truncate to `header.size`. Nothing here judges names: see `kernel/` for writing below a root.
 */
import { decodePath } from './path-bytes.ts'
import { applyPax, basicHeader } from './tar-header.ts'
import {
  maxTarMetadataBytes,
  tarBlockBytes,
  tarChecksums,
  TarError,
  tarNumber,
  tarPaddingBytes,
  tarString,
  type SparseRegion,
  type TarHeader,
} from './tar-format.ts'
import { checkSparse, pairs, parsePax, paxNumber, paxSparseMap, paxText, type PaxRecords } from './tar-pax.ts'

/** What a decoder reports: an entry, its content in order, its end. */
export type TarEvent =
  | { kind: 'entry'; header: TarHeader }
  | { kind: 'content'; position: number; bytes: Buffer }
  | { kind: 'end' }

const invalid = () => new TarError('archive/tar: invalid tar header')

/** What is being collected into a block, beside content. */
type Collecting = 'header' | 'pax' | 'longName' | 'longLink' | 'sparseExtension' | 'sparseMap'

/** An entry whose header has been read but whose sparse map has not come whole. */
type Pending = { header: TarHeader; storedSize: number; regions: SparseRegion[]; mapText: string }

/** See the file's head. Not usable after it has thrown. */
export class TarDecoder {
  #collecting: Collecting = 'header'
  #need = tarBlockBytes
  #block: Buffer | undefined
  #filled = 0
  #metadataBytes = 0

  #pax: PaxRecords | undefined
  #longName: string | undefined
  #longLink: string | undefined
  #pending: Pending | undefined

  #skip = 0
  #remaining = 0
  #position = 0
  #regions: readonly SparseRegion[] = []
  #region = 0
  #inEntry = false
  #padding = 0
  #zeroBlocks = 0
  #ended = false

  /** Whether the end of the archive has been seen; what follows is ignored, as all tars do. */
  get ended(): boolean {
    return this.#ended
  }

  /** Takes the next bytes; content events are views of `chunk`. Throws a TarError. */
  push(chunk: Uint8Array): TarEvent[] {
    const events: TarEvent[] = []
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let at = 0
    while (at < bytes.length && !this.#ended) {
      if (this.#remaining > 0) at += this.#content(bytes.subarray(at), events)
      else if (this.#skip > 0) {
        const count = Math.min(this.#skip, bytes.length - at)
        this.#skip -= count
        at += count
      } else at += this.#collect(bytes.subarray(at), events)
    }
    return events
  }

  /** Says that no more bytes come. Throws a TarError when the archive is cut short; a missing trailer is fine. */
  finish(): void {
    const clean =
      !this.#inEntry &&
      this.#pending === undefined &&
      this.#filled === 0 &&
      this.#skip < tarBlockBytes &&
      this.#pax === undefined &&
      this.#longName === undefined &&
      this.#longLink === undefined &&
      this.#collecting === 'header'
    if (!this.#ended && !clean) throw new TarError('unexpected EOF')
  }

  #content(bytes: Buffer, events: TarEvent[]): number {
    const region = this.#regions[this.#region]
    if (region === undefined) throw invalid()
    const count = Math.min(bytes.length, this.#remaining, region.length - this.#position)
    if (count > 0) {
      events.push({
        kind: 'content',
        position: region.offset + this.#position,
        bytes: bytes.subarray(0, count),
      })
      this.#position += count
      this.#remaining -= count
    }
    if (this.#position === region.length) {
      this.#region += 1
      this.#position = 0
    }
    if (this.#remaining === 0) this.#endEntry(events)
    return count
  }

  #endEntry(events: TarEvent[]): void {
    this.#inEntry = false
    this.#skip = this.#padding
    events.push({ kind: 'end' })
  }

  #collect(bytes: Buffer, events: TarEvent[]): number {
    let count = this.#need
    let block: Buffer
    if (this.#filled === 0 && bytes.length >= this.#need) block = bytes.subarray(0, this.#need)
    else {
      this.#block ??= Buffer.allocUnsafe(this.#need)
      count = bytes.copy(this.#block, this.#filled, 0, this.#need - this.#filled)
      this.#filled += count
      if (this.#filled < this.#need) return count
      block = this.#block
    }
    this.#block = undefined
    this.#filled = 0
    this.#handle(block, events)
    return count
  }

  #expect(collecting: Collecting, bytes: number): void {
    this.#collecting = collecting
    this.#need = bytes
  }

  #handle(block: Buffer, events: TarEvent[]): void {
    switch (this.#collecting) {
      case 'header':
        return this.#handleHeader(block, events)
      case 'pax':
        this.#pax = parsePax(block)
        this.#afterMetadata()
        return
      case 'longName':
        this.#longName = decodePath(tarString(block, 0, block.length))
        this.#afterMetadata()
        return
      case 'longLink':
        this.#longLink = decodePath(tarString(block, 0, block.length))
        this.#afterMetadata()
        return
      case 'sparseExtension':
        return this.#handleSparseExtension(block, events)
      case 'sparseMap':
        return this.#handleSparseMap(block, events)
    }
  }

  #afterMetadata(): void {
    this.#skip = tarPaddingBytes(this.#need)
    this.#expect('header', tarBlockBytes)
  }

  #handleHeader(block: Buffer, events: TarEvent[]): void {
    if (isZero(block)) {
      this.#zeroBlocks += 1
      if (this.#zeroBlocks === 2) this.#ended = true
      return
    }
    if (this.#zeroBlocks > 0) throw invalid()
    const sums = tarChecksums(block)
    const sum = tarNumber(block, 148, 8)
    if (sum !== sums.unsigned && sum !== sums.signed) throw invalid()
    const flag = String.fromCharCode(block[156] ?? 0)
    const size = tarNumber(block, 124, 12)
    if (size < 0) throw invalid()
    if (flag === 'x' || flag === 'X') return this.#metadata('pax', size)
    if (flag === 'L') return this.#metadata('longName', size)
    if (flag === 'K') return this.#metadata('longLink', size)
    if (flag === 'g' || flag === 'V' || flag === 'A') {
      // A global header, a volume label, Solaris ACLs: none changes an entry here (nor in Docker).
      this.#skip = size + tarPaddingBytes(size)
      return
    }
    this.#entry(block, flag, { size, events })
  }

  #metadata(kind: 'pax' | 'longName' | 'longLink', size: number): void {
    this.#metadataBytes += size
    if (this.#metadataBytes > 4 * maxTarMetadataBytes || size > maxTarMetadataBytes) {
      throw new TarError('archive/tar: header field too long')
    }
    this.#expect(kind, size)
    if (size === 0) this.#handle(Buffer.alloc(0), [])
  }

  #entry(block: Buffer, flag: string, { size, events }: { size: number; events: TarEvent[] }): void {
    const header = basicHeader(block, flag)
    const pax = this.#pax
    if (this.#longName !== undefined) header.name = this.#longName
    if (this.#longLink !== undefined) header.linkName = this.#longLink
    let stored = size
    if (pax !== undefined) {
      applyPax(header, pax)
      stored = paxNumber(pax, 'size') ?? size
    }
    this.#pax = this.#longName = this.#longLink = undefined
    this.#metadataBytes = 0
    if (header.type === 'file' && flag !== 'S' && header.name.endsWith('/')) header.type = 'directory'
    if (header.type !== 'hardlink' && header.type !== 'symlink') header.linkName = ''
    this.#inEntry = true
    if (header.type !== 'file') {
      if (flag === 'D') this.#skip = stored + tarPaddingBytes(stored)
      header.size = 0
      return this.#begin({ header, storedSize: 0, regions: [], mapText: '' }, events)
    }
    header.size = stored
    this.#padding = tarPaddingBytes(stored)
    this.#pending = { header, storedSize: stored, regions: [], mapText: '' }
    if (flag === 'S') this.#oldSparse(block, events)
    else if (pax !== undefined && isPaxSparse(pax)) this.#paxSparse(pax, events)
    else this.#begin(this.#pending, events)
  }

  /** All is known about an entry: reports it, and goes on with its content. */
  #begin({ header, storedSize, regions }: Pending, events: TarEvent[]): void {
    this.#pending = undefined
    this.#expect('header', tarBlockBytes)
    if (header.sparse !== undefined) checkSparse(regions, header.size, storedSize)
    this.#regions = header.sparse ?? [{ offset: 0, length: header.size }]
    this.#region = 0
    this.#position = 0
    this.#remaining = storedSize
    events.push({ kind: 'entry', header })
    if (storedSize > 0) return
    if (header.type !== 'file') {
      this.#inEntry = false
      events.push({ kind: 'end' })
    } else this.#endEntry(events)
  }

  #oldSparse(block: Buffer, events: TarEvent[]): void {
    const pending = this.#pending
    if (pending === undefined) throw invalid()
    pending.header.size = tarNumber(block, 483, 12)
    if (pending.header.size < 0) throw invalid()
    addOldRegions(pending.regions, block, 386, 4)
    this.#oldSparseNext(block[482] ?? 0, events)
  }

  #handleSparseExtension(block: Buffer, events: TarEvent[]): void {
    const pending = this.#pending
    if (pending === undefined) throw invalid()
    addOldRegions(pending.regions, block, 0, 21)
    if (pending.regions.length * 24 > maxTarMetadataBytes) {
      throw new TarError('archive/tar: header field too long')
    }
    this.#oldSparseNext(block[504] ?? 0, events)
  }

  #oldSparseNext(isExtended: number, events: TarEvent[]): void {
    const pending = this.#pending
    if (pending === undefined) throw invalid()
    if (isExtended > 0) return this.#expect('sparseExtension', tarBlockBytes)
    pending.header.sparse = pending.regions.filter((region) => region.length > 0)
    this.#begin({ ...pending, regions: [...pending.header.sparse] }, events)
  }

  #paxSparse(pax: PaxRecords, events: TarEvent[]): void {
    const pending = this.#pending
    if (pending === undefined) throw invalid()
    pending.header.name = paxText(pax, 'GNU.sparse.name') ?? pending.header.name
    const realSize = paxNumber(pax, 'GNU.sparse.realsize') ?? paxNumber(pax, 'GNU.sparse.size')
    if (realSize === undefined) throw invalid()
    pending.header.size = realSize
    const version = `${paxText(pax, 'GNU.sparse.major') ?? ''}.${paxText(pax, 'GNU.sparse.minor') ?? ''}`
    if (version === '1.0') return this.#expect('sparseMap', tarBlockBytes)
    const map = paxSparseMap(pax)
    if (map === undefined) throw invalid()
    pending.header.sparse = map.filter((region) => region.length > 0)
    this.#begin({ ...pending, regions: [...pending.header.sparse] }, events)
  }

  #handleSparseMap(block: Buffer, events: TarEvent[]): void {
    const pending = this.#pending
    if (pending === undefined || pending.storedSize < tarBlockBytes) throw invalid()
    pending.storedSize -= tarBlockBytes
    pending.mapText += block.toString('latin1')
    if (pending.mapText.length > maxTarMetadataBytes) {
      throw new TarError('archive/tar: header field too long')
    }
    const lines = pending.mapText.split('\n')
    const first = lines[0] ?? ''
    if (lines.length < 2) {
      if (first.length > 20) throw invalid()
      return
    }
    if (!/^[0-9]{1,10}$/.test(first)) throw invalid()
    const numbers = Number(first) * 2
    if (lines.length < numbers + 2) return
    pending.header.sparse = pairs(lines.slice(1, numbers + 1)).filter((region) => region.length > 0)
    this.#begin({ ...pending, regions: [...pending.header.sparse] }, events)
  }
}

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0)
}

function isPaxSparse(pax: PaxRecords): boolean {
  if (pax.sparse00.length > 0 || pax.values.has('GNU.sparse.map')) return true
  return pax.values.has('GNU.sparse.major') || pax.values.has('GNU.sparse.numblocks')
}

function addOldRegions(regions: SparseRegion[], block: Buffer, at: number, count: number): void {
  for (let index = 0; index < count; index++) {
    const start = at + index * 24
    // An unused slot starts with a NUL; numbers are octal text or base-256.
    if (block[start] === 0) return
    const offset = tarNumber(block, start, 12)
    const length = tarNumber(block, start + 12, 12)
    if (offset < 0 || length < 0) throw invalid()
    regions.push({ offset, length })
  }
}
