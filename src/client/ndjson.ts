/** Streams of JSON values: events, stats, progress. Values are separated by newlines or stand back to back. */
import { readJson } from './engine-client.ts'

/** Yields the JSON values of a byte stream whose values end in a newline. Empty lines are skipped. */
export async function* jsonLines<T>(chunks: AsyncIterable<Buffer>): AsyncGenerator<T, void> {
  let parts: Buffer[] = []
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)])
        .toString('utf8')
        .trim()
      parts = []
      from = end + 1
      if (line !== '') yield readJson<T>(line)
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
  }
  const rest = Buffer.concat(parts).toString('utf8').trim()
  if (rest !== '') yield readJson<T>(rest)
}
