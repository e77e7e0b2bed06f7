/** Which rows of a list are selected. */
import { useRef, useState } from 'preact/hooks'

/** See the file's head. */
export type Selection = {
  names: ReadonlySet<string>
  toggle: (name: string, index: number) => void
  /** Selects everything between a row and the one chosen before. */
  extend: (index: number, nameAt: (index: number) => string | undefined) => void
  set: (names: Iterable<string>) => void
  clear: () => void
}

/** A selection, empty at first. */
export function useSelection(): Selection {
  const [names, setNames] = useState<ReadonlySet<string>>(new Set())
  const last = useRef(0)
  return {
    names,
    toggle: (name, index) => {
      last.current = index
      setNames((before) => {
        const after = new Set(before)
        if (!after.delete(name)) after.add(name)
        return after
      })
    },
    extend: (index, nameAt) => {
      const [from, to] = [Math.min(index, last.current), Math.max(index, last.current)]
      const between = Array.from({ length: to - from + 1 }, (_, place) => nameAt(from + place))
      last.current = index
      setNames((before) => new Set([...before, ...between.filter((name) => name !== undefined)]))
    },
    set: (chosen) => setNames(new Set(chosen)),
    clear: () => setNames(new Set()),
  }
}
