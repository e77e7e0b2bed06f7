/** `logout`: forgets the credentials for a registry. */
import { errorMessage } from '../../spec/errors.ts'
import { defineCommand } from '../command.ts'
import { eraseCredentials, hostOf, hubAddress } from '../credentials.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 0, max: 1 },
  run: async (cli, { args: [server = ''] }) => {
    const isHub = server === '' || server === 'docker.io'
    const name = isHub ? hubAddress : hostOf(server)
    const keys = isHub ? [hubAddress] : [server, name, `http://${name}`, `https://${name}`]
    cli.print(`Removing login credentials for ${name}`)
    const failures = new Map<string, string>()
    for (const key of keys) {
      try {
        eraseCredentials(cli, key)
      } catch (error) {
        failures.set(key, errorMessage(error))
      }
    }
    if (failures.size < keys.length) return
    cli.warn('WARNING: could not erase credentials:')
    for (const [key, reason] of failures) cli.warn(`${key}: ${reason}`)
  },
})
