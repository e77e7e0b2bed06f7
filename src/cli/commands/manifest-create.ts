/** `manifest create`: begins a list of images of several platforms, kept here until it is pushed. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { remoteImage } from '../manifest-remote.ts'
import { fullName, ManifestStore } from '../manifest-store.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    amend: flag.bool('Add to a list that is there already', { short: 'a' }),
    insecure: flag.bool('Talk to the registry without verified TLS too'),
  },
  count: { min: 2 },
  completes: ['image'],
  run: async (cli, { flags, args: [target = '', ...images] }) => {
    const store = new ManifestStore(cli.configDirectory)
    const list = fullName(target)
    if (store.list(list) !== undefined && !flags.amend) {
      throw new CliError('refusing to amend an existing manifest list with no --amend flag')
    }
    for (const image of images.map(fullName)) {
      store.save(list, image, store.get(list, image) ?? (await remoteImage(cli, image, flags.insecure)))
    }
    cli.print(`Created manifest list ${list}`)
  },
})
