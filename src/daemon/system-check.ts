/**
 * `POST /wharf/system/check`: asks every room what is wrong with its part of the state, and repairs what can be. It runs
 * beside everything else: the rooms tell an operation under way from a fault.
 */
import type { Containers } from '../containers/engine.ts'
import type { ImageStore } from '../images/image-store.ts'
import type { ImageCheckOptions, ImageRoomCheck } from '../images/store-check.ts'
import type { StoreProblem } from '../lib/store-problem.ts'
import type { CheckArea, CheckFinding, CheckReport } from '../spec/check-types.ts'
import { errorMessage } from '../spec/errors.ts'
import type { Database } from '../store/database.ts'
import type { VolumeService } from '../volumes/volume-service.ts'

/** Whose state is checked. */
export type CheckParts = {
  database: Database
  files: ImageRoomCheck
  images: ImageStore
  volumes: VolumeService
  containers: Containers
  /** Directories below which all mounts are the engine's. */
  roots: readonly string[]
}

/** See the file's head. */
export async function systemCheck(
  parts: CheckParts,
  { deep, repair }: { deep: boolean; repair: boolean },
  signal: AbortSignal,
): Promise<CheckReport> {
  const findings: CheckFinding[] = []
  for (const [area, problems] of areas(parts, { deep, isMounted: mountedLayers(parts), signal })) {
    // All are found before the first is repaired: a repair may undo what another finding stands on.
    const found: StoreProblem[] = []
    for await (const problem of problems()) found.push(problem)
    for (const problem of found) findings.push(await findingOf(area, problem, repair))
  }
  return { Findings: findings, Checked: counts(parts), Deep: deep }
}

/** In an order in which a repair of one area is seen by the next: what a container leaves, layers are no longer held by. */
function areas(
  parts: CheckParts,
  options: ImageCheckOptions,
): [CheckArea, () => AsyncIterable<StoreProblem> | Iterable<StoreProblem>][] {
  const { database, files, volumes, containers, roots } = parts
  return [
    ['database', () => databaseProblems(database)],
    ['containers', () => containers.check(roots)],
    ['volumes', () => volumes.check((id) => containers.isKnown(id))],
    ['images', () => files.images()],
    ['layers', () => files.layers(options)],
    ['content', () => files.content(options)],
  ]
}

function databaseProblems(database: Database): StoreProblem[] {
  return database.problems().map((detail) => ({
    kind: 'damaged',
    object: 'wharf.db',
    detail,
    advice: 'stop the daemon and bring the data root back from a backup',
  }))
}

async function findingOf(area: CheckArea, problem: StoreProblem, repair: boolean): Promise<CheckFinding> {
  const { kind, object, detail, advice = '' } = problem
  const finding = { Area: area, Kind: kind, Object: object, Detail: detail, Advice: advice }
  if (problem.repair === undefined) return { ...finding, Repair: 'impossible' }
  if (!repair) return { ...finding, Repair: 'possible' }
  try {
    await problem.repair()
    return { ...finding, Repair: 'done' }
  } catch (error) {
    return { ...finding, Repair: 'failed', Advice: errorMessage(error) }
  }
}

function mountedLayers({ images, containers }: CheckParts): ImageCheckOptions['isMounted'] {
  const mounted = new Set(
    images
      .all()
      .filter(({ id }) => containers.usersOfImage(id).some(({ running }) => running))
      .flatMap(({ layers }) => layers.map(({ chainId }) => chainId)),
  )
  return (id) => mounted.has(id)
}

function counts({ files, volumes, containers }: CheckParts): CheckReport['Checked'] {
  return {
    database: 1,
    ...files.counts(),
    volumes: volumes.count(),
    containers: containers.counts().total,
  }
}
