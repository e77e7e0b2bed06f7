/** Namespaces of a container, as the OCI configuration lists them: a new one, a joined one, or none for the host's. */
import type { OciNamespace } from '../spec/oci-runtime-types.ts'
import type { ContainerTaskStart, NamespaceSource } from '../spec/task-types.ts'

/** The list for a container. The mount namespace is always its own; `users` is its user namespace. */
export function ociNamespaces(
  namespaces: ContainerTaskStart['namespaces'],
  users: NamespaceSource,
  cgroupNamespaces: boolean,
): OciNamespace[] {
  const list: OciNamespace[] = [{ type: 'mount' }]
  const add = (type: OciNamespace['type'], source: NamespaceSource) => {
    if (source.kind === 'new') list.push({ type })
    if (source.kind === 'path') list.push({ type, path: source.path })
  }
  add('network', namespaces.network)
  add('uts', namespaces.uts)
  add('pid', namespaces.pid)
  add('ipc', namespaces.ipc)
  // A kernel without them: Docker warns at create and goes on with the host's.
  if (cgroupNamespaces) add('cgroup', namespaces.cgroup)
  add('user', users)
  return list
}
