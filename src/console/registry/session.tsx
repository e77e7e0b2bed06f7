/** What all views share: the registry's state, who is signed in, all repositories, and questions to be asked. */
import { createContext } from 'preact'
import { useCallback, useContext, useEffect, useState } from 'preact/hooks'
import type { PageRepository, PageStatus } from '../../spec/registry-page.ts'
import type { Question } from '../shared/dialog.tsx'
import { api } from './api.ts'

/** Repositories that have been loaded; more come while `isLoading`. */
export type RepositoryList = {
  repositories: PageRepository[]
  isLoading: boolean
  error?: unknown
  reload: () => void
  /** Takes over what has become of a repository. */
  replace: (repository: PageRepository) => void
}

/** See the file's head. */
export type Session = {
  status: PageStatus
  list: RepositoryList
  /** Opens the dialog for signing in. */
  openSignIn: () => void
  ask: (question: Question) => void
  /** Folders of the tree that the reader has opened or closed. */
  folders: ReadonlyMap<string, boolean>
  setFolder: (name: string, isOpen: boolean) => void
}

/** Set by the page's frame. */
export const SessionContext = createContext<Session | undefined>(undefined)

/** See the file's head. */
export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === undefined) throw new Error('a view outside of the page')
  return session
}

/** Loads all repositories, page after page; again when the user changes. */
export function useRepositoryList(user: string | undefined): RepositoryList {
  const [state, setState] = useState<Omit<RepositoryList, 'reload' | 'replace'>>({
    repositories: [],
    isLoading: true,
  })
  const [round, setRound] = useState(0)
  const reload = useCallback(() => setRound((before) => before + 1), [])
  const replace = useCallback((changed: PageRepository) => {
    setState((before) => ({
      ...before,
      repositories: before.repositories.map((repository) =>
        repository.name === changed.name ? changed : repository,
      ),
    }))
  }, [])
  useEffect(() => {
    if (user === undefined) return undefined
    const ended = new AbortController()
    setState(({ repositories }) => ({ repositories, isLoading: true }))
    const run = async () => {
      try {
        const repositories = await loadAll(ended.signal, (some) => {
          // What was there before stays until all of it is there anew.
          setState((before) =>
            before.repositories.length > some.length ? before : { repositories: some, isLoading: true },
          )
        })
        if (!ended.signal.aborted) setState({ repositories, isLoading: false })
      } catch (error) {
        // Shown in place of the list.
        if (!ended.signal.aborted) setState({ repositories: [], isLoading: false, error })
      }
    }
    void run()
    return () => ended.abort()
  }, [user, round])
  return { ...state, reload, replace }
}

async function loadAll(
  signal: AbortSignal,
  onSome: (repositories: PageRepository[]) => void,
): Promise<PageRepository[]> {
  let all: PageRepository[] = []
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- every page begins where the one before ended
    const { repositories, more } = await api.repositories(all.at(-1)?.name ?? '', signal)
    all = [...all, ...repositories]
    if (!more || signal.aborted) return all
    onSome(all)
  }
}
