/** `manifest inspect`: what a registry, or a list that is being put together here, has under a name. */
import { flag } from '../../lib/flags.ts'
import { indentJson } from '../../lib/json-indent.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { listDocument, remoteManifest } from '../manifest-remote.ts'
import { fullName, ManifestStore, type ListedManifest } from '../manifest-store.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    insecure: flag.bool('Talk to the registry without verified TLS too'),
    verbose: flag.bool('Show layers and platforms as well', { short: 'v' }),
  },
  count: { min: 1, max: 2 },
  completes: ['image'],
  run: async (cli, { flags, args: [first = '', second] }) => {
    const store = new ManifestStore(cli.configDirectory)
    const showList = (images: ListedManifest[]) =>
      cli.print(flags.verbose ? verbose(images) : listDocument(images).data.toString('utf8'))
    const showOne = (image: ListedManifest) =>
      cli.print(flags.verbose ? verbose(image) : indentJson(rawText(image), '', '\t'))
    if (second !== undefined) {
      const found = store.get(fullName(first), fullName(second))
      if (found === undefined) throw new CliError(`no such manifest: ${second}`)
      return showOne(found)
    }
    const name = fullName(first)
    const local = store.list(name)
    if (local !== undefined) return showList(local)
    const found = await remoteManifest(cli, name, flags.insecure)
    if ('image' in found) showOne(found.image)
    else showList(found.images)
  },
})

function rawText({ Raw }: ListedManifest): string {
  return Buffer.from(Raw, 'base64').toString('utf8')
}

function verbose(value: ListedManifest | ListedManifest[]): string {
  return JSON.stringify(value, undefined, '\t')
}
