/** All repositories: as a tree, or as a flat list while one searches or orders. */
import { useMemo } from 'preact/hooks'
import type { PageRepository } from '../../spec/registry-page.ts'
import { goTo, replaceAddress } from '../browser/address.ts'
import { useIsNarrow, useNow } from '../browser/page.ts'
import { Age, Badge, Blank, Command } from '../shared/controls.tsx'
import { formatCount } from '../shared/format.ts'
import { Grid, type GridRow } from '../shared/grid.tsx'
import { Icon } from '../shared/icons.tsx'
import { Problem, Skeleton } from '../shared/loading.tsx'
import { SelectBox, SelectionBar } from '../shared/selection-bar.tsx'
import { useSelection, type Selection } from '../shared/selection.ts'
import { Crumbs } from './crumbs.tsx'
import { useDeletions } from './deletions.tsx'
import { placeAddress, type Place } from './place.ts'
import { useSession } from './session.tsx'
import { StarButton, useStar } from './star-button.tsx'
import { flatRows, treeRows, type TreeRow } from './tree.ts'

/** So few repositories show without a click. */
const openedAtOnce = 60

/** See the file's head. */
export function RepositoriesView({ place }: { place: Place }) {
  const { list, openSignIn, status } = useSession()
  const { repositories, isLoading, error } = list
  const onSignIn = status.signIn === 'password' && status.user === '' ? openSignIn : undefined
  if (error !== undefined) return <Problem error={error} retry={list.reload} onSignIn={onSignIn} />
  if (repositories.length === 0) return isLoading ? <Skeleton /> : <Empty />
  return <List place={place} />
}

function List({ place }: { place: Place }) {
  const { list, folders, setFolder } = useSession()
  const { q = '', order = 'name' } = place.settings
  const isTree = q === '' && order === 'name'
  const { repositories } = list
  const isOpen = (folder: string) => folders.get(folder) ?? repositories.length <= openedAtOnce
  const rows = useMemo(
    () =>
      isTree
        ? treeRows(repositories, place.name, isOpen)
        : flatRows(
            repositories.filter(({ name }) => name.startsWith(place.name)),
            q,
            order,
          ),
    [repositories, place.name, isTree, q, order, folders],
  )
  const shown = isTree ? repositories.filter(({ name }) => name.startsWith(place.name)).length : rows.length
  const setOrder = (value: string) =>
    replaceAddress(placeAddress({ ...place, settings: { ...place.settings, order: value } }))
  return (
    <>
      <div class="heading">
        {place.name === '' ? <h1>Repositories</h1> : <Crumbs name={place.name} />}
        <span class="muted" role="status">
          {formatCount(shown, 'repository', 'repositories')}
          {q !== '' && ' found'}
          {list.isLoading && ', loading…'}
        </span>
        <span class="spring" />
        <label class="inline-field">
          <span class="muted">Order</span>
          <select value={order} onChange={(event) => setOrder(event.currentTarget.value)}>
            <option value="name">Tree</option>
            <option value="updated">Newest push</option>
            <option value="stars">Stars</option>
            <option value="tags">Tags</option>
          </select>
        </label>
      </div>
      {rows.length === 0 ? (
        <Blank icon="search" title="No repository matches">
          <p>
            Nothing has <strong>{q === '' ? place.name : q}</strong> in its name or description.
          </p>
        </Blank>
      ) : (
        <Rows rows={rows} isTree={isTree} setFolder={setFolder} />
      )}
    </>
  )
}

function Rows({
  rows,
  isTree,
  setFolder,
}: {
  rows: TreeRow[]
  isTree: boolean
  setFolder: (name: string, isOpen: boolean) => void
}) {
  const nowMs = useNow()
  const isNarrow = useIsNarrow()
  const selection = useSelection()
  const deletions = useDeletions()
  const star = useStar()
  const mayDelete = rows.some((row) => row.kind === 'repository' && row.repository.mayDelete)
  const nameAt = (index: number) => {
    const row = rows[index]
    return row?.kind === 'repository' && row.repository.mayDelete ? row.name : undefined
  }
  const remove = (names: readonly string[]) => {
    if (names.length > 0) deletions.repositories(names, selection.clear)
  }
  const onKey = (key: string, index: number, event: KeyboardEvent) => {
    const row = rows[index]
    if (row === undefined) return
    const name = nameAt(index)
    if (key === 'Enter') goTo(addressOf(row))
    else if (key === 'ArrowRight' && row.kind === 'folder') setFolder(row.name, true)
    else if (key === 'ArrowLeft' && row.kind === 'folder') setFolder(row.name, false)
    else if (key === ' ' && event.shiftKey) selection.extend(index, nameAt)
    else if (key === ' ' && name !== undefined) selection.toggle(name, index)
    else if (key === 's' && row.kind === 'repository') void star.toggle(row.repository)
    else if (key === 'Delete')
      remove(selection.names.size > 0 ? [...selection.names] : name === undefined ? [] : [name])
    else return
    event.preventDefault()
  }
  const parts = { selection, nowMs, nameAt, setFolder, mayDelete, isTree }
  return (
    <>
      <Grid
        label="Repositories"
        kind={isTree ? 'treegrid' : 'grid'}
        layout={mayDelete ? 'repositories selectable' : 'repositories'}
        heads={[
          ...(mayDelete ? [<span class="offscreen">Select</span>] : []),
          'Name',
          'Tags',
          'Last push',
          'Stars',
        ]}
        count={rows.length}
        rowHeight={isNarrow ? 60 : 52}
        row={(index, tabIndex) => gridRow(rows[index], { ...parts, index, tabIndex })}
        onKey={onKey}
      />
      <SelectionBar selection={selection} one="repository" many="repositories">
        <button type="button" class="danger" onClick={() => remove([...selection.names])}>
          <Icon name="trash" /> Delete…
        </button>
      </SelectionBar>
    </>
  )
}

