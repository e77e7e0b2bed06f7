/**
 * Reads and writes of worker threads on descriptors that do not block: they wait for the other side, but wake up now
 * and then to see whether anybody still wants the work, as a thread in a system call can be neither asked nor ended.
 */
import { readSync, writevSync } from 'node:fs'
import { unwritten } from '../lib/write-pieces.ts'
import { errorCode } from '../spec/errors.ts'
import { libcCall } from './ffi.ts'

const pollCall = libcCall('poll', 'int poll(uint8_t *wanted, unsigned long count, int timeout)')
const fcntlCall = libcCall('fcntl', 'int fcntl(int fd, int command, int flags)')

const pollIn = 0x1
const pollOut = 0x4
const wakeMs = 500
/** F_SETFL and O_NONBLOCK. */
const setFlags = 4
const nonBlocking = 0o4000

/** Makes reads and writes of the open file behind a descriptor fail with EAGAIN instead of waiting. */
export function setNonBlocking(fd: number): void {
  fcntlCall(String(fd), fd, setFlags, nonBlocking)
}

/** Reads what there is, at least a byte; 0 at the end. `check` throws when the work is no longer wanted. */
export function readWaiting(fd: number, buffer: Buffer, check: () => void): number {
  return waiting(fd, { events: pollIn, check }, () => readSync(fd, buffer))
}

/** Writes all bytes of the pieces. `check` as in `readWaiting`. */
export function writeWaiting(fd: number, pieces: readonly Uint8Array[], check: () => void): void {
  for (let rest = pieces; rest.length > 0;) {
    const from = rest
    rest = unwritten(
      from,
      waiting(fd, { events: pollOut, check }, () => writevSync(fd, from)),
    )
  }
}

function waiting(fd: number, until: { events: number; check: () => void }, call: () => number): number {
  for (;;) {
    until.check()
    try {
      return call()
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error
    }
    pollOnce(fd, until.events)
  }
}

/** Returns when the descriptor is ready, has failed, or after a while. */
function pollOnce(fd: number, events: number): void {
  const wanted = Buffer.alloc(8)
  wanted.writeInt32LE(fd, 0)
  wanted.writeInt16LE(events, 4)
  pollCall('', wanted, 1, wakeMs)
}
