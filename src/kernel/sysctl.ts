/** Kernel parameters under /proc/sys. Those of `net.*` are the ones of the namespace that the caller stands in. */
import { readFileSync, writeFileSync } from 'node:fs'

/** Path of a parameter given with slashes (`net/ipv4/ip_forward`), which names with dots in them need. */
function pathOf(name: string): string {
  return `/proc/sys/${name}`
}

/** Reads a parameter, or undefined where the kernel has none of that name. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(pathOf(name), 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Sets a parameter unless it has that value already. Throws what the kernel says. */
export function writeSysctl(name: string, value: string): void {
  if (readSysctl(name) === value) return
  writeFileSync(pathOf(name), value)
}
