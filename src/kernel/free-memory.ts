/** Memory that the C library keeps for its next allocations. */
import { libcFunction } from './ffi.ts'

const mallocTrim = libcFunction('int malloc_trim(size_t pad)')

/** Gives pages that hold nothing back to the kernel; takes about a millisecond. */
export function releaseFreeMemory(): void {
  mallocTrim(0)
}