type RowParts = {
  selection: Selection
  nowMs: number
  nameAt: (index: number) => string | undefined
  setFolder: (name: string, isOpen: boolean) => void
  mayDelete: boolean
  isTree: boolean
  index: number
  tabIndex: number
}

function gridRow(row: TreeRow | undefined, parts: RowParts): GridRow | undefined {
  if (row === undefined) return undefined
  const { selection, nowMs, nameAt, setFolder, mayDelete, isTree, index, tabIndex } = parts
  const indent = { paddingInlineStart: `${(row.level - 1) * 22}px` }
  if (row.kind === 'folder') {
    const toggle = () => setFolder(row.name, !row.isOpen)
    return {
      key: row.name,
      level: row.level,
      isOpen: row.isOpen,
      cells: [
        ...(mayDelete ? [''] : []),
        <span class="name-cell" style={indent}>
          <button
            type="button"
            class={row.isOpen ? 'quiet square twist open' : 'quiet square twist'}
            aria-label={`${row.isOpen ? 'Close' : 'Open'} ${row.name}`}
            tabIndex={tabIndex}
            onClick={toggle}
          >
            <Icon name="chevron" />
          </button>
          <Icon name="folder" />
          <a class="row-link" href={addressOf(row)} tabIndex={tabIndex}>
            {row.label}
          </a>
          <span class="muted small">{formatCount(row.count, 'repository', 'repositories')}</span>
        </span>,
        '',
        <Age timeMs={row.updatedMs} nowMs={nowMs} />,
        '',
      ],
    }
  }
  const { repository } = row
  const select =
    nameAt(index) === undefined ? (
      ''
    ) : (
      <SelectBox {...{ selection, index, tabIndex, nameAt }} name={row.name} />
    )
  return {
    key: row.name,
    ...(isTree ? { level: row.level } : {}),
    ...(mayDelete ? { isSelected: selection.names.has(row.name) } : {}),
    cells: [
      ...(mayDelete ? [select] : []),
      <span class="name-cell" style={indent}>
        <span class="twist-space" />
        <Icon name="box" />
        <span class="name-lines">
          <span class="name-line">
            <a class="row-link" href={addressOf(row)} tabIndex={tabIndex} title={row.name}>
              {row.label}
            </a>
            <Marks repository={repository} />
          </span>
          {repository.description !== '' && <span class="description">{repository.description}</span>}
        </span>
      </span>,
      <span title={formatCount(repository.tags, 'tag')}>{repository.tags.toLocaleString('en')}</span>,
      <Age timeMs={repository.updatedMs} nowMs={nowMs} />,
      <StarButton repository={repository} tabIndex={tabIndex} />,
    ],
  }
}

/** Marks of trust, and where a repository comes from. */
export function Marks({ repository }: { repository: PageRepository }) {
  const { official, automated, isCached } = repository
  return (
    <>
      {official && (
        <Badge tone="good" title="Official: marked by an administrator">
          official
        </Badge>
      )}
      {automated && <Badge title="Built by a machine">automated</Badge>}
      {isCached && <Badge title="Comes from another registry">cached</Badge>}
    </>
  )
}

function addressOf(row: TreeRow): string {
  return placeAddress({ view: row.kind === 'folder' ? 'folder' : 'repository', name: row.name })
}

function Empty() {
  const { status, openSignIn } = useSession()
  if (status.signIn === 'password' && status.user === '') {
    return (
      <Blank icon="person" title="Nothing to see without signing in">
        <p>No repository of this registry is open to everybody.</p>
        <button type="button" class="primary" onClick={openSignIn}>
          Sign in
        </button>
      </Blank>
    )
  }
  if (status.signIn === 'elsewhere') {
    return (
      <Blank icon="person" title="Nothing is open to everybody">
        <p>This registry takes the tokens of another issuer; its page shows what everybody may pull.</p>
      </Blank>
    )
  }
  const image = `${status.host}/hello:latest`
  return (
    <Blank icon="box" title="This registry is empty">
      {status.readOnly ? (
        <p>It is read-only now: nothing can be pushed.</p>
      ) : (
        <>
          <p>Push a first image:</p>
          <Command text={`docker tag busybox ${image}`} label="Copy the tag command" />
          <Command text={`docker push ${image}`} label="Copy the push command" />
        </>
      )}
    </Blank>
  )
}
