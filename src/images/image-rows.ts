/** Rows of images and of their names, as the image store writes them. */
import type { Digest } from '../spec/ids.ts'
import type { Database } from '../store/database.ts'
import { parkedValues } from '../store/parked-rows.ts'
import type { ImageRecord, Target } from './image-record.ts'
import { blobsOf, documentsOf } from './image-targets.ts'

/** The image of a row, which the store has written: its shape is known. */
export function imageIn(record: string): ImageRecord {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return (JSON.parse(record) as { image: ImageRecord }).image
}

/** What a name's row says that it stands for. */
export function targetIn(record: string): Target | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the store
  return (JSON.parse(record) as { target?: Target }).target
}

/** Blobs of images that other storage drivers have, and that wait for these to come back. */
export function parkedBlobs(database: Database): Digest[] {
  const images = parkedValues(database, 'images', 'record').map(imageIn)
  const targets = parkedValues(database, 'image_references', 'record').flatMap(
    (record) => targetIn(record) ?? [],
  )
  return [...images.flatMap(blobsOf), ...targets.flatMap(documentsOf)]
}
