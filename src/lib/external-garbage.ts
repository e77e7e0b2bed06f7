/**
 * Keeps the buffers of a stream from piling up. Their bytes are outside V8's heap, where a thousand that nobody holds
 * any more look like a few kilobytes: without help some hundred megabytes can go by before anything is collected.
 */

const limitBytes = 6 << 20

/** Counts what goes by; see the file's head. One a stream. */
export class ExternalGarbage {
  #bytes = 0

  /** So many bytes have been allocated and will soon be garbage. */
  add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < limitBytes) return
    this.#bytes = 0
    // A young collection takes less than a millisecond. Absent without --expose-gc, which bin/wharfd gives.
    globalThis.gc?.({ type: 'minor', execution: 'sync' })
  }
}
