/** Volumes as the API shows them: those that the engine knows, and those that plugins have of their own. */
import { errorMessage } from '../spec/errors.ts'
import type { Volume } from '../spec/volume-types.ts'
import type { DriverVolume, VolumeDriver } from './volume-driver.ts'
import type { VolumeDrivers } from './volume-drivers.ts'
import { matchesVolume, type VolumeFilters } from './volume-filters.ts'
import type { VolumeRecord } from './volume-records.ts'

type Foreign = { driver: VolumeDriver; volume: DriverVolume }

/** A volume as the API shows it; without a record it is one that only its driver knows. */
export function shown(
  record: VolumeRecord | undefined,
  driver: Pick<VolumeDriver, 'name' | 'scope'>,
  volume: DriverVolume,
): Volume {
  return {
    ...(record !== undefined && { CreatedAt: record.createdAt }),
    Driver: driver.name,
    Labels: record?.labels ?? null,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: record?.options ?? null,
    Scope: driver.scope,
    ...(volume.status !== undefined && { Status: volume.status }),
  }
}

/** All that match, by name, and what was wrong with plugins that could not be asked. */
export async function listVolumes(
  records: readonly VolumeRecord[],
  drivers: VolumeDrivers,
  wanted: VolumeFilters,
): Promise<{ volumes: Volume[]; warnings: string[] }> {
  const { foreign, warnings } = await foreignVolumes(drivers)
  const theirs = new Map(foreign.map((each) => [`${each.driver.name}/${each.volume.name}`, each]))
  const known = new Set(records.map(({ name }) => name))
  const volumes = records
    .filter((record) => matchesVolume(record, wanted))
    .map((record) => {
      const { name, driver } = record
      const found = theirs.get(`${driver}/${name}`)
      if (found !== undefined) return shown(record, found.driver, found.volume)
      const mountpoint = drivers.ownOf(driver)?.path(name) ?? ''
      return shown(record, { name: driver, scope: 'local' }, { name, mountpoint })
    })
  for (const { driver, volume } of foreign) {
    const facts = { name: volume.name, driver: driver.name, labels: null, holders: [] }
    if (!known.has(volume.name) && matchesVolume(facts, wanted))
      volumes.push(shown(undefined, driver, volume))
  }
  return { volumes: volumes.sort((a, b) => (a.Name < b.Name ? -1 : 1)), warnings }
}

/** What plugins have, and what could not be asked; nothing is asked of anybody where there are no plugins. */
async function foreignVolumes(drivers: VolumeDrivers): Promise<{ foreign: Foreign[]; warnings: string[] }> {
  const { drivers: plugins, problems } = await drivers.plugins()
  const foreign = await Promise.all(
    plugins.map(async (driver) => {
      try {
        return (await driver.list()).map((volume) => ({ driver, volume }))
      } catch (error) {
        problems.set(driver.name, errorMessage(error))
        return []
      }
    }),
  )
  const warnings = [...problems].map(([name, problem]) => `list ${name}: ${problem}`)
  return { foreign: foreign.flat(), warnings }
}
