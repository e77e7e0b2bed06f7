/** The way from the top to a repository, every part of it a link. */
import { foldersOf, placeAddress } from './place.ts'

/** See the file's head. A name that ends in a slash is a folder. */
export function Crumbs({ name, reference = '' }: { name: string; reference?: string }) {
  const isFolder = name.endsWith('/')
  const path = isFolder ? name.slice(0, -1) : name
  const folders = foldersOf(path)
  const leaf = path.slice(path.lastIndexOf('/') + 1)
  return (
    <div class="crumbs">
      <nav aria-label="Where you are">
        <a href="#/">All</a>
        <span aria-hidden="true">/</span>
        {folders.map((folder) => (
          <span key={folder}>
            <a href={placeAddress({ view: 'folder', name: folder })}>{folder.split('/').at(-2)}</a>
            <span aria-hidden="true">/</span>
          </span>
        ))}
        {reference !== '' && <a href={placeAddress({ view: 'repository', name })}>{leaf}</a>}
      </nav>
      <h1>
        {reference === '' ? leaf : reference}
        {isFolder && '/'}
      </h1>
    </div>
  )
}
