/** `manifest rm`: forgets lists that are being put together here. */
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { fullName, ManifestStore } from '../manifest-store.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 1 },
  run: async (cli, { args }) => {
    const store = new ManifestStore(cli.configDirectory)
    const failures: string[] = []
    for (const target of args) {
      const list = fullName(target)
      if (store.list(list) === undefined) failures.push(`No such manifest: ${list}`)
      else store.remove(list)
    }
    if (failures.length > 0) throw new CliError(failures.join('\n'))
  },
})
