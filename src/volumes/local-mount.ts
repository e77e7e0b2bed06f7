/**
 * Mounting a local volume that has the options type, device and o, without mount(8)'s helpers: network addresses are
 * looked up here, files become loop devices, and what the kernel answers is put into words that say what to do.
 */
import { lookup } from 'node:dns/promises'
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { attachLoop } from '../kernel/loop-device.ts'
import { mountDataAndFlags } from '../kernel/mount-options.ts'
import { mount, mountFlags, unmount } from '../kernel/mount.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'

/** The options of the same names; `options` is `o`. */
export type LocalMount = { type: string; device: string; options: string }

/** Mounts. Throws internal with Docker's text; passwords never appear in it. */
export async function mountLocalVolume(request: LocalMount, target: string): Promise<void> {
  const resolved = await withAddress(request)
  try {
    await mountResolved(resolved, target)
  } catch (error) {
    const { type, device, options } = resolved
    const why = await explanation(error, type)
    const { flags, data } = mountDataAndFlags(options)
    const shown = [
      flags === 0 ? '' : `, flags: 0x${flags.toString(16)}`,
      data === '' ? '' : `, data: ${data}`,
    ]
    const text = `failed to mount local volume: mount ${device}:${target}${shown.join('')}: ${reasonOf(error)}${why}`
    throw new EngineError('internal', text.replaceAll(/(pass(?:word)?)=[^,:]*/g, '$1=********'))
  }
}

async function mountResolved({ type, device, options }: LocalMount, target: string): Promise<void> {
  const { flags, data, propagation, loop } = mountDataAndFlags(options)
  const isBind = (flags & mountFlags.bind) !== 0
  const readOnly = (flags & mountFlags.readOnly) !== 0
  using loopDevice =
    !isBind && (loop || (await isFile(device))) ? attachLoop(device, { readOnly }) : undefined
  const bindOnly = mountFlags.bind | mountFlags.recursive
  mount({ source: loopDevice?.path ?? device, target, type, flags: isBind ? flags & bindOnly : flags, data })
  try {
    // A bind takes its other flags in a second call, as mount(2) ignores them in the first.
    if (isBind && (flags & ~bindOnly) !== 0) {
      mount({ source: 'none', target, flags: (flags & ~mountFlags.recursive) | mountFlags.remount })
    }
    for (const change of propagation) mount({ source: 'none', target, flags: change })
  } catch (error) {
    unmount(target, { detached: true })
    throw error
  }
}

async function isFile(device: string): Promise<boolean> {
  if (!device.startsWith('/')) return false
  try {
    return (await stat(device)).isFile()
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false
    throw error
  }
}

/** moby volume/local/local_unix.go: the kernel wants addresses where people write names. */
async function withAddress(request: LocalMount): Promise<LocalMount> {
  const { type, device, options } = request
  const given = /(?:^|,)addr=([^,]*)/.exec(options)?.[1] ?? ''
  if (type.startsWith('nfs')) {
    if (given === '' || isIP(given) !== 0) return request
    const address = await addressOf(given)
    return { ...request, options: options.replace(`addr=${given}`, `addr=${address}`) }
  }
  if (type !== 'cifs' || given !== '') return request
  const host = /^\/\/([^/]+)\//.exec(device)?.[1]
  if (host === undefined || isIP(host) !== 0) return request
  return {
    ...request,
    options: [...options.split(',').filter(Boolean), `addr=${await addressOf(host)}`].join(','),
  }
}

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address
  } catch (error) {
    throw new EngineError(
      'internal',
      `error resolving passed in network volume address: lookup ${host}: no such host`,
      { cause: error },
    )
  }
}

/** The kernel's word alone: the call and its target stand before it. */
function reasonOf(error: unknown): string {
  return errorMessage(error).split(': ').at(-1) ?? ''
}

/** What the kernel means by some of its words. */
async function explanation(error: unknown, type: string): Promise<string> {
  switch (errorCode(error)) {
    case 'ENODEV': {
      const known = (await readFile('/proc/filesystems', 'utf8')).split(/\s+/).includes(type)
      return known
        ? ''
        : ` (the kernel has no file system of type ${JSON.stringify(type)}: see /proc/filesystems)`
    }
    case 'ENOTBLK':
      return ' (the device must be a block device, or a file with a file system in it)'
    case 'EINVAL':
      return ` (an option that ${type} does not know, or a device without a file system of this type)`
    default:
      return ''
  }
}
