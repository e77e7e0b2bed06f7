/** Which user namespace a container joins: the one that owns its other namespaces. */
import { fstatSync } from 'node:fs'
import type { OwnedFd } from '../kernel/scoped-path.ts'
import { ownerOfNamespace } from '../kernel/user-namespace.ts'
import { EngineError } from '../spec/errors.ts'
import type { ContainerTaskStart } from '../spec/task-types.ts'

/**
 * The user namespace that the network belongs to, and all that are shared with other containers. Throws `invalid` where
 * they belong to several, or to the host's: runtimes would show the host's /proc and /sys in place of what they may not mount.
 */
export function commonOwner({ network, pid, ipc }: ContainerTaskStart['namespaces']): OwnedFd | undefined {
  using undo = new DisposableStack()
  let common: OwnedFd | undefined
  for (const [what, source] of Object.entries({ network, PID: pid, IPC: ipc })) {
    if (source.kind !== 'path') continue
    const owner = ownerOfNamespace(source.path)
    if (owner !== undefined) undo.use(owner)
    common ??= owner
    if (owner === undefined || identityOf(owner) !== identityOf(common)) {
      throw new EngineError(
        'invalid',
        `cannot share the ${what} namespace of a container without sharing its user namespace`,
      )
    }
    if (owner !== common) owner[Symbol.dispose]()
  }
  undo.move()
  return common
}

function identityOf(namespace: OwnedFd | undefined): string {
  if (namespace === undefined) return ''
  const { dev, ino } = fstatSync(namespace.fd)
  return `${dev}:${ino}`
}
