/** What can be done with the rows that are selected; there while some are. */
import type { ComponentChildren } from 'preact'
import { usePageKeys } from '../browser/page.ts'
import { formatCount } from './format.ts'
import type { Selection } from './selection.ts'

/** A box that selects a row; with Shift all rows from the last one. */
export function SelectBox(props: {
  selection: Selection
  name: string
  index: number
  tabIndex: number
  nameAt: (index: number) => string | undefined
}) {
  const { selection, name, index, tabIndex, nameAt } = props
  return (
    <input
      type="checkbox"
      aria-label={`Select ${name}`}
      tabIndex={tabIndex}
      checked={selection.names.has(name)}
      onClick={(event) => {
        if (event.shiftKey) selection.extend(index, nameAt)
        else selection.toggle(name, index)
      }}
    />
  )
}

/** See the file's head. */
export function SelectionBar(props: {
  selection: Selection
  one: string
  many?: string
  children: ComponentChildren
}) {
  const { selection, one, many, children } = props
  usePageKeys((event) => {
    if (event.key !== 'Escape' || selection.names.size === 0) return
    event.preventDefault()
    selection.clear()
  })
  if (selection.names.size === 0) return null
  return (
    <div class="selection-bar" role="region" aria-label="Selection">
      <strong>{formatCount(selection.names.size, one, many)} selected</strong>
      <span class="spring" />
      {children}
      <button type="button" onClick={selection.clear}>
        Clear
      </button>
    </div>
  )
}
