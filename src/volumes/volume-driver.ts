/**
 * What a kind of volume is to the rest: something with a name that can be made, given a place in the file system, and
 * removed. The local driver is the only one here; plugins and network storage become further implementations.
 */

/** A volume driver. All calls are idempotent. */
export interface VolumeDriver {
  readonly name: string
  /** `local` where volumes belong to this machine, `global` where other machines see them too. */
  readonly scope: 'local' | 'global'
  /** Checks options and makes the volume. Throws invalid. */
  create(name: string, options: Readonly<Record<string, string>>): Promise<void>
  /** Removes the volume with its data. */
  remove(name: string): Promise<void>
  /** Where its data is, or will be once mounted. */
  path(name: string): string
  /** Makes the data reachable for `user` (a container) and answers the path. */
  mount(name: string, options: Readonly<Record<string, string>>, user: string): Promise<string>
  /** `user` needs it no longer; the last one unmounts. */
  unmount(name: string, user: string): Promise<void>
  /** Names of the volumes that the driver has, whether or not the engine knows them. */
  list(): Promise<string[]>
  /** Bytes that a volume takes, -1 where the driver cannot tell. */
  usageBytes(name: string): Promise<number>
}
