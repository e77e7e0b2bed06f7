/**
 * A file that one thread writes and others read at the same time: a layer is unpacked while it is downloaded. Both
 * share three numbers: a count of changes, on which readers wait, the state of the writer, and how far the
 * readers are.
 */
import { closeSync, openSync, readSync } from 'node:fs'

const changes = 0
/** 0 while it grows. */
const state = 1
const consumed = 2
const stateWhole = 1
const stateFailed = 2

const pieceBytes = 512 * 1024
const consumedUnit = 64 * 1024
/** How often a waiting reader looks whether it is still wanted. */
const checkMs = 200

/** The writer's side. */
export class GrowingFile {
  readonly shared = new SharedArrayBuffer(12)
  readonly #numbers = new Int32Array(this.shared)

  /** Bytes have been written. */
  grown(): void {
    this.#signal()
  }

  /** All bytes are there. */
  whole(): void {
    Atomics.store(this.#numbers, state, stateWhole)
    this.#signal()
  }

  /** No more will come: readers throw. */
  failed(): void {
    Atomics.store(this.#numbers, state, stateFailed)
    this.#signal()
  }

  /** How far the reader that is ahead has come, in bytes; exact to 64 KiB. */
  get consumedBytes(): number {
    return Atomics.load(this.#numbers, consumed) * consumedUnit
  }

  #signal(): void {
    Atomics.add(this.#numbers, changes, 1)
    Atomics.notify(this.#numbers, changes)
  }
}

/**
 * The reader's side: the file's bytes to its end, waiting for what is not there yet. A few buffers go round: a chunk
 * is valid until three more have been asked for. `check` throws when nobody wants them any more.
 */
export async function* readGrowingFile(
  path: string,
  shared: SharedArrayBuffer,
  check: () => void,
): AsyncGenerator<Buffer, void, void> {
  const numbers = new Int32Array(shared)
  const buffers = Array.from({ length: 4 }, () => Buffer.allocUnsafeSlow(pieceBytes))
  const fd = openSync(path, 'r')
  let position = 0
  try {
    for (let turn = 0; ;) {
      const seen = Atomics.load(numbers, changes)
      const before = Atomics.load(numbers, state)
      const buffer = buffers[turn % buffers.length]
      if (buffer === undefined) return
      const count = readSync(fd, buffer, 0, buffer.length, null)
      if (count > 0) {
        turn += 1
        position += count
        Atomics.store(numbers, consumed, Math.floor(position / consumedUnit))
        yield buffer.subarray(0, count)
        continue
      }
      if (before === stateWhole) return
      if (before === stateFailed) throw new Error('the file will not be whole')
      await changed(numbers, seen)
      check()
    }
  } finally {
    closeSync(fd)
  }
}

async function changed(numbers: Int32Array, seen: number): Promise<void> {
  const waiting = Atomics.waitAsync(numbers, changes, seen, checkMs)
  if (waiting.async) await waiting.value
}
