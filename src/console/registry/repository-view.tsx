/** One repository: what is said of it, and its tags. */
import { useState } from 'preact/hooks'
import { pageLimits, type PageRepository, type PageTagOrder } from '../../spec/registry-page.ts'
import { goTo, replaceAddress } from '../browser/address.ts'
import { Command } from '../shared/controls.tsx'
import { Icon } from '../shared/icons.tsx'
import { errorText, Show, useLoaded } from '../shared/loading.tsx'
import { useNotify } from '../shared/notices.tsx'
import { api } from './api.ts'
import { Crumbs } from './crumbs.tsx'
import { useDeletions } from './deletions.tsx'
import { placeAddress, type Place } from './place.ts'
import { Marks } from './repositories-view.tsx'
import { useSession } from './session.tsx'
import { StarButton } from './star-button.tsx'
import { TagList } from './tag-list.tsx'

const orderNames: [order: PageTagOrder, label: string][] = [
  ['-name', 'Version, newest first'],
  ['name', 'Version, oldest first'],
  ['-updated', 'Newest push'],
  ['updated', 'Oldest push'],
]

/** See the file's head. */
export function RepositoryView({ place }: { place: Place }) {
  const { list, status, openSignIn } = useSession()
  const loaded = useLoaded(place.name, (signal) => api.repository(place.name, signal))
  // Stars change in the list; what it knows already shows at once.
  const known = list.repositories.find(({ name }) => name === place.name)
  const repository = known ?? loaded.value
  const onSignIn = status.signIn === 'password' && status.user === '' ? openSignIn : undefined
  return (
    <>
      <div class="heading">
        <Crumbs name={place.name} />
        {repository !== undefined && <Actions repository={repository} />}
      </div>
      <Show loaded={repository === undefined ? loaded : { ...loaded, value: repository }} onSignIn={onSignIn}>
        {(shown) => <Repository repository={shown} place={place} reload={loaded.reload} />}
      </Show>
    </>
  )
}

function Actions({ repository }: { repository: PageRepository }) {
  const deletions = useDeletions()
  const { name } = repository
  return (
    <>
      <Marks repository={repository} />
      <span class="spring" />
      <StarButton repository={repository} />
      {repository.mayDelete && (
        <button
          type="button"
          class="quiet danger-text"
          onClick={() => deletions.repositories([name], () => goTo('#/'))}
        >
          <Icon name="trash" /> Delete repository…
        </button>
      )}
    </>
  )
}

function Repository({
  repository,
  place,
  reload,
}: {
  repository: PageRepository
  place: Place
  reload: () => void
}) {
  const { status } = useSession()
  const { q = '', order: asked = '' } = place.settings
  const order = orderNames.find(([name]) => name === asked)?.[0] ?? '-name'
  const set = (settings: Record<string, string>) =>
    replaceAddress(placeAddress({ ...place, settings: { ...place.settings, ...settings } }))
  return (
    <>
      <Description repository={repository} changed={reload} />
      <Command text={`docker pull ${status.host}/${repository.name}`} label="Copy the pull command" />
      <div class="toolbar">
        <label class="filter">
          <Icon name="search" />
          <input
            type="search"
            aria-label="Filter tags"
            placeholder="Filter tags"
            spellcheck={false}
            autocomplete="off"
            value={q}
            onInput={(event) => set({ q: event.currentTarget.value })}
          />
        </label>
        <label class="inline-field">
          <span class="muted">Order</span>
          <select value={order} onChange={(event) => set({ order: event.currentTarget.value })}>
            {orderNames.map(([name, label]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </div>
      <TagList repository={repository} order={order} q={q} />
    </>
  )
}

function Description({ repository, changed }: { repository: PageRepository; changed: () => void }) {
  const { list } = useSession()
  const notify = useNotify()
  const [draft, setDraft] = useState<string>()
  const { name, description, mayDescribe } = repository
  if (draft === undefined) {
    return (
      <div class="about">
        <p class={description === '' ? 'muted' : ''}>
          {description === '' ? 'No description.' : description}
        </p>
        {mayDescribe && (
          <button
            type="button"
            class="quiet square"
            aria-label="Edit the description"
            title="Edit the description"
            onClick={() => setDraft(description)}
          >
            <Icon name="pencil" />
          </button>
        )}
      </div>
    )
  }
  const save = async () => {
    try {
      await api.describe(name, draft.trim())
      list.replace(await api.repository(name))
      changed()
      setDraft(undefined)
    } catch (error) {
      // The field stays open with what was typed.
      notify(errorText(error), true)
    }
  }
  return (
    <form
      class="about editing"
      onSubmit={(event) => {
        event.preventDefault()
        void save()
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') setDraft(undefined)
      }}
    >
      <textarea
        aria-label="Description"
        rows={3}
        maxLength={pageLimits.description}
        autoFocus
        value={draft}
        ref={(field) => {
          if (field !== null && document.activeElement === document.body) field.focus()
        }}
        onInput={(event) => setDraft(event.currentTarget.value)}
      />
      <div class="dialog-buttons">
        <button type="button" onClick={() => setDraft(undefined)}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Save
        </button>
      </div>
    </form>
  )
}
