/**
 * Overlay mounts by the program fuse-overlayfs, for kernels and file systems that cannot be overlaid. The program
 * leaves a process of its own behind, which serves the mount and ends with it; like a container's it belongs to
 * nobody here, so that it outlives the daemon.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { OverlayMount } from './overlay.ts'

const execute = promisify(execFile)
const program = 'fuse-overlayfs'
const mountTimeoutMs = 30_000

/** Mounts through the program found on `searchPath`. Throws an Error that says what is missing, or what it said. */
export function fuseOverlay(searchPath: string | undefined): (request: OverlayMount) => Promise<void> {
  return async ({ lowers, upper, target, volatile }) => {
    if (!existsSync('/dev/fuse')) throw new Error('the kernel has no FUSE (no /dev/fuse)')
    const path = (searchPath ?? '')
      .split(delimiter)
      .map((directory) => join(directory, program))
      .find((candidate) => existsSync(candidate))
    if (path === undefined) throw new Error(`exec: "${program}": executable file not found in $PATH`)
    const options = [`lowerdir=${lowers.map(escaped).join(':')}`]
    if (upper !== undefined) {
      options.push(`upperdir=${escaped(upper.directory)}`, `workdir=${escaped(upper.work)}`)
    }
    // Without `dev` the kernel lets nobody open the device nodes of an image.
    options.push(upper === undefined ? 'ro' : 'rw', 'dev', 'suid')
    if (volatile === true) options.push('volatile')
    await execute(path, ['-o', options.join(','), target], { timeout: mountTimeoutMs, cwd: '/' })
  }
}

/** libfuse splits options at commas, the program splits layers at colons; both take a backslash. */
function escaped(path: string): string {
  return path.replaceAll(/[\\,:]/g, String.raw`\$&`)
}
