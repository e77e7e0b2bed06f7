/** Rows of `image ls` and of the images' part of `system df -v`: one for each name of an image. */
import { humanDuration } from '../lib/duration.ts'
import { humanSize } from '../lib/units.ts'
import type { ImageSummary } from '../spec/image-types.ts'
import type { ListFormat } from './format.ts'
import { goTime } from './go-time.ts'

/** One row: an image under one of its names. */
export type ImageRow = { image: ImageSummary; repository: string; tag: string; digest: string }

const none = '<none>'

function splitTag(name: string): [repository: string, tag: string] {
  const at = name.lastIndexOf(':')
  return [name.slice(0, at), name.slice(at + 1)]
}

function isDangling(image: ImageSummary): boolean {
  const tags = image.RepoTags ?? []
  const digests = image.RepoDigests ?? []
  return (
    (tags.length === 0 && digests.length === 0) ||
    (tags.length === 1 &&
      tags[0] === '<none>:<none>' &&
      digests.length === 1 &&
      digests[0] === '<none>@<none>')
  )
}

function named(image: ImageSummary, withDigests: boolean): ImageRow[] {
  if ((image.RepoDigests ?? []).length === 0) {
    // Most images of a long list, for which the rest would be most of the work.
    return (image.RepoTags ?? []).map((name) => {
      const [repository, tag] = splitTag(name)
      return { image, repository, tag, digest: none }
    })
  }
  const digests = new Map<string, string[]>()
  for (const name of image.RepoDigests ?? []) {
    const [repository = '', digest = ''] = name.split('@')
    digests.set(repository, [...(digests.get(repository) ?? []), digest])
  }
  const rows: ImageRow[] = []
  const add = (repository: string, tag: string, found: string[]) => {
    const shown = withDigests && found.length > 0 ? found : [none]
    for (const digest of shown) rows.push({ image, repository, tag, digest })
  }
  const tagged = new Set<string>()
  for (const name of image.RepoTags ?? []) {
    const [repository, tag] = splitTag(name)
    tagged.add(repository)
    add(repository, tag, digests.get(repository) ?? [])
  }
  for (const [repository, found] of digests) if (!tagged.has(repository)) add(repository, none, found)
  return rows
}

/** The rows of images, in the engine's order. */
export function imageRows(images: readonly ImageSummary[], withDigests: boolean): ImageRow[] {
  return images.flatMap((image) =>
    isDangling(image) ? [{ image, repository: none, tag: none, digest: none }] : named(image, withDigests),
  )
}

/** The first twelve digits; the algorithm goes. */
const shortId = (id: string) => {
  const start = id.indexOf(':') + 1
  return id.slice(start, start + 12)
}
/** The names of an image, and images of one build, have the same numbers. */
function remembered(text: (value: number) => string): (value: number) => string {
  const known = new Map<number, string>()
  return (value) => {
    const found = known.get(value) ?? text(value)
    known.set(value, found)
    return found
  }
}

const shownCount = (count: number) => (count < 0 ? 'N/A' : String(count))
const shownSize = (bytes: number) => (bytes < 0 ? 'N/A' : humanSize(bytes, 3))

/** How images are listed. */
export function imageList(options: { truncate: boolean; digests: boolean }): ListFormat<ImageRow> {
  const digestColumn = options.digests ? '{{.Digest}}\t' : ''
  const now = Date.now()
  const ages = remembered((created) => (created <= 0 ? '' : `${humanDuration(now - created * 1000)} ago`))
  const sizes = remembered((bytes) => humanSize(bytes, 3))
  const created = '{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}'
  return {
    type: '*formatter.imageContext',
    fields: {
      ID: {
        header: 'IMAGE ID',
        value: ({ image }) => (options.truncate ? shortId(image.Id) : image.Id),
      },
      Repository: { header: 'REPOSITORY', value: (row) => row.repository },
      Tag: { header: 'TAG', value: (row) => row.tag },
      Digest: { header: 'DIGEST', value: (row) => row.digest },
      CreatedSince: {
        header: 'CREATED',
        value: ({ image }) => ages(image.Created),
      },
      CreatedAt: { header: 'CREATED AT', value: ({ image }) => goTime(image.Created) },
      Size: { header: 'SIZE', value: ({ image }) => sizes(image.Size) },
      Containers: { header: 'CONTAINERS', value: ({ image }) => shownCount(image.Containers) },
      SharedSize: { header: 'SHARED SIZE', value: ({ image }) => shownSize(image.SharedSize) },
      UniqueSize: {
        header: 'UNIQUE SIZE',
        value: ({ image }) => (image.SharedSize < 0 ? 'N/A' : humanSize(image.Size - image.SharedSize)),
      },
      VirtualSize: { header: 'SIZE', value: ({ image }) => humanSize(image.Size) },
    },
    table: `{{.Repository}}\t{{.Tag}}\t${digestColumn}{{.ID}}\t${created}\t{{.Size}}`,
    raw: 'repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n',
  }
}
