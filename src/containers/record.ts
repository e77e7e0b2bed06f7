/**
 * What is known of one container, as an immutable record that is replaced whole: in memory for every reader, and as
 * JSON in the table `containers`. What only a living daemon can hold (the task, timers, clients) is not here.
 */
import { z } from 'zod'
import { zeroTime } from '../lib/clock.ts'
import { ContainerConfig, EndpointSettings, HostConfig, PortMap } from '../spec/container-config.ts'
import type { ContainerStatus, MountPoint } from '../spec/container-types.ts'
import { containerId, digest } from '../spec/ids.ts'

const etcFiles = z.object({
  hosts: z.string().exactOptional(),
  hostname: z.string().exactOptional(),
  resolvConf: z.string().exactOptional(),
})

const sandboxState = z.object({
  sandboxId: z.string(),
  sandboxKey: z.string(),
  etcFiles,
  endpoints: z.record(z.string(), EndpointSettings),
  ports: PortMap,
})

const mountPoint = z.object({
  Type: z.enum(['bind', 'volume', 'tmpfs', 'image', 'npipe', 'cluster']),
  Name: z.string().exactOptional(),
  Source: z.string(),
  Destination: z.string(),
  Driver: z.string().exactOptional(),
  Mode: z.string(),
  RW: z.boolean(),
  Propagation: z.string(),
}) satisfies z.ZodType<MountPoint>

const storedMount = z.object({
  point: mountPoint,
  anonymous: z.boolean(),
  options: z.array(z.string()),
  noCopy: z.boolean(),
  subpath: z.string(),
  createSource: z.boolean(),
})

const resolvedMount = z.object({
  point: mountPoint,
  type: z.string(),
  source: z.string(),
  destination: z.string(),
  options: z.array(z.string()),
})

const health = z.object({
  Status: z.enum(['none', 'starting', 'healthy', 'unhealthy']),
  FailingStreak: z.number(),
  Log: z
    .array(z.object({ Start: z.string(), End: z.string(), ExitCode: z.number(), Output: z.string() }))
    .nullable(),
})

const state = z.object({
  /** Also true while the restart policy waits (`restarting`). */
  running: z.boolean(),
  paused: z.boolean(),
  restarting: z.boolean(),
  /** A removal failed half-way; only another removal helps. */
  dead: z.boolean(),
  /** A removal is under way: what it was asked to do, so that the next daemon can finish it. */
  removing: z.object({ volumes: z.boolean() }).nullable(),
  /** Written just before the process may run: after a crash the kernel says whether it does. */
  starting: z.boolean(),
  oomKilled: z.boolean(),
  pid: z.number(),
  exitCode: z.number(),
  error: z.string(),
  startedAt: z.string(),
  finishedAt: z.string(),
  health: health.nullable(),
})
/** See the schema of the same name. */
export type ContainerStateRecord = z.infer<typeof state>

/** See the file's head. Names are without a slash, times RFC 3339 with nanoseconds. */
export const ContainerRecord = z.object({
  id: z.string().transform(containerId),
  name: z.string(),
  createdAt: z.string(),
  imageId: z.string().transform(digest),
  /** The manifest the image was chosen by, as inspect shows it. */
  imageManifest: z.record(z.string(), z.unknown()).nullable(),
  platform: z.string(),
  path: z.string(),
  args: z.array(z.string()),
  config: ContainerConfig,
  hostConfig: HostConfig,
  /** Networks to join, by network name: what was asked for, without operational data. */
  networks: z.record(z.string(), EndpointSettings),
  /** Old links on the default bridge: `alias` names the container `id`. */
  links: z.array(z.object({ id: z.string().transform(containerId), alias: z.string() })),
  mounts: z.array(storedMount),
  state,
  restartCount: z.number(),
  manuallyStopped: z.boolean(),
  startedBefore: z.boolean(),
  /** What the networks gave it; null while it does not run. */
  sandbox: sandboxState.nullable(),
  /** Mounts of the running container, so that cp reaches volumes after a daemon restart. */
  activeMounts: z.array(resolvedMount),
  /** Merged root directory while it runs, else empty. */
  rootfs: z.string(),
})
/** See the schema of the same name. */
export type ContainerRecord = z.infer<typeof ContainerRecord>

/** State of a container that has never run. */
export const createdState: ContainerStateRecord = {
  running: false,
  paused: false,
  restarting: false,
  dead: false,
  removing: null,
  starting: false,
  oomKilled: false,
  pid: 0,
  exitCode: 0,
  error: '',
  startedAt: zeroTime,
  finishedAt: zeroTime,
  health: null,
}

/** `State.Status`: which of several true facts the API shows. */
export function statusOf(state: ContainerStateRecord): ContainerStatus {
  if (state.running) {
    if (state.paused) return 'paused'
    return state.restarting ? 'restarting' : 'running'
  }
  if (state.removing !== null) return 'removing'
  if (state.dead) return 'dead'
  return state.startedAt === zeroTime ? 'created' : 'exited'
}
