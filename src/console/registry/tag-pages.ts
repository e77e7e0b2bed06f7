/** A repository's tags, loaded a page at a time as they come into view. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { PageTag, PageTagOrder } from '../../spec/registry-page.ts'
import { api } from './api.ts'

/** See the file's head. */
export type TagPages = {
  /** Undefined until the first page is there. */
  total: number | undefined
  error: unknown
  tagAt: (index: number) => PageTag | undefined
  /** Sees to it that these are loaded. */
  show: (start: number, end: number) => void
  reload: () => void
}

type Loaded = { total: number | undefined; pages: ReadonlyMap<number, PageTag[]>; error: unknown }

const pageSize = 100
const nothing: Loaded = { total: undefined, pages: new Map(), error: undefined }

/** See the file's head. What was there stays in view while another order or filter loads. */
export function useTagPages(repository: string, order: PageTagOrder, q: string): TagPages {
  const [loaded, setLoaded] = useState(nothing)
  const [round, setRound] = useState(0)
  const loader = useRef<TagLoader>(undefined)
  const inView = useRef({ start: 0, end: 1 })
  useEffect(() => {
    const current = new TagLoader({ repository, order, q }, setLoaded)
    loader.current = current
    current.show(0, 1)
    current.show(inView.current.start, inView.current.end)
    return () => current.end()
  }, [repository, order, q, round])
  const reload = useCallback(() => setRound((before) => before + 1), [])
  const show = useCallback((start: number, end: number) => {
    inView.current = { start, end }
    loader.current?.show(start, end)
  }, [])
  const tagAt = (index: number) => loaded.pages.get(Math.floor(index / pageSize))?.[index % pageSize]
  return { total: loaded.total, error: loaded.error, tagAt, show, reload }
}

class TagLoader {
  readonly #what: { repository: string; order: PageTagOrder; q: string }
  readonly #changed: (loaded: Loaded) => void
  readonly #ended = new AbortController()
  readonly #asked = new Set<number>()
  #loaded = nothing

  constructor(
    what: { repository: string; order: PageTagOrder; q: string },
    changed: (loaded: Loaded) => void,
  ) {
    this.#what = what
    this.#changed = changed
  }

  show(start: number, end: number): void {
    const last = Math.max(start, end - 1)
    for (let page = Math.floor(start / pageSize); page <= Math.floor(last / pageSize); page++) {
      if (this.#asked.has(page)) continue
      this.#asked.add(page)
      void this.#load(page)
    }
  }

  end(): void {
    this.#ended.abort()
  }

  async #load(page: number): Promise<void> {
    const { signal } = this.#ended
    try {
      const { total, tags } = await api.tags(
        { ...this.#what, offset: page * pageSize, limit: pageSize },
        signal,
      )
      this.#loaded = { total, pages: new Map(this.#loaded.pages).set(page, tags), error: undefined }
    } catch (error) {
      // Told by the view, or asked for again when it is scrolled to.
      this.#asked.delete(page)
      this.#loaded = { ...this.#loaded, error }
    }
    if (!signal.aborted) this.#changed(this.#loaded)
  }
}
