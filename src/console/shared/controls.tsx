/** Small parts that every view uses: copying, badges, commands, tabs. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { copyText } from '../browser/page.ts'
import { formatAge, formatTime, shortDigest } from './format.ts'
import { Icon, type IconName } from './icons.tsx'
import { useNotify } from './notices.tsx'

/** A button that copies text. */
export function CopyButton({
  text,
  label,
  tabIndex = 0,
}: {
  text: string
  label: string
  tabIndex?: number
}) {
  const [isDone, setDone] = useState(false)
  const notify = useNotify()
  useEffect(() => {
    if (!isDone) return undefined
    const timer = setTimeout(() => setDone(false), 1500)
    return () => clearTimeout(timer)
  }, [isDone])
  const copy = async () => {
    const worked = await copyText(text)
    setDone(worked)
    notify(worked ? 'Copied' : 'The browser did not let the page copy.', !worked)
  }
  return (
    <button
      type="button"
      class="quiet square"
      aria-label={label}
      title={label}
      tabIndex={tabIndex}
      onClick={() => void copy()}
    >
      <Icon name={isDone ? 'check' : 'copy'} />
    </button>
  )
}

/** A command to be copied. */
export function Command({ text, label }: { text: string; label: string }) {
  return (
    <div class="command">
      <code>{text}</code>
      <CopyButton text={text} label={label} />
    </div>
  )
}

/** A digest, short, with the whole of it to be copied. */
export function DigestText({ digest }: { digest: string }) {
  return (
    <span class="digest">
      <code title={digest}>{shortDigest(digest)}</code>
      <CopyButton text={digest} label={`Copy digest ${shortDigest(digest)}`} />
    </span>
  )
}

/** How long ago something was; the time itself when pointed at. */
export function Age({ timeMs, nowMs }: { timeMs: number; nowMs: number }) {
  if (timeMs <= 0) return <span class="muted">–</span>
  return (
    <time dateTime={new Date(timeMs).toISOString()} title={formatTime(timeMs)}>
      {formatAge(timeMs, nowMs)}
    </time>
  )
}

/** A word that marks something. */
export function Badge({
  children,
  tone = 'plain',
  title,
}: {
  children: ComponentChildren
  tone?: 'plain' | 'good'
  title?: string
}) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  )
}

/** A few words and what to do, in place of content that is not there. */
export function Blank({
  icon,
  title,
  children,
}: {
  icon: IconName
  title: string
  children?: ComponentChildren
}) {
  return (
    <div class="blank">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** Tabs: arrows move between them. The content belongs below, in a TabPanel. */
export function Tabs<Name extends string>(props: {
  label: string
  tabs: readonly { name: Name; label: string; count?: number }[]
  selected: Name
  onSelect: (name: Name) => void
}) {
  const { label, tabs, selected, onSelect } = props
  const list = useRef<HTMLDivElement>(null)
  const move = (event: KeyboardEvent) => {
    const place = tabs.findIndex(({ name }) => name === selected)
    const places: Record<string, number> = {
      ArrowRight: (place + 1) % tabs.length,
      ArrowLeft: (place + tabs.length - 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }
    const next = tabs[places[event.key] ?? -1]
    if (next === undefined) return
    event.preventDefault()
    onSelect(next.name)
    list.current?.querySelector<HTMLElement>(`#tab-${next.name}`)?.focus()
  }
  return (
    <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
      {tabs.map(({ name, label: text, count }) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-selected={name === selected}
          aria-controls="tab-panel"
          tabIndex={name === selected ? 0 : -1}
          onClick={() => onSelect(name)}
        >
          {text}
          {count !== undefined && <span class="count">{count.toLocaleString('en')}</span>}
        </button>
      ))}
    </div>
  )
}

/** What the selected tab shows. */
export function TabPanel({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div id="tab-panel" class="tab-panel" role="tabpanel" aria-labelledby={`tab-${name}`} tabIndex={0}>
      {children}
    </div>
  )
}
