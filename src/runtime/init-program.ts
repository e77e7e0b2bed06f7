/** The program of `--init`: it must run in any image, so it is one that needs no libraries. */
import { closeSync, openSync, readSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'

const elfMagic = 0x464c457f
const programInterpreter = 3

/**
 * The first of the paths that is a static executable: daemon.json's `init-path`, the engine's own `wharf-init`, or a
 * `docker-init` of the machine. Undefined when none is.
 */
export function findInitProgram(candidates: readonly string[]): string | undefined {
  return candidates.find((path) => path !== '' && isStaticExecutable(path))
}

/** Whether the file is a 64-bit little-endian ELF program without an interpreter. */
function isStaticExecutable(path: string): boolean {
  const head = readHead(path, 64)
  if (head === undefined || head.length < 64 || head.readUInt32LE(0) !== elfMagic) return false
  const tableOffset = Number(head.readBigUInt64LE(32))
  const entrySize = head.readUInt16LE(54)
  const count = head.readUInt16LE(56)
  const table = readHead(path, entrySize * count, tableOffset)
  if (table === undefined || table.length < entrySize * count) return false
  for (let index = 0; index < count; index++) {
    if (table.readUInt32LE(index * entrySize) === programInterpreter) return false
  }
  return true
}

function readHead(path: string, length: number, position = 0): Buffer | undefined {
  try {
    const fd = openSync(path, 'r')
    try {
      const buffer = Buffer.alloc(length)
      return buffer.subarray(0, readSync(fd, buffer, 0, length, position))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'EISDIR', 'EINVAL'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}
