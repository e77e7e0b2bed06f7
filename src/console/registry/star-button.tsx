/** A repository's stars, with the reader's own to be given and taken back. */
import { useState } from 'preact/hooks'
import type { PageRepository } from '../../spec/registry-page.ts'
import { Icon } from '../shared/icons.tsx'
import { errorText } from '../shared/loading.tsx'
import { useNotify } from '../shared/notices.tsx'
import { api } from './api.ts'
import { useSession } from './session.tsx'

/** See the file's head. Only users give stars; others see how many there are. */
export function StarButton({ repository, tabIndex = 0 }: { repository: PageRepository; tabIndex?: number }) {
  const { status } = useSession()
  const { stars, starred } = repository
  const star = useStar()
  if (status.user === '' || status.readOnly) {
    return (
      <span class="stars" title={`${stars} stars`}>
        <Icon name="star" />
        <span class="count-text">{stars}</span>
      </span>
    )
  }
  return (
    <button
      type="button"
      class={starred ? 'quiet stars starred' : 'quiet stars'}
      aria-pressed={starred}
      aria-label={`Star ${repository.name}, ${stars} so far`}
      tabIndex={tabIndex}
      disabled={star.isBusy}
      onClick={() => void star.toggle(repository)}
    >
      <Icon name="star" filled={starred} />
      <span class="count-text">{stars}</span>
    </button>
  )
}

/** Gives the reader's star, or takes it back. */
export function useStar() {
  const { list } = useSession()
  const notify = useNotify()
  const [isBusy, setBusy] = useState(false)
  const toggle = async ({ name, starred }: PageRepository) => {
    setBusy(true)
    try {
      await api.star(name, !starred)
      list.replace(await api.repository(name))
    } catch (error) {
      // The star is as it was.
      notify(errorText(error), true)
    }
    setBusy(false)
  }
  return { isBusy, toggle }
}
