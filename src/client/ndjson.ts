/** Streams of JSON values, one a line: events, stats, progress. */
import { readJson } from './engine-client.ts'

/** Yields the lines of a byte stream. Empty ones are skipped. */
export async function* textLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let parts: Buffer[] = []
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)])
        .toString('utf8')
        .trim()
      parts = []
      from = end + 1
      if (line !== '') yield line
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
  }
  const rest = Buffer.concat(parts).toString('utf8').trim()
  if (rest !== '') yield rest
}

/** Yields the JSON values of a byte stream whose values end in a newline. */
export async function* jsonLines<T>(chunks: AsyncIterable<Buffer>): AsyncGenerator<T, void> {
  for await (const line of textLines(chunks)) yield readJson<T>(line)
}
