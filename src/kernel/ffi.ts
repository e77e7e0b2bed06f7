/**
 * The way into libc for what Node lacks. Calls are synchronous and take about a microsecond; a failed call throws
 * a KernelError with the errno's name. Only files of this folder import this one.
 */
import { constants } from 'node:os'
import koffi from 'koffi'

/** A failed system call. `code` is the errno's name, as in Node's own errors. */
export class KernelError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string

  constructor(syscall: string, errno: number, detail = '') {
    const code = errnoName(errno)
    const text = koffiStrerror(errno)
    super(`${syscall}${detail === '' ? '' : ` ${detail}`}: ${text}`)
    this.name = 'KernelError'
    this.code = code
    this.errno = errno
    this.syscall = syscall
  }
}

const libc = koffi.load('libc.so.6')

/** Number or bigint in, number or bigint out, as koffi converts; pointers are Buffers or null. */
export type NativeFunction = (...values: unknown[]) => number

/** A libc function that answers -1 and sets errno on failure; here it throws a KernelError instead. */
export function libcCall(name: string, signature: string): (detail: string, ...values: unknown[]) => number {
  const native = libcFunction(signature)
  return (detail, ...values) => {
    const result = native(...values)
    if (result === -1) throw new KernelError(name, koffi.errno(), detail)
    return result
  }
}

/** As `libcCall`, run on another thread: for calls that may take long. */
export function libcAsyncCall(
  name: string,
  signature: string,
): (detail: string, ...values: unknown[]) => Promise<number> {
  const native = libc.func(signature)
  return (detail, ...values) =>
    new Promise((resolve, reject) => {
      native.async(...values, (failure: unknown, result: number) => {
        if (failure !== null) reject(failure)
        else if (result === -1) reject(new KernelError(name, koffi.errno(), detail))
        else resolve(result)
      })
    })
}

/** A libc function as it is, for those that do not answer -1 on failure. `signature` is C's declaration. */
export function libcFunction(signature: string): NativeFunction {
  return libc.func(signature)
}

/** The errno left by the last native call. Read it at once. */
export function lastErrno(): number {
  return koffi.errno()
}

// EWOULDBLOCK is EAGAIN on Linux, and EAGAIN is what Node says.
const names = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => name !== 'EWOULDBLOCK')
    .map(([name, number]) => [number, name]),
)

/** `ENOENT` for 2. Unknown numbers read `E` and the number. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `E${errno}`
}

const strerror = libc.func('const char *strerror(int errnum)')

function koffiStrerror(errno: number): string {
  const text: unknown = strerror(errno)
  return typeof text === 'string' ? text.charAt(0).toLowerCase() + text.slice(1) : `errno ${errno}`
}

/**
 * Calls back whenever the descriptor can be read. Keeps no event loop alive. Disposing it stops that; the descriptor
 * stays the caller's, to be closed afterwards.
 */
export function onReadable(fd: number, callback: () => void): Disposable {
  const handle = koffi.node.poll(fd, { readable: true }, callback)
  handle.unref()
  return { [Symbol.dispose]: () => handle.close() }
}
