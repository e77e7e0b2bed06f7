/**
 * User and group ids of containers that have other ones on the host (`userns-remap`). Where nothing is mapped there is
 * no mapping: every function here takes `undefined` for that, and gives back what it was given.
 */
import type { OciIdMapping } from '../spec/oci-runtime-types.ts'

/** Who a file belongs to. */
export type Owner = { uid: number; gid: number }

/** Ranges of ids, as the kernel and the OCI configuration have them. */
export type IdMapping = { uid: OciIdMapping[]; gid: OciIdMapping[] }

/** What the kernel shows inside for an id that has none there (/proc/sys/kernel/overflowuid). */
const overflowId = 65534

/** An id of a container cannot be had on the host. */
export class UnmappedIdError extends Error {}

/** The host's owner of a container's. Throws an UnmappedIdError for one that has none. */
export function hostOwner(ids: IdMapping | undefined, owner: Owner): Owner {
  if (ids === undefined) return owner
  return { uid: toHost(ids.uid, owner.uid), gid: toHost(ids.gid, owner.gid) }
}

/** The container's owner of a file on the host: nobody for what the container cannot name. */
export function containerOwner(ids: IdMapping | undefined, owner: Owner): Owner {
  if (ids === undefined) return owner
  return { uid: toContainer(ids.uid, owner.uid), gid: toContainer(ids.gid, owner.gid) }
}

/** The host's ids of a container's root. */
export function rootOwner(ids: IdMapping | undefined): Owner {
  return hostOwner(ids, { uid: 0, gid: 0 })
}

function toHost(ranges: readonly OciIdMapping[], id: number): number {
  for (const { containerID, hostID, size } of ranges) {
    if (id >= containerID && id - containerID < size) return hostID + (id - containerID)
  }
  // moby pkg/idtools/idtools.go
  throw new UnmappedIdError(`Container ID ${id} cannot be mapped to a host ID`)
}

function toContainer(ranges: readonly OciIdMapping[], id: number): number {
  for (const { containerID, hostID, size } of ranges) {
    if (id >= hostID && id - hostID < size) return containerID + (id - hostID)
  }
  return overflowId
}

/** A range of ids that a user may give to others (subuid(5)). */
export type SubordinateRange = { user: string; start: number; size: number }

/** Reads /etc/subuid or /etc/subgid. Throws for a line that is none. */
export function parseSubordinateIds(text: string): SubordinateRange[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [user = '', start = '', size = '', ...more] = line.split(':')
      if (user === '' || !/^\d{1,10}$/.test(start) || !/^\d{1,10}$/.test(size) || more.length > 0) {
        throw new Error(`not a range of subordinate ids: ${line}`)
      }
      return { user, start: Number(start), size: Number(size) }
    })
}

/** The ranges of a user, its number before its name, one after the other from container id 0 on. */
export function rangesOf(
  all: readonly SubordinateRange[],
  { uid, name }: { uid: number; name: string },
): OciIdMapping[] {
  const byUid = all.filter(({ user }) => user === String(uid))
  const own = byUid.length > 0 ? byUid : all.filter(({ user }) => user === name)
  let containerID = 0
  return own.map(({ start: hostID, size }) => {
    const range = { containerID, hostID, size }
    containerID += size
    return range
  })
}

const firstStart = 100_000

/** Where `size` ids are free that no range has: the lowest place from 100000 on. */
export function freeRangeStart(taken: readonly SubordinateRange[], size: number): number {
  let start = firstStart
  for (const range of taken.toSorted((a, b) => a.start - b.start)) {
    if (range.start < start + size && start < range.start + range.size) start = range.start + range.size
  }
  return start
}

const versionOffset = 3
const version2Bytes = 20

/**
 * The attribute `security.capability` without the user namespace that it was set in (version 3 of the kernel's form):
 * that means nothing elsewhere (moby pkg/archive, ReadSecurityXattrToTarHeader).
 */
export function portableCapability(value: Uint8Array): Uint8Array {
  if (value[versionOffset] !== 3) return value
  const portable = value.slice(0, version2Bytes)
  portable[versionOffset] = 2
  return portable
}
