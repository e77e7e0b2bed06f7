/** Light or dark: the system's choice until the reader makes one. */
import { useLayoutEffect, useState } from 'preact/hooks'

/** The reader's choice. */
export type Theme = 'system' | 'light' | 'dark'

const key = 'wharf-theme'
const next: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' }

/** The theme, and a function that goes on to the next one. */
export function useTheme(): [theme: Theme, change: () => void] {
  const [theme, setTheme] = useState(readTheme)
  // Before the page shows: no flash of the other colours.
  useLayoutEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = theme
  }, [theme])
  const change = () => {
    const chosen = next[theme]
    try {
      localStorage.setItem(key, chosen)
    } catch {
      // Storage is refused: the choice lasts until the page is left.
    }
    setTheme(chosen)
  }
  return [theme, change]
}

function readTheme(): Theme {
  try {
    const stored = localStorage.getItem(key)
    return stored === 'light' || stored === 'dark' ? stored : 'system'
  } catch {
    // Storage is refused.
    return 'system'
  }
}
