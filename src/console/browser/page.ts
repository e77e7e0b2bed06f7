/** What the page needs of the browser beside its address: keys, the clipboard, the width, the time. */
import { useEffect, useRef, useState } from 'preact/hooks'

/** Calls `onKey` for keys that no field and no dialog takes. */
export function usePageKeys(onKey: (event: KeyboardEvent) => void): void {
  const latest = useRef(onKey)
  latest.current = onKey
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
      if (document.querySelector('dialog[open]') !== null) return
      const { target } = event
      if (target instanceof HTMLElement && target.matches('input:not([type=checkbox]), textarea, select'))
        return
      latest.current(event)
    }
    document.addEventListener('keydown', pressed)
    return () => document.removeEventListener('keydown', pressed)
  }, [])
}

/** Puts text on the clipboard; answers whether that worked. Works without a secure origin too. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Plain HTTP has no clipboard: the older way, through a selection.
    return copySelection(text)
  }
}

/** Whether the page is as narrow as a phone. */
export function useIsNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(() => narrow().matches)
  useEffect(() => {
    const query = narrow()
    const changed = () => setNarrow(query.matches)
    query.addEventListener('change', changed)
    return () => query.removeEventListener('change', changed)
  }, [])
  return isNarrow
}

/** The time, told again every half minute, for ages. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000)
    return () => clearInterval(timer)
  }, [])
  return now
}

function narrow(): MediaQueryList {
  return matchMedia('(max-width: 700px)')
}

function copySelection(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.setAttribute('readonly', '')
  area.className = 'offscreen'
  // In a dialog the rest of the page cannot be selected.
  const parent = document.querySelector('dialog[open]') ?? document.body
  const { activeElement } = document
  parent.append(area)
  area.select()
  const worked = document.execCommand('copy')
  area.remove()
  if (activeElement instanceof HTMLElement) activeElement.focus()
  return worked
}
