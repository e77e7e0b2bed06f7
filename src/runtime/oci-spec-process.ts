/** The process of a container or exec: environment, user, working directory, capabilities. */
import type { ContainerConfig, HostConfig } from '../spec/container-config.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { OciCapabilities, OciProcess, OciSpec } from '../spec/oci-runtime-types.ts'
import type { ExecTaskStart } from '../spec/task-types.ts'
import { mkdirAllInRoot } from '../kernel/scoped-path.ts'
import { resolveUser, type ContainerUser } from './users.ts'

/** Docker's PATH for containers that set none. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Annotation that names the variables of the environment which the engine, not the user, has set. */
const defaultsAnnotation = 'io.wharf.environment-defaults'
/** Annotation with the names of `--group-add`, which every exec gets too. */
const groupsAnnotation = 'io.wharf.group-add'

/** An environment, and which of its variables are the engine's own. */
export type Environment = { env: string[]; defaults: string[] }

/** PATH, HOSTNAME, TERM and HOME where the configuration does not set them, then the configuration's variables. */
export function containerEnvironment(
  config: Pick<ContainerConfig, 'Env' | 'Tty'>,
  hostname: string,
  home: string,
): Environment {
  const defaults = [`PATH=${defaultPath}`, `HOSTNAME=${hostname}`, ...(config.Tty ? ['TERM=xterm'] : [])]
  const env = overrideEnvironment(defaults, config.Env ?? [])
  const set = new Set((config.Env ?? []).map(variableName))
  const own = defaults.map(variableName).filter((name) => !set.has(name))
  if (env.some((variable) => variableName(variable) === 'HOME')) return { env, defaults: own }
  return { env: [...env, `HOME=${home}`], defaults: [...own, 'HOME'] }
}

/** Later values replace earlier ones in place; a name without `=` takes the variable away. */
export function overrideEnvironment(base: readonly string[], changes: readonly string[]): string[] {
  const merged = new Map<string, string>(base.map((variable) => [variableName(variable), variable]))
  for (const change of changes) {
    if (change.includes('=')) merged.set(variableName(change), change)
    else merged.delete(change)
  }
  return [...merged.values()]
}

function variableName(variable: string): string {
  const at = variable.indexOf('=')
  return at < 0 ? variable : variable.slice(0, at)
}

/** What an exec must know later of how the container was configured. */
export function processAnnotations(environment: Environment, hostConfig: HostConfig): Record<string, string> {
  return {
    [defaultsAnnotation]: environment.defaults.join(','),
    ...((hostConfig.GroupAdd ?? []).length > 0 && {
      [groupsAnnotation]: (hostConfig.GroupAdd ?? []).join('\n'),
    }),
  }
}

/**
 * Capability sets as execve(2) would leave them: a user other than root has the bounding set only, so that nothing
 * but set-user-id programs and file capabilities raise them.
 */
export function capabilitySets(names: readonly string[], uid: number): OciCapabilities {
  if (uid !== 0) return { bounding: [...names] }
  return { bounding: [...names], effective: [...names], permitted: [...names] }
}

/** Makes the working directory inside the root where it is missing. Throws Docker's error where a file is in the way. */
export function makeWorkingDirectory(
  rootfs: string,
  path: string,
  owner: { uid: number; gid: number },
): void {
  if (path === '' || path === '/') return
  try {
    using _directory = mkdirAllInRoot(rootfs, path, { mode: 0o755, ...owner })
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOTDIR' || code === 'EEXIST') {
      throw new EngineError('internal', `Cannot mkdir: ${path} is not a directory`, { cause: error })
    }
    if (code === 'ELOOP') {
      throw new EngineError('internal', `mkdir ${path}: too many levels of symbolic links`, { cause: error })
    }
    throw error
  }
}

/** How a further process differs from the container's: what `buildExecProcess` needs beside the request. */
export type ExecContext = {
  /** The mounted root file system, for /etc/passwd and /etc/group. */
  rootfs: string
  /** Capabilities of a privileged exec: all the daemon has. */
  availableCapabilities: readonly string[]
}

/** The OCI process object for `exec --process`, from the request and the container's configuration. */
export function buildExecProcess(
  start: ExecTaskStart,
  containerSpec: Pick<OciSpec, 'process' | 'annotations'>,
  { rootfs, availableCapabilities }: ExecContext,
): OciProcess {
  const container = containerSpec.process
  const user = execUser(start, containerSpec, rootfs)
  const uid = user?.uid ?? container.user.uid
  const names = start.privileged ? availableCapabilities : container.capabilities.bounding
  return {
    terminal: start.tty,
    ...(start.consoleSize !== undefined && {
      consoleSize: { height: start.consoleSize.rows, width: start.consoleSize.columns },
    }),
    user:
      user === undefined
        ? container.user
        : { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    args: start.args,
    env: execEnvironment(start, containerSpec, user?.home),
    cwd: start.workingDir === '' ? container.cwd : start.workingDir,
    capabilities: capabilitySets(names, uid),
    ...(container.rlimits !== undefined && { rlimits: container.rlimits }),
    noNewPrivileges: container.noNewPrivileges,
    ...(container.apparmorProfile !== undefined && {
      apparmorProfile: start.privileged ? 'unconfined' : container.apparmorProfile,
    }),
    ...(container.selinuxLabel !== undefined && { selinuxLabel: container.selinuxLabel }),
    ...(container.oomScoreAdj !== undefined && { oomScoreAdj: container.oomScoreAdj }),
  }
}

/** The user asked for, undefined for the container's own. */
function execUser(
  start: ExecTaskStart,
  containerSpec: Pick<OciSpec, 'annotations'>,
  rootfs: string,
): ContainerUser | undefined {
  if (start.user === '') return undefined
  const groups = containerSpec.annotations[groupsAnnotation]?.split('\n') ?? []
  return resolveUser(rootfs, start.user, groups)
}

function execEnvironment(
  start: ExecTaskStart,
  containerSpec: Pick<OciSpec, 'process' | 'annotations'>,
  home: string | undefined,
): string[] {
  const defaults = new Set((containerSpec.annotations[defaultsAnnotation] ?? '').split(','))
  // TERM and HOME are the exec's own unless the user set them for the container.
  const base = containerSpec.process.env.filter((variable) => {
    const name = variableName(variable)
    if (!defaults.has(name)) return true
    return name === 'TERM' ? start.tty : name !== 'HOME' || home === undefined
  })
  const has = (name: string) => base.some((variable) => variableName(variable) === name)
  if (start.tty && !has('TERM')) base.splice(Math.min(2, base.length), 0, 'TERM=xterm')
  if (home !== undefined && !has('HOME')) base.push(`HOME=${home}`)
  return overrideEnvironment(base, start.env)
}
