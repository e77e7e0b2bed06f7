/** Short messages at the page's edge, read out by screen readers. */
import { createContext, type ComponentChildren } from 'preact'
import { useCallback, useContext, useEffect, useState } from 'preact/hooks'

type Notice = { text: string; isProblem: boolean }
type Notify = (text: string, isProblem?: boolean) => void

const NotifyContext = createContext<Notify>(() => {})
const shownMs = 5000
const problemShownMs = 12_000

/** Gives everything inside the means to say something. */
export function Notices({ children }: { children: ComponentChildren }) {
  const [notice, setNotice] = useState<Notice>()
  const notify = useCallback<Notify>((text, isProblem = false) => setNotice({ text, isProblem }), [])
  useEffect(() => {
    if (notice === undefined) return undefined
    const timer = setTimeout(() => setNotice(undefined), notice.isProblem ? problemShownMs : shownMs)
    return () => clearTimeout(timer)
  }, [notice])
  return (
    <NotifyContext.Provider value={notify}>
      {children}
      <div class="notices" role="status" aria-live="polite">
        {notice !== undefined && (
          <div class={notice.isProblem ? 'notice problem' : 'notice'}>{notice.text}</div>
        )}
      </div>
    </NotifyContext.Provider>
  )
}

/** The means to say something. */
export function useNotify(): Notify {
  return useContext(NotifyContext)
}
