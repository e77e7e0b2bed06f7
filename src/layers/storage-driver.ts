/**
 * How layers and containers' file trees stand on disk. A driver knows names and directories; chains, rows and who
 * needs what are the stores' (`layer-store.ts`, `rootfs-store.ts`). All drivers pass one contract suite
 * (test/integration/layers/driver-contract.test.ts).
 */
import type { FilesystemChange } from '../spec/container-types.ts'

/** A layer being written. Disposing it without `publish` removes it. */
export interface DraftLayer extends AsyncDisposable {
  /** Where to write the files. */
  readonly directory: string
  /** Makes the layer visible under its name on top of `lowers`, replacing leavings of that name. */
  publish(name: string, lowers: readonly string[]): Promise<void>
}

/** A writable layer on top of layers, topmost first. */
export type WritableRequest = {
  lowers: readonly string[]
  /** Whether the engine's mount points and files lie over the image: for a container's root. */
  init: boolean
  /** Those of `--storage-opt`. */
  options: Readonly<Record<string, string>>
  /** Whether it must be there after a power cut. */
  durable: boolean
}

/** See the file's head. Layer names are plain file names; lists of them are topmost first. */
export interface StorageDriver {
  /** As `docker info` shows it. */
  readonly name: string
  /** `DriverStatus` of info. */
  status(): [string, string][]
  /** Makes the driver's directories and takes half-written layers away. */
  setUp(): Promise<void>
  createLayer(): Promise<DraftLayer>
  /** Takes a layer out of sight at once; its files go in the background. */
  removeLayer(name: string): Promise<void>
  listLayers(): Promise<string[]>
  /** The layer's own files on the host. */
  layerDirectory(name: string): string

  /** Makes a writable layer. Throws internal for an option that the driver cannot follow. */
  createWritable(id: string, request: WritableRequest): Promise<void>
  /** Mounts a container's tree and answers where. Mounting twice is harmless. */
  mountWritable(id: string, options: { volatile: boolean }): Promise<string>
  unmountWritable(id: string): Promise<void>
  removeWritable(id: string): Promise<void>
  listWritable(): Promise<string[]>
  /** Layers that a writable layer was made on. Throws notFound. */
  lowersOf(id: string): Promise<string[]>
  changes(id: string): Promise<FilesystemChange[]>
  /** Bytes of the writable layer. */
  usage(id: string): Promise<number>
  /** Writes what the container changed as a layer's tar to a new file. */
  pack(id: string, target: string): Promise<{ digest: string; bytes: number }>
  /** `GraphDriver.Data` of an image with these layers. */
  describeLayers(lowers: readonly string[]): Record<string, string> | null
  /** `GraphDriver.Data` of a container. */
  describeWritable(id: string): Record<string, string> | null
}
