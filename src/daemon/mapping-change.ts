/**
 * A daemon whose `userns-remap` is another than the last one's has another store: what runs is not known there, and would
 * be without anybody to look after it. It is asked to end, before the boot sweeps away what is left.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { rootOwner, type IdMapping } from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import type { OciContainerRuntime } from '../runtime/container-runtime.ts'
import { errorCode } from '../spec/errors.ts'
import type { ContainerId } from '../spec/ids.ts'

/** How long containers have to end, as with `docker stop`. */
const patienceMs = 10_000
const terminate = 15

/** Ends what runs if the last daemon of this exec root had other ids; remembers those of this one. */
export async function endUnderOtherMapping(
  { execRoot, ids }: { execRoot: string; ids: IdMapping | undefined },
  runtime: Pick<OciContainerRuntime, 'list' | 'adopt'>,
  log: Log,
): Promise<void> {
  const marker = join(execRoot, 'mapping')
  const { uid, gid } = rootOwner(ids)
  const name = `${uid}.${gid}`
  const last = readIfAny(marker) ?? '0.0'
  if (last === name) return
  const running = await runtime.list()
  if (running.length > 0) {
    log.warn('ending containers, whose user and group ids are no longer those of the daemon', {
      mapping: last,
      count: running.length,
    })
  }
  await Promise.all(running.map((id) => endTask(runtime, id)))
  writeFileSync(marker, name)
}

async function endTask(runtime: Pick<OciContainerRuntime, 'adopt'>, id: ContainerId): Promise<void> {
  const task = await runtime.adopt(id)
  if (task === undefined || !('kill' in task)) return
  const patience = new AbortController()
  const late = delay(patienceMs, undefined, { signal: patience.signal }).catch(() => {})
  // It may end by itself just now.
  await task.kill(terminate).catch(() => {})
  await Promise.race([task.exited, late])
  patience.abort()
}

function readIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
