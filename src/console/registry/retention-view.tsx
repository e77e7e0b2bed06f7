/** What the rules of retention would remove now, before they do. */
import { useState } from 'preact/hooks'
import type { PageCollection, PageRetention, PageRetentionRule } from '../../spec/registry-page.ts'
import { goTo } from '../browser/address.ts'
import { useIsNarrow, useNow } from '../browser/page.ts'
import { Age, Blank } from '../shared/controls.tsx'
import { formatBytes, formatCount, formatSpan } from '../shared/format.ts'
import { Grid } from '../shared/grid.tsx'
import { Icon } from '../shared/icons.tsx'
import { errorText, Show, useLoaded } from '../shared/loading.tsx'
import { useNotify } from '../shared/notices.tsx'
import { api } from './api.ts'
import { placeAddress } from './place.ts'
import { useSession } from './session.tsx'

/** See the file's head. */
export function RetentionView() {
  const loaded = useLoaded('retention', (signal) => api.retention(signal))
  const { status } = useSession()
  return (
    <>
      <div class="heading">
        <div class="crumbs">
          <nav aria-label="Where you are">
            <a href="#/">All</a>
            <span aria-hidden="true">/</span>
          </nav>
          <h1>Retention</h1>
        </div>
        <span class="spring" />
        {status.isAdmin && <Collection collected={loaded.reload} />}
      </div>
      <Show loaded={loaded}>{(plan) => <Plan plan={plan} />}</Show>
    </>
  )
}

function Plan({ plan }: { plan: PageRetention }) {
  const nowMs = useNow()
  const isNarrow = useIsNarrow()
  const { rules, tags, total } = plan
  if (rules.length === 0) {
    return (
      <Blank icon="clock" title="No retention rules">
        <p>
          Tags stay until somebody deletes them. Rules belong in the configuration, under `collect.retention`.
        </p>
      </Blank>
    )
  }
  const addressAt = (index: number) => {
    const tag = tags[index]
    return placeAddress({ view: 'image', name: tag?.repository ?? '', reference: tag?.name ?? '' })
  }
  return (
    <>
      <ul class="rules">
        {rules.map((rule, place) => (
          <li key={place}>{ruleText(rule)}</li>
        ))}
      </ul>
      <p role="status" class="list-count">
        {total === 0 ? 'Nothing would go now.' : <strong>{formatCount(total, 'tag')} would go now.</strong>}
        {total > tags.length && ` The first ${tags.length.toLocaleString('en')} are shown.`}
      </p>
      {tags.length > 0 && (
        <Grid
          label="Tags that would go"
          kind="grid"
          layout="planned"
          heads={['Repository', 'Tag', 'Pushed']}
          count={tags.length}
          rowHeight={isNarrow ? 68 : 46}
          row={(index, tabIndex) => {
            const tag = tags[index]
            if (tag === undefined) return undefined
            return {
              key: `${tag.repository}:${tag.name}`,
              cells: [
                <span class="tag-name">
                  <Icon name="box" />
                  <span class="clip" title={tag.repository}>
                    {tag.repository}
                  </span>
                </span>,
                <a class="row-link" href={addressAt(index)} tabIndex={tabIndex}>
                  {tag.name}
                </a>,
                <Age timeMs={tag.updatedMs} nowMs={nowMs} />,
              ],
            }
          }}
          onKey={(key, index) => {
            if (key === 'Enter') goTo(addressAt(index))
          }}
        />
      )}
    </>
  )
}

/** Collecting, for administrators: how much it would free, and doing it. */
function Collection({ collected }: { collected: () => void }) {
  const { ask, status } = useSession()
  const notify = useNotify()
  const [isBusy, setBusy] = useState(false)
  const preview = async () => {
    setBusy(true)
    try {
      const plan = await api.collect(true)
      ask({
        title: 'Collect now?',
        action: 'Collect',
        children: (
          <p>
            This removes {collectionText(plan)}, and frees {formatBytes(plan.bytes)}.
          </p>
        ),
        run: async () => {
          const done = await api.collect(false)
          notify(`Removed ${collectionText(done)}: ${formatBytes(done.bytes)} freed`)
          collected()
        },
      })
    } catch (error) {
      // Nothing was removed.
      notify(errorText(error), true)
    }
    setBusy(false)
  }
  if (status.readOnly) return null
  return (
    <button type="button" disabled={isBusy} onClick={() => void preview()}>
      Collect now…
    </button>
  )
}

function collectionText({ tags, manifests, blobs }: PageCollection): string {
  return `${formatCount(tags, 'tag')}, ${formatCount(manifests, 'image')} without tags and ${formatCount(blobs, 'blob')}`
}

/** A rule in words. */
function ruleText({ repositories, tags, keepLast, keepWithinMs }: PageRetentionRule): string {
  const about = `${tags.length === 0 ? 'All tags' : `Tags ${tags.join(', ')}`} of ${repositories.join(', ')}`
  const kept = [
    ...(keepLast === undefined ? [] : [`the newest ${keepLast.toLocaleString('en')}`]),
    ...(keepWithinMs === undefined ? [] : [`those pushed within ${formatSpan(keepWithinMs)}`]),
  ]
  return `${about}: keep ${kept.length === 0 ? 'all' : kept.join(' and ')}.`
}
