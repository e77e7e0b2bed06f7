/** The pull that `run` and `create` begin when an image is missing. Its progress goes to stderr. */
import { jsonLines } from '../client/ndjson.ts'
import type { ProgressMessage } from '../spec/image-types.ts'
import type { Cli } from './cli.ts'
import { authHeader } from './credentials.ts'
import { parseImageName } from './image-names.ts'
import { showProgress } from './progress.ts'

/** Whether the text is an image's id, which no registry can be asked for. */
export function isImageId(text: string): boolean {
  return /^([a-f0-9]{64}|[a-f0-9]{128})$/.test(text) || /^sha(256|512):/.test(text)
}

/** A reference as Docker shows it: without the default registry, with `latest` where nothing more is named. */
export function familiarName(text: string): string {
  const { repository, tag, digest } = parseImageName(text)
  const short = repository.replace(/^(index\.)?docker\.io\//, '').replace(/^library\//, '')
  const end = tag !== '' ? `:${tag}` : digest === '' ? ':latest' : ''
  return short + end + (digest === '' ? '' : `@${digest}`)
}

/** Pulls an image. Rejects with the engine's or the registry's message. */
export async function pullForRun(
  cli: Cli,
  image: string,
  options: { platform: string; quiet: boolean },
): Promise<void> {
  const { repository, tag, digest } = parseImageName(image)
  const response = await cli.client.request('POST', '/images/create', {
    query: {
      fromImage: repository,
      tag: digest !== '' ? digest : tag === '' ? 'latest' : tag,
      platform: options.platform,
    },
    headers: authHeader(cli, image),
  })
  const output = options.quiet ? { isTerminal: false, write: () => {} } : cli.stderr
  await showProgress(jsonLines<ProgressMessage>(response), { output, width: cli.columns })
}
