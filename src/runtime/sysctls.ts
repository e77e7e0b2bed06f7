/** Kernel parameters of a container: only those that belong to a namespace of its own may be set. */
import { EngineError } from '../spec/errors.ts'

/** Which namespaces are the container's own, not the host's. */
export type OwnNamespaces = { ipc: boolean; network: boolean; uts: boolean }

const ipcParameters = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
])

/** Throws with the runtime's words when a parameter is the host's. Names use dots or slashes. */
export function checkSysctls(sysctls: Readonly<Record<string, string>>, own: OwnNamespaces): void {
  for (const given of Object.keys(sysctls)) {
    const name = dotted(given)
    if (name.startsWith('net.')) {
      if (!own.network) throw refused(`sysctl "${given}" not allowed in host network namespace`)
      continue
    }
    if (own.ipc && (ipcParameters.has(name) || name.startsWith('fs.mqueue.'))) continue
    if (own.uts && name === 'kernel.domainname') continue
    if (own.uts && name === 'kernel.hostname') {
      throw refused(`sysctl "${given}" is not allowed as it conflicts with the OCI "hostname" field`)
    }
    throw refused(`sysctl "${given}" is not in a separate kernel namespace`)
  }
}

/** sysctl(8): the first separator decides whether dots or slashes separate. */
function dotted(name: string): string {
  const separator = /[./]/.exec(name)?.[0]
  if (separator !== '/') return name
  return name.replaceAll(/[./]/g, (character) => (character === '/' ? '.' : '/'))
}

function refused(message: string): EngineError {
  return new EngineError('invalid', message)
}
