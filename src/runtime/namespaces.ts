/** Namespaces of a container, as the OCI configuration lists them: a new one, a joined one, or none for the host's. */
import type { OciIdMapping, OciNamespace } from '../spec/oci-runtime-types.ts'
import type { ContainerTaskStart, NamespaceSource } from '../spec/task-types.ts'

/** User and group ids of containers on the host, for `userns-remap`; absent without remapping. */
export type IdMappings = { uid: OciIdMapping[]; gid: OciIdMapping[] }

/** The list for a container. The mount namespace is always its own; a user namespace comes with id mappings. */
export function ociNamespaces(
  namespaces: ContainerTaskStart['namespaces'],
  remapped: boolean,
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
  if (remapped) list.push({ type: 'user' })
  return list
}
