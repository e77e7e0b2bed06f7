/** The bar above every view: where one is, search, theme, who is signed in. */
import type { RefObject } from 'preact'
import { goTo, replaceAddress } from '../browser/address.ts'
import type { Theme } from '../browser/theme.ts'
import { errorText } from '../shared/loading.tsx'
import { Icon, type IconName } from '../shared/icons.tsx'
import { useNotify } from '../shared/notices.tsx'
import { api } from './api.ts'
import { parsePlace, placeAddress, type Place } from './place.ts'
import { useSession } from './session.tsx'

type BarProps = {
  place: Place
  search: RefObject<HTMLInputElement | null>
  theme: Theme
  changeTheme: () => void
  openKeys: () => void
  reloadStatus: () => void
}

const themeIcons: Record<Theme, IconName> = { system: 'system', light: 'sun', dark: 'moon' }

/** See the file's head. */
export function TopBar({ place, search, theme, changeTheme, openKeys, reloadStatus }: BarProps) {
  const { status } = useSession()
  return (
    <header class="bar">
      <a class="brand" href="#/" title="All repositories">
        <Mark />
        <span class="brand-text">
          <strong>Registry</strong>
          <span class="host">{status.host}</span>
        </span>
      </a>
      <Search place={place} field={search} />
      <nav class="bar-actions" aria-label="Page">
        {status.readOnly && <span class="badge plain">read-only</span>}
        {status.hasRetention && (
          <a
            class="button quiet"
            href={placeAddress({ view: 'retention' })}
            aria-label="Retention"
            title="What retention would remove"
          >
            <Icon name="clock" />
            <span class="wide-only">Retention</span>
          </a>
        )}
        <button
          type="button"
          class="quiet square"
          aria-label={`Theme: ${theme}`}
          title={`Theme: ${theme}`}
          onClick={changeTheme}
        >
          <Icon name={themeIcons[theme]} />
        </button>
        <button
          type="button"
          class="quiet square help"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
          onClick={openKeys}
        >
          <Icon name="help" />
        </button>
        <Person reloadStatus={reloadStatus} />
      </nav>
    </header>
  )
}

function Search({ place, field }: { place: Place; field: RefObject<HTMLInputElement | null> }) {
  const isList = place.view === 'folder'
  const text = isList ? (place.settings['q'] ?? '') : ''
  const typed = (value: string) => {
    const address = placeAddress({
      view: 'folder',
      settings: { ...(isList ? place.settings : {}), q: value },
    })
    // One step back leads to where one was, not through every letter.
    if (isList && place.name === '') replaceAddress(address)
    else goTo(address)
  }
  const pressed = (event: KeyboardEvent & { currentTarget: HTMLInputElement }) => {
    const { value } = event.currentTarget
    if (event.key === 'Escape') {
      if (value !== '') typed('')
      event.currentTarget.blur()
    } else if (event.key === 'ArrowDown') {
      event.preventDefault()
      document.querySelector<HTMLElement>('.grid-row[tabindex="0"]')?.focus()
    } else if (event.key === 'Enter') {
      const named = parsePlace(value)
      // `team/app:1.2` is a place of its own.
      if (named.view === 'image') goTo(placeAddress(named))
      else document.querySelector<HTMLElement>('.grid-row a')?.click()
    }
  }
  return (
    <div class="search" role="search">
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        aria-label="Search repositories"
        placeholder="Search repositories"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => typed(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      <kbd class="wide-only">/</kbd>
    </div>
  )
}

function Person({ reloadStatus }: { reloadStatus: () => void }) {
  const { status, openSignIn } = useSession()
  const notify = useNotify()
  const signOut = async () => {
    try {
      await api.signOut()
      reloadStatus()
    } catch (error) {
      // The session is still there, and the reader has to know.
      notify(errorText(error), true)
    }
  }
  if (status.user !== '') {
    return (
      <span class="person">
        <span class="person-name" title={status.isAdmin ? 'Administrator' : 'Signed in'}>
          <Icon name="person" />
          <span class="wide-only">{status.user}</span>
        </span>
        <button type="button" onClick={() => void signOut()}>
          Sign out
        </button>
      </span>
    )
  }
  if (status.signIn !== 'password') return null
  return (
    <button type="button" class="primary" onClick={openSignIn}>
      Sign in
    </button>
  )
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path class="crates" d="M7 10h8v6H7zM17 10h8v6h-8zM12 4h8v5h-8z" />
      <path class="piles" d="M5 19h22M8 19v9M16 19v9M24 19v9" />
    </svg>
  )
}
