/** A repository's tags: any number of them, with what each one is. */
import type { PageRepository, PageTag, PageTagOrder } from '../../spec/registry-page.ts'
import { goTo } from '../browser/address.ts'
import { copyText, useIsNarrow, useNow } from '../browser/page.ts'
import { Age, Badge, Blank, CopyButton, Command } from '../shared/controls.tsx'
import { formatBytes, formatCount, shortDigest } from '../shared/format.ts'
import { Grid, type GridRow } from '../shared/grid.tsx'
import { Icon } from '../shared/icons.tsx'
import { errorText, Problem, Skeleton } from '../shared/loading.tsx'
import { useNotify } from '../shared/notices.tsx'
import { SelectBox, SelectionBar } from '../shared/selection-bar.tsx'
import { useSelection, type Selection } from '../shared/selection.ts'
import { api } from './api.ts'
import { useDeletions } from './deletions.tsx'
import { placeAddress } from './place.ts'
import { useSession } from './session.tsx'
import { useTagPages, type TagPages } from './tag-pages.ts'

const shownPlatforms = 3
/** A selection may not be larger. */
const mostSelected = 100_000

type TagListProps = { repository: PageRepository; order: PageTagOrder; q: string }

/** See the file's head. */
export function TagList({ repository, order, q }: TagListProps) {
  const pages = useTagPages(repository.name, order, q)
  const { total, error } = pages
  if (total === undefined)
    return error === undefined ? <Skeleton /> : <Problem error={error} retry={pages.reload} />
  return (
    <>
      <p class="muted list-count" role="status">
        {formatCount(total, 'tag')}
        {q !== '' && ' found'}
      </p>
      {error !== undefined && (
        <p class="problem-text" role="alert">
          Some could not be loaded: {errorText(error)}{' '}
          <button type="button" onClick={pages.reload}>
            Try again
          </button>
        </p>
      )}
      {total === 0 ? (
        <NoTags name={repository.name} q={q} />
      ) : (
        <Tags {...{ repository, order, q, pages, total }} />
      )}
    </>
  )
}

function Tags(props: TagListProps & { pages: TagPages; total: number }) {
  const { repository, pages, total } = props
  const { status } = useSession()
  const nowMs = useNow()
  const isNarrow = useIsNarrow()
  const selection = useSelection()
  const deletions = useDeletions()
  const notify = useNotify()
  const { name, mayDelete } = repository
  const nameAt = (index: number) => pages.tagAt(index)?.name
  const pullCommand = (tag: string) => `docker pull ${status.host}/${name}:${tag}`
  const remove = (tags: readonly string[]) => {
    if (!mayDelete || tags.length === 0) return
    deletions.tags(name, tags, () => {
      selection.clear()
      pages.reload()
    })
  }
  const onKey = (key: string, index: number, event: KeyboardEvent) => {
    const tag = nameAt(index)
    if (tag === undefined) return
    if (key === 'Enter') goTo(placeAddress({ view: 'image', name, reference: tag }))
    else if (key === ' ' && event.shiftKey && mayDelete) selection.extend(index, nameAt)
    else if (key === ' ' && mayDelete) selection.toggle(tag, index)
    else if (key === 'Delete') remove(selection.names.size > 0 ? [...selection.names] : [tag])
    else if (key === 'c')
      void copyText(pullCommand(tag)).then((worked) => worked && notify('Pull command copied'))
    else return
    event.preventDefault()
  }
  const row = (index: number, tabIndex: number): GridRow | undefined => {
    const tag = pages.tagAt(index)
    if (tag === undefined) return undefined
    const select = <SelectBox {...{ selection, index, tabIndex, nameAt }} name={tag.name} />
    return {
      key: tag.name,
      ...(mayDelete ? { isSelected: selection.names.has(tag.name) } : {}),
      cells: [
        ...(mayDelete ? [select] : []),
        ...tagCells({ name, tag, tabIndex, nowMs, command: pullCommand(tag.name) }),
      ],
    }
  }
  const heads = ['Tag', 'Digest', 'Platforms', 'Size', 'Pushed', <span class="offscreen">Pull command</span>]
  return (
    <>
      <Grid
        label={`Tags of ${name}`}
        kind="grid"
        layout={mayDelete ? 'tags selectable' : 'tags'}
        heads={[...(mayDelete ? [<span class="offscreen">Select</span>] : []), ...heads]}
        count={total}
        rowHeight={isNarrow ? 68 : 46}
        row={row}
        onRange={pages.show}
        onKey={onKey}
      />
      <SelectionBar selection={selection} one="tag">
        {selection.names.size < total && <SelectAll {...props} selection={selection} />}
        <button type="button" class="danger" onClick={() => remove([...selection.names])}>
          <Icon name="trash" /> Delete…
        </button>
      </SelectionBar>
    </>
  )
}

function tagCells(parts: { name: string; tag: PageTag; tabIndex: number; nowMs: number; command: string }) {
  const { name, tag, tabIndex, nowMs, command } = parts
  return [
    <span class="tag-name">
      <Icon name="tag" />
      <a
        class="row-link"
        href={placeAddress({ view: 'image', name, reference: tag.name })}
        tabIndex={tabIndex}
        title={tag.name}
      >
        {tag.name}
      </a>
    </span>,
    <code class="muted" title={tag.digest}>
      {shortDigest(tag.digest)}
    </code>,
    <Platforms tag={tag} />,
    <span>{formatBytes(tag.sizeBytes)}</span>,
    <Age timeMs={tag.updatedMs} nowMs={nowMs} />,
    <CopyButton text={command} label={`Copy the pull command of ${tag.name}`} tabIndex={tabIndex} />,
  ]
}

function Platforms({ tag }: { tag: PageTag }) {
  const { platforms, artifactType } = tag
  const rest = platforms.slice(shownPlatforms)
  if (platforms.length === 0 && artifactType !== '') return <Badge title={artifactType}>artifact</Badge>
  return (
    <span class="platforms">
      {platforms.slice(0, shownPlatforms).map((platform) => (
        <Badge key={platform}>{platform}</Badge>
      ))}
      {rest.length > 0 && <Badge title={rest.join(', ')}>+{rest.length}</Badge>}
    </span>
  )
}

function SelectAll(props: TagListProps & { total: number; selection: Selection }) {
  const { repository, order, q, total, selection } = props
  const notify = useNotify()
  const selectAll = async () => {
    try {
      const names: string[] = []
      for (let more = true; more && names.length < mostSelected;) {
        // oxlint-disable-next-line no-await-in-loop -- every page begins where the one before ended
        const page = await api.tagNames({ repository: repository.name, order, q, offset: names.length })
        names.push(...page.names)
        ;({ more } = page)
      }
      selection.set(names)
    } catch (error) {
      // The selection is as it was.
      notify(errorText(error), true)
    }
  }
  return (
    <button type="button" onClick={() => void selectAll()}>
      Select all {total.toLocaleString('en')}
    </button>
  )
}

function NoTags({ name, q }: { name: string; q: string }) {
  const { status } = useSession()
  if (q !== '') return <Blank icon="search" title="No tag matches" />
  return (
    <Blank icon="tag" title="No tags">
      <p>What is here has no name. A push gives it one:</p>
      <Command text={`docker push ${status.host}/${name}:latest`} label="Copy the push command" />
    </Blank>
  )
}
