/** Checks the volumes: rows against what the drivers have, and claims against the containers there are. */
import type { StoreProblem } from '../lib/store-problem.ts'
import type { VolumeRecord } from './volume-records.ts'

/** What a check of the volumes is given. */
export type VolumeCheck = {
  records: readonly VolumeRecord[]
  /** Names that the drivers have data of, by driver. A driver that cannot tell is not named. */
  data: ReadonlyMap<string, readonly string[]>
  /** Whether a claim stands now that nobody will let go of: its container is not there and not being made. */
  isStray: (volume: string, container: string) => boolean
  /** Looks once more, with the volume held still, for its data and its row. */
  look: (driver: string, name: string) => Promise<{ hasData: boolean; hasRow: boolean }>
  /** Drops a container's claim. */
  release: (volume: VolumeRecord, container: string) => Promise<void>
  /** Removes data that no row names. */
  removeUnowned: (driver: string, name: string) => Promise<void>
}

/** See the file's head. */
export async function* checkVolumes(check: VolumeCheck): AsyncGenerator<StoreProblem> {
  for (const record of check.records) {
    if (check.data.get(record.driver)?.includes(record.name) === false && (await isLost(check, record))) {
      yield {
        kind: 'missing',
        object: record.name,
        detail: 'the data of this volume is not there',
        advice: 'bring it back from a backup, or remove the volume',
      }
    }
    for (const { container } of record.holders) {
      if (!check.isStray(record.name, container)) continue
      yield {
        kind: 'unowned',
        object: record.name,
        detail: `held for the container ${container}, which is not there`,
        repair: () => check.release(record, container),
      }
    }
  }
  const named = new Set(check.records.map(({ name }) => name))
  for (const [driver, names] of check.data) {
    for (const name of names) {
      if (named.has(name)) continue
      const { hasData, hasRow } = await check.look(driver, name)
      if (hasRow || !hasData) continue
      yield {
        kind: 'unowned',
        object: name,
        detail: `the driver ${driver} has data that no volume names`,
        repair: () => check.removeUnowned(driver, name),
      }
    }
  }
}

async function isLost(check: VolumeCheck, { driver, name }: VolumeRecord): Promise<boolean> {
  const { hasData, hasRow } = await check.look(driver, name)
  return hasRow && !hasData
}
