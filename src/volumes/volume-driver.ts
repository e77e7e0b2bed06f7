/**
 * What a kind of volume is to the rest: something with a name that can be made, given a place in the file system, and
 * removed. The local driver keeps directories and mounts; the others are plugins (`plugin-driver.ts`).
 */

/** A volume as its driver knows it. The mountpoint is empty while the driver has none to tell. */
export type DriverVolume = { name: string; mountpoint: string; status?: Record<string, unknown> }

/** A volume driver. All calls are idempotent. */
export interface VolumeDriver {
  readonly name: string
  /** `local` where volumes belong to this machine, `global` where other machines see them too. */
  readonly scope: 'local' | 'global'
  /** Whether all its volumes are this engine's: what no row names is then a leaving of a crash. */
  readonly isOwn: boolean
  /** Checks options and makes the volume. Throws invalid. */
  create(name: string, options: Readonly<Record<string, string>>): Promise<void>
  /** Removes the volume with its data. */
  remove(name: string): Promise<void>
  /** A volume of the driver, undefined when it has none of that name. */
  get(name: string): Promise<DriverVolume | undefined>
  /** Makes the data reachable for `user` (a mount of a container) and answers the path. */
  mount(name: string, options: Readonly<Record<string, string>>, user: string): Promise<string>
  /** `user` needs it no longer; the last one unmounts. */
  unmount(name: string, user: string): Promise<void>
  /** All volumes that the driver has, whether or not the engine knows them. */
  list(): Promise<DriverVolume[]>
  /** Bytes that a volume takes, -1 where the driver cannot tell. */
  usageBytes(name: string): Promise<number>
}

/** A driver of the engine's own: where a volume is follows from its name. */
export interface OwnVolumeDriver extends VolumeDriver {
  path(name: string): string
}
