/** `manifest push`: brings a list, and the images in it, under their digests to its repository. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { listDocument, putManifest } from '../manifest-remote.ts'
import { fullName, ManifestStore, repositoryOf } from '../manifest-store.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    insecure: flag.bool('Talk to the registry without verified TLS too'),
    purge: flag.bool('Remove the list here once it is there', { short: 'p' }),
  },
  count: { min: 1, max: 1 },
  run: async (cli, { flags, args: [target = ''] }) => {
    const store = new ManifestStore(cli.configDirectory)
    const list = fullName(target)
    const images = store.list(list)
    if (images === undefined || images.length === 0) throw new CliError(`${list} not found`)
    const repository = repositoryOf(list)
    for (const { Ref } of images) {
      if (domainOf(Ref) === domainOf(list)) continue
      throw new CliError(
        `cannot use source images from a different registry than the target image: ${domainOf(Ref)} != ${domainOf(list)}`,
      )
    }
    for (const { Ref, Descriptor, Raw } of images) {
      const name = `${repository}@${Descriptor.digest}`
      const manifest = {
        mediaType: Descriptor.mediaType,
        data: Buffer.from(Raw, 'base64'),
        source: repositoryOf(Ref),
      }
      const digest = await putManifest(cli, name, manifest, flags.insecure)
      cli.print(`Pushed ref ${name} with digest: ${digest}`)
    }
    cli.print(await putManifest(cli, list, listDocument(images), flags.insecure))
    if (flags.purge) store.remove(list)
  },
})

function domainOf(name: string): string {
  return name.slice(0, name.indexOf('/'))
}
