/** Deleting: what is asked before, and what is said after. */
import type { PageDeletion, PageDeletionResult } from '../../spec/registry-page.ts'
import { formatCount } from '../shared/format.ts'
import { useNotify } from '../shared/notices.tsx'
import { api } from './api.ts'
import { useSession } from './session.tsx'

/** Names are shown up to here. */
const mostNames = 8

/** The deletions that views offer. Each asks first, and calls `done` when it has happened. */
export function useDeletions() {
  const { ask, list } = useSession()
  const notify = useNotify()
  const tell = ({ deleted, failed }: PageDeletionResult, one: string, many?: string) => {
    list.reload()
    const [first] = failed
    if (first === undefined) notify(`${formatCount(deleted, one, many)} deleted`)
    else {
      const rest = failed.length > 1 ? ` and ${formatCount(failed.length - 1, 'other')}` : ''
      notify(`Not deleted: ${first.reference}${rest} (${first.message})`, true)
    }
  }
  return {
    tags: (repository: string, tags: readonly string[], done: () => void) =>
      ask({
        title: `Delete ${formatCount(tags.length, 'tag')}?`,
        action: 'Delete',
        children: (
          <>
            <p>
              From <strong>{repository}</strong>:
            </p>
            <Names names={tags} />
            <p class="muted">Images stay under their digests until they are collected.</p>
          </>
        ),
        run: async () => {
          tell(await api.deleteTags({ repository, tags: [...tags] }), 'tag')
          done()
        },
      }),
    manifest: (
      deletion: Required<Pick<PageDeletion, 'repository' | 'digests'>>,
      tagCount: number,
      done: () => void,
    ) =>
      ask({
        title: 'Delete this image?',
        action: 'Delete',
        children: (
          <>
            <p>
              From <strong>{deletion.repository}</strong>, with {formatCount(tagCount, 'tag')} that name it:
            </p>
            <Names names={deletion.digests} />
          </>
        ),
        run: async () => {
          tell(await api.deleteTags(deletion), 'image')
          done()
        },
      }),
    repositories: (names: readonly string[], done: () => void) =>
      ask({
        title: `Delete ${formatCount(names.length, 'repository', 'repositories')}?`,
        action: 'Delete',
        word: 'delete',
        children: (
          <>
            <p>With every tag and image in {names.length === 1 ? 'it' : 'them'}. This cannot be undone.</p>
            <Names names={names} />
          </>
        ),
        run: async () => {
          tell(await api.deleteRepositories([...names]), 'repository', 'repositories')
          done()
        },
      }),
  }
}

function Names({ names }: { names: readonly string[] }) {
  const rest = names.length - mostNames
  return (
    <ul class="names">
      {names.slice(0, mostNames).map((name) => (
        <li key={name}>
          <code>{name}</code>
        </li>
      ))}
      {rest > 0 && <li>and {rest.toLocaleString('en')} more</li>}
    </ul>
  )
}
