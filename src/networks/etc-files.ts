/**
 * A container's /etc/hosts, /etc/hostname and /etc/resolv.conf. They lie on the host and are bind-mounted, so they
 * are rewritten in place; what the container itself has put into them stays, where it can.
 */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Owner } from '../lib/id-mapping.ts'
import { errorCode } from '../spec/errors.ts'

/** A line of a hosts file. */
export type HostsLine = { address: string; names: string }

/** Paths of a container's files. */
export type EtcPaths = { hosts: string; hostname: string; resolvConf: string }

const sizeLimitBytes = 1024 * 1024
const standardLines: readonly HostsLine[] = [
  { address: '127.0.0.1', names: 'localhost' },
  { address: '::1', names: 'localhost ip6-localhost ip6-loopback' },
  { address: 'fe00::', names: 'ip6-localnet' },
  { address: 'ff00::', names: 'ip6-mcastprefix' },
  { address: 'ff02::1', names: 'ip6-allnodes' },
  { address: 'ff02::2', names: 'ip6-allrouters' },
]

/** Where the files of a container's directory are. */
export function etcPaths(directory: string): EtcPaths {
  return {
    hosts: join(directory, 'hosts'),
    hostname: join(directory, 'hostname'),
    resolvConf: join(directory, 'resolv.conf'),
  }
}

/** The first content of a hosts file. */
export function hostsText(lines: HostsLine[]): string {
  return [...standardLines, ...lines].map(formatLine).join('')
}

function formatLine({ address, names }: HostsLine): string {
  return `${address}\t${names}\n`
}

/** The text without the lines of `remove` (address and names must both match) and with those of `add` at its end. */
export function editHosts(text: string, remove: HostsLine[], add: HostsLine[]): string {
  const gone = new Set(remove.map((line) => formatLine(line).trimEnd()))
  const kept = text.split('\n').filter((line) => !gone.has(line.trimEnd()))
  const body = kept.join('\n')
  const separator = body === '' || body.endsWith('\n') ? '' : '\n'
  return body + separator + add.map(formatLine).join('')
}

/** What a hosts file says of the own container: an address each, for its names. */
export function ownNames(hostname: string, domainname: string): string {
  return domainname === '' ? hostname : `${hostname}.${domainname} ${hostname}`
}

/**
 * Writes a file in place, making it if need be. A symbolic link there is refused: nothing but files of ours belong
 * into that directory. It is given to `owner`, where there is one.
 */
export function writeInPlace(path: string, text: string, owner?: Owner): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const fd = openSync(path, flags, 0o644)
  try {
    if (!fstatSync(fd).isFile()) throw new Error(`${path} is no regular file`)
    const bytes = Buffer.from(text)
    ftruncateSync(fd, 0)
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid)
    let offset = 0
    while (offset < bytes.length) offset += writeSync(fd, bytes, offset, bytes.length - offset, offset)
  } finally {
    closeSync(fd)
  }
}

/** Reads such a file; undefined when it is gone, no file, or larger than any that we would write. */
export function readInPlace(path: string): string | undefined {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ELOOP') return undefined
    throw error
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile() || stat.size > sizeLimitBytes) return undefined
    const bytes = Buffer.alloc(stat.size)
    const length = readSync(fd, bytes, 0, stat.size, 0)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(fd)
  }
}
