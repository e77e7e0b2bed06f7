/** The page's frame: the bar above, the view that the address names, dialogs. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { PageStatus } from '../../spec/registry-page.ts'
import { goTo, useAddress, useTitle } from '../browser/address.ts'
import { usePageKeys } from '../browser/page.ts'
import { useTheme } from '../browser/theme.ts'
import { Blank } from '../shared/controls.tsx'
import { Confirm, type Question } from '../shared/dialog.tsx'
import { Show, useLoaded } from '../shared/loading.tsx'
import { api } from './api.ts'
import { ImageView } from './image-view.tsx'
import { KeysDialog } from './keys-dialog.tsx'
import { imageName, parsePlace, placeAddress, type Place } from './place.ts'
import { RepositoriesView } from './repositories-view.tsx'
import { RepositoryView } from './repository-view.tsx'
import { RetentionView } from './retention-view.tsx'
import { SessionContext, useRepositoryList, type RepositoryList } from './session.tsx'
import { SignInDialog } from './sign-in-dialog.tsx'
import { TopBar } from './top-bar.tsx'

/** See the file's head. */
export function App() {
  const status = useLoaded('status', (signal) => api.status(signal))
  const list = useRepositoryList(status.value?.user)
  if (status.value === undefined) {
    return (
      <main class="page">
        <Show loaded={status}>{() => null}</Show>
      </main>
    )
  }
  return <Frame status={status.value} list={list} reloadStatus={status.reload} />
}

function Frame({
  status,
  list,
  reloadStatus,
}: {
  status: PageStatus
  list: RepositoryList
  reloadStatus: () => void
}) {
  const place = parsePlace(useAddress())
  useTitle(titleOf(place, status.host))
  const [theme, changeTheme] = useTheme()
  const [question, setQuestion] = useState<Question>()
  const [opened, setOpened] = useState<'sign-in' | 'keys'>()
  const [folders, setFolders] = useState<ReadonlyMap<string, boolean>>(new Map())
  const search = useRef<HTMLInputElement>(null)
  useFreshView(place, () => {
    setQuestion(undefined)
    setOpened(undefined)
  })
  usePageKeys((event) => {
    if (event.key === '/') search.current?.focus()
    else if (event.key === '?') setOpened('keys')
    else if (event.key === 'Escape' && isInList()) goTo(placeAddress(above(place)))
    else return
    event.preventDefault()
  })
  const session = useMemo(
    () => ({
      status,
      list,
      ask: setQuestion,
      openSignIn: () => setOpened('sign-in'),
      folders,
      setFolder: (name: string, isOpen: boolean) => setFolders((before) => new Map(before).set(name, isOpen)),
    }),
    [status, list, folders],
  )
  return (
    <SessionContext.Provider value={session}>
      <a class="skip" href="#content" onClick={skip}>
        Skip to the content
      </a>
      <TopBar
        place={place}
        search={search}
        theme={theme}
        changeTheme={changeTheme}
        openKeys={() => setOpened('keys')}
        reloadStatus={reloadStatus}
      />
      <main class="page" id="content" tabIndex={-1}>
        {/* A key: nothing of one user's view or one place's is carried over to another's. */}
        <View key={`${status.user} ${place.view} ${place.name} ${place.reference}`} place={place} />
      </main>
      {question !== undefined && <Confirm question={question} onClose={() => setQuestion(undefined)} />}
      {opened === 'keys' && <KeysDialog onClose={() => setOpened(undefined)} />}
      {opened === 'sign-in' && (
        <SignInDialog onClose={() => setOpened(undefined)} onSignedIn={reloadStatus} />
      )}
    </SessionContext.Provider>
  )
}

function View({ place }: { place: Place }) {
  switch (place.view) {
    case 'folder':
      return <RepositoriesView place={place} />
    case 'repository':
      return <RepositoryView place={place} />
    case 'image':
      return <ImageView place={place} />
    case 'retention':
      return <RetentionView />
    default:
      return (
        <Blank icon="search" title="No such page">
          <p>
            <a href="#/">All repositories</a>
          </p>
        </Blank>
      )
  }
}

/** A new place begins at its top, for eyes and for the keyboard; what was asked in the old one is moot. */
function useFreshView({ view, name, reference }: Place, closeDialogs: () => void): void {
  const shown = `${view} ${name} ${reference}`
  const before = useRef(shown)
  useEffect(() => {
    if (before.current === shown) return
    before.current = shown
    closeDialogs()
    scrollTo(0, 0)
    const { activeElement } = document
    if (activeElement instanceof HTMLElement && !activeElement.matches('.search input')) activeElement.blur()
  }, [shown])
}

/** Whether the keyboard is nowhere, or at a row of a list. */
function isInList(): boolean {
  return document.activeElement?.matches('body, .grid-row') === true
}

function skip(event: Event): void {
  event.preventDefault()
  document.getElementById('content')?.focus()
}

function above({ view, name }: Place): Partial<Place> {
  if (view === 'image') return { view: 'repository', name }
  const slash = name.replace(/\/$/, '').lastIndexOf('/')
  return { view: 'folder', name: slash < 0 ? '' : name.slice(0, slash + 1) }
}

function titleOf({ view, name, reference }: Place, host: string): string {
  const shown = view === 'image' ? imageName(name, reference) : view === 'retention' ? 'Retention' : name
  return shown === '' ? `Registry ${host}` : `${shown} – ${host}`
}
