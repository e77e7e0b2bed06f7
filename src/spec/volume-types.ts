/** Answers and requests of the volume part of the Engine API. */
import { z } from 'zod'
import { goMap, goPointer, goString, goStruct } from './go-json.ts'

/** Body of `POST /volumes/create`. */
export const VolumeCreate = goStruct({
  Name: goString(),
  Driver: goString(),
  DriverOpts: goMap(z.string()),
  Labels: goMap(z.string()),
  ClusterVolumeSpec: goPointer(goStruct({})),
})
/** See the schema of the same name. */
export type VolumeCreate = z.infer<typeof VolumeCreate>

/** A volume as inspect and ls show it. */
export type Volume = {
  /** Absent for a volume that only its plugin knows. */
  CreatedAt?: string
  Driver: string
  Labels: Record<string, string> | null
  Mountpoint: string
  Name: string
  Options: Record<string, string> | null
  Scope: string
  Status?: Record<string, unknown>
  UsageData?: { Size: number; RefCount: number }
}
