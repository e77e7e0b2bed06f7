/**
 * `trust`: Docker's signatures by way of a Notary server. This client has no such signatures and can make none; each
 * command checks what it was given and then says so.
 */
import { statSync } from 'node:fs'
import { flag } from '../../lib/flags.ts'
import { errorCode } from '../../spec/errors.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { confirm } from '../prompt.ts'

const noNotary = (program: string) => `${program} cannot sign images: it speaks to no Notary server`
const hasTag = (reference: string) => /:[^/]+$/.test(reference)

function checkKeyFile(file: string): void {
  try {
    const { mode } = statSync(file)
    if ((mode & 0o077) === 0) return
    throw new CliError(
      `refusing to load key from ${file}: private key file ${file} must not be readable or writable by others`,
    )
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new CliError(`refusing to load key from ${file}: stat ${file}: no such file or directory`, {
      cause: error,
    })
  }
}

/** Commands of `trust`. */
export const trustCommands = {
  inspect: defineCommand({
    flags: { pretty: flag.bool('Print for people') },
    count: { min: 1 },
    completes: ['image'],
    run: async (cli, { flags, args }) => {
      if (!flags.pretty) cli.print('[]')
      throw new CliError(args.map((name) => `no signatures or cannot access ${name}`).join('\n'))
    },
  }),
  revoke: defineCommand({
    flags: { yes: flag.bool('Ask nothing', { short: 'y' }) },
    count: { min: 1, max: 1 },
    completes: ['image'],
    run: async (cli, { flags, args: [name = ''] }) => {
      const question = `Confirm you would like to delete all signature data for ${name}?`
      if (!hasTag(name) && !flags.yes && !confirm(cli, question)) return
      throw new CliError(`could not remove signature for ${name}: ${noNotary(cli.program)}`)
    },
  }),
  sign: defineCommand({
    flags: { local: flag.bool('Sign a tag of this machine') },
    count: { min: 1, max: 1 },
    completes: ['image'],
    run: async (cli, { args: [name = ''] }) => {
      if (!hasTag(name)) throw new CliError(`no tag specified for ${name}`)
      throw new CliError(noNotary(cli.program))
    },
  }),
  'key generate': defineCommand({
    flags: { dir: flag.string('Directory to write the public key to, instead of the current one') },
    count: { min: 1, max: 1 },
    run: async (cli) => {
      throw new CliError(noNotary(cli.program))
    },
  }),
  'key load': defineCommand({
    flags: { name: flag.string('Name of the key', { initial: 'signer' }) },
    count: { min: 1, max: 1 },
    completes: ['file'],
    run: async (cli, { args: [file = ''] }) => {
      cli.print(`Loading key from ${JSON.stringify(file)}...`)
      checkKeyFile(file)
      throw new CliError(noNotary(cli.program))
    },
  }),
  'signer add': defineCommand({
    flags: { key: flag.list("File of the signer's public key") },
    count: { min: 2 },
    run: async (cli, { flags }) => {
      if (flags.key.length === 0) {
        throw new CliError('path to a public key must be provided using the `--key` flag')
      }
      throw new CliError(noNotary(cli.program))
    },
  }),
  'signer remove': defineCommand({
    flags: { force: flag.bool('Do not ask before the last signer goes', { short: 'f' }) },
    count: { min: 2 },
    run: async (cli, { args: [signer = '', ...repositories] }) => {
      for (const name of repositories) cli.print(`Removing signer "${signer}" from ${name}...`)
      throw new CliError(noNotary(cli.program))
    },
  }),
}
