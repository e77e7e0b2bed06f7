/** Makes a browser's screenshot small: with a palette of 256 colours, which is all that a page without photographs has. */
import { crc32, deflateSync, inflateSync } from 'node:zlib'

type Pixels = { width: number; height: number; rgb: Buffer }

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const channels = 3
const mostColours = 256

/** The same picture as an indexed PNG. Takes what Chromium writes: eight bits a channel, no transparency. */
export function smallPng(png: Buffer): Buffer {
  const { width, height, rgb } = readPixels(png)
  const counts = new Map<number, number>()
  for (let place = 0; place < rgb.length; place += channels) {
    const colour = rgb.readUIntBE(place, channels)
    counts.set(colour, (counts.get(colour) ?? 0) + 1)
  }
  const byUse = [...counts].toSorted((left, right) => right[1] - left[1]).map(([colour]) => colour)
  const palette = byUse.slice(0, mostColours)
  const indexes = new Map(byUse.map((colour) => [colour, nearest(palette, colour)]))
  const rows = Buffer.alloc(height * (width + 1))
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = rgb.readUIntBE((y * width + x) * channels, channels)
      rows[y * (width + 1) + 1 + x] = indexes.get(colour) ?? 0
    }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // Eight bits, indexed.
  header.set([8, 3], 8)
  const colours = Buffer.alloc(palette.length * channels)
  for (const [place, colour] of palette.entries()) colours.writeUIntBE(colour, place * channels, channels)
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function nearest(palette: readonly number[], colour: number): number {
  let best = 0
  let least = Infinity
  for (const [place, other] of palette.entries()) {
    const distance = [16, 8, 0].reduce(
      (sum, shift) => sum + (((colour >> shift) & 255) - ((other >> shift) & 255)) ** 2,
      0,
    )
    if (distance < least) [best, least] = [place, distance]
  }
  return best
}

function readPixels(png: Buffer): Pixels {
  const data: Buffer[] = []
  let header = Buffer.alloc(13)
  for (let place = signature.length; place < png.length;) {
    const length = png.readUInt32BE(place)
    const type = png.toString('latin1', place + 4, place + 8)
    const body = png.subarray(place + 8, place + 8 + length)
    if (type === 'IHDR') header = Buffer.from(body)
    if (type === 'IDAT') data.push(body)
    place += 12 + length
  }
  if (header[8] !== 8 || header[9] !== 2)
    throw new Error('not a picture of eight bits a channel without transparency')
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  return { width, height, rgb: unfilter(inflateSync(Buffer.concat(data)), width * channels, height) }
}

/** Undoes the filters of a PNG's rows (PNG specification, "Filtering"). */
function unfilter(raw: Buffer, rowBytes: number, height: number): Buffer {
  const out = Buffer.alloc(rowBytes * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (rowBytes + 1)]
    for (let x = 0; x < rowBytes; x++) {
      const at = y * rowBytes + x
      const left = x < channels ? 0 : (out[at - channels] ?? 0)
      const above = y === 0 ? 0 : (out[at - rowBytes] ?? 0)
      const corner = x < channels || y === 0 ? 0 : (out[at - rowBytes - channels] ?? 0)
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter ?? 0] ?? 0
      out[at] = (raw[y * (rowBytes + 1) + 1 + x] ?? 0) + predicted
    }
  }
  return out
}

function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner
  const [toLeft, toAbove, toCorner] = [
    Math.abs(guess - left),
    Math.abs(guess - above),
    Math.abs(guess - corner),
  ]
  if (toLeft <= toAbove && toLeft <= toCorner) return left
  return toAbove <= toCorner ? above : corner
}

function chunk(type: string, body: Buffer): Buffer {
  const content = Buffer.concat([Buffer.from(type, 'latin1'), body])
  const frame = Buffer.alloc(4)
  frame.writeUInt32BE(body.length)
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(content))
  return Buffer.concat([frame, content, check])
}
