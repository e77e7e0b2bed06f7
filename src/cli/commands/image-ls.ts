/** `images`. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { bytesSize, humanSize } from '../../lib/units.ts'
import type { ImageSummary } from '../../spec/image-types.ts'
import { alignColumns } from '../../lib/table.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { filterFlag } from '../filters.ts'
import { formatList } from '../format.ts'
import { imageList, imageRows } from '../image-list.ts'
import { listFormatHelp } from '../inspect.ts'

type TreeManifest = {
  Kind?: string
  ID?: string
  Available?: boolean
  Size?: { Total?: number; Content?: number }
  ImageData?: { Platform?: { os: string; architecture: string; variant?: string }; Containers?: string[] }
}

/** The tree: a name, and its platforms below it. */
function imageTree(
  images: readonly (Omit<ImageSummary, 'Manifests'> & { Manifests?: TreeManifest[] })[],
): string {
  const rows = ['IMAGE\tID\tDISK USAGE\tCONTENT SIZE\tEXTRA']
  for (const image of images) {
    const names = image.RepoTags ?? []
    const used = image.Containers > 0 ? 'U' : ''
    const id = image.Id.replace(/^[^:]*:/, '').slice(0, 12)
    const content = (image.Manifests ?? []).reduce((sum, manifest) => sum + (manifest.Size?.Content ?? 0), 0)
    for (const name of names.length > 0 ? names : ['<untagged>']) {
      rows.push([name, id, humanSize(image.Size, 3), humanSize(content, 3), used].join('\t'))
      for (const manifest of image.Manifests ?? []) {
        if (manifest.Kind !== 'image' || manifest.ImageData?.Platform === undefined) continue
        const { os, architecture, variant } = manifest.ImageData.Platform
        const platform = [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
        const sizes = [humanSize(manifest.Size?.Total ?? 0, 3), bytesSize(manifest.Size?.Content ?? 0)]
        rows.push(
          [`└─ ${platform}`, (manifest.ID ?? '').replace(/^[^:]*:/, '').slice(0, 12), ...sizes, ''].join(
            '\t',
          ),
        )
      }
    }
  }
  return alignColumns(`${rows.join('\n')}\n`)
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Show intermediate images too', { short: 'a' }),
    digests: flag.bool('Show digests'),
    filter: filterFlag(),
    format: flag.string(listFormatHelp),
    'no-trunc': flag.bool('Show whole ids'),
    quiet: flag.bool('Show ids only', { short: 'q' }),
    tree: flag.bool('Show platforms below their images'),
  },
  count: { min: 0, max: 1 },
  run: async (cli, { flags, args: [reference] }) => {
    const filters = [...flags.filter]
    if (reference !== undefined) filters.push(['reference', reference])
    if (flags.tree) {
      for (const [other, used] of Object.entries({
        quiet: flags.quiet,
        'no-trunc': flags['no-trunc'],
        digests: flags.digests,
        format: flags.format !== '',
      })) {
        if (used) throw new CliError(`--${other} is not yet supported with --tree`)
      }
    }
    const images = await cli.client.json<ImageSummary[]>('GET', '/images/json', {
      query: { all: flags.all, filters: encodeFilters(filters), manifests: flags.tree },
    })
    if (flags.tree) {
      cli.stdout.write(imageTree(images))
      return
    }
    const list = imageList({ truncate: !flags['no-trunc'], digests: flags.digests })
    const chosen = flags.format || (flags.quiet ? '' : (cli.config.imagesFormat ?? ''))
    const format = flags.quiet && (chosen === '' || chosen === 'table') ? '{{.ID}}' : chosen
    const digests = (flags.digests || format.includes('.Digest')) && !(flags.quiet && chosen === '')
    cli.stdout.write(formatList(list, format, imageRows(images, digests)))
  },
})
