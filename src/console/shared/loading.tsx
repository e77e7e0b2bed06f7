/** Data that views load: the states it can be in, and what is shown in each. */
import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useState } from 'preact/hooks'
import { RequestError } from '../browser/request.ts'
import { Blank } from './controls.tsx'

/** Loaded data, with the means to load it again. While it loads again, what was there stays. */
export type Loaded<T> = { value?: T; error?: unknown; reload: () => void }

type State<T> = { key: string; value?: T; error?: unknown }

/** Loads something, and again whenever `key` changes. */
export function useLoaded<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<State<T>>({ key })
  const [round, setRound] = useState(0)
  useEffect(() => {
    const ended = new AbortController()
    const run = async () => {
      let next: State<T>
      try {
        next = { key, value: await load(ended.signal) }
      } catch (error) {
        // Shown in place of the data.
        next = { key, error }
      }
      if (!ended.signal.aborted) setState(next)
    }
    void run()
    return () => ended.abort()
    // `load` is made anew with every render; `key` says what it loads.
  }, [key, round])
  const reload = useCallback(() => setRound((before) => before + 1), [])
  // What belongs to another key is not shown under this one.
  if (state.key !== key) return { reload }
  return {
    ...(state.value === undefined ? {} : { value: state.value }),
    ...(state.error === undefined ? {} : { error: state.error }),
    reload,
  }
}

/** Loaded data shown; before, that it loads, or why it cannot be. */
export function Show<T>(props: {
  loaded: Loaded<T>
  /** Where signing in would help. */
  onSignIn?: (() => void) | undefined
  children: (value: T) => ComponentChildren
}) {
  const { loaded, onSignIn, children } = props
  if (loaded.value !== undefined) return <>{children(loaded.value)}</>
  if (loaded.error !== undefined)
    return <Problem error={loaded.error} retry={loaded.reload} onSignIn={onSignIn} />
  return <Skeleton />
}

/** Why something cannot be shown, and a way to try again. */
export function Problem(props: { error: unknown; retry: () => void; onSignIn?: (() => void) | undefined }) {
  const { error, retry, onSignIn } = props
  const status = error instanceof RequestError ? error.status : -1
  if (status === 404) {
    return (
      <Blank icon="search" title="Nothing here">
        <p>There is no such thing in this registry, or you may not see it.</p>
        <p>
          <a href="#/">All repositories</a>
        </p>
      </Blank>
    )
  }
  if (status === 401 && onSignIn !== undefined) {
    return (
      <Blank icon="person" title="Sign in to see this">
        <button type="button" class="primary" onClick={onSignIn}>
          Sign in
        </button>
      </Blank>
    )
  }
  return (
    <Blank icon="alert" title={status === 0 ? 'The registry cannot be reached' : 'This could not be loaded'}>
      <p>{errorText(error)}</p>
      <button type="button" class="primary" onClick={retry}>
        Try again
      </button>
    </Blank>
  )
}

/** Grey lines where content will be; shown only after a moment. */
export function Skeleton({ lines = 6 }: { lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} />
      ))}
    </div>
  )
}

/** The words of whatever was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
