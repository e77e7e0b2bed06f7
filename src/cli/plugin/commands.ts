/** `plugin`: managed plugins. */
import { ellipsis } from '../../lib/display-width.ts'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { flag } from '../../lib/flags.ts'
import { errorCode } from '../../spec/errors.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'
import { encodeFilters } from '../../client/engine-client.ts'
import { filterFlag } from '../filters.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'
import { inspectFormatHelp, inspectObjects, listFormatHelp } from '../inspect.ts'

type Plugin = {
  Id: string
  Name: string
  Enabled: boolean
  PluginReference?: string
  Config: { Description: string }
}

function pluginList(shorten: boolean): ListFormat<Plugin> {
  const cut = (text: string, width: number) => (shorten ? ellipsis(text, width) : text)
  return {
    type: '*formatter.pluginContext',
    fields: {
      ID: { header: 'ID', value: (row) => (shorten ? row.Id.slice(0, 12) : row.Id) },
      Name: { header: 'NAME', value: (row) => row.Name },
      Description: {
        header: 'DESCRIPTION',
        value: (row) => cut(row.Config.Description.replaceAll(/[\r\n]/g, ' '), 45),
      },
      Enabled: { header: 'ENABLED', value: (row) => String(row.Enabled) },
      PluginReference: { header: 'IMAGE', value: (row) => row.PluginReference ?? '' },
    },
    table: '{{.ID}}\t{{.Name}}\t{{.Description}}\t{{.Enabled}}',
    raw: 'plugin_id: {{.ID}}\nname: {{.Name}}\ndescription: {{.Description}}\nenabled: {{.Enabled}}\n',
  }
}

const force = (help: string) => flag.bool(help, { short: 'f' })
const at = (name: string, action = '') => `/plugins/${encodeURIComponent(name)}${action}`
const one = { min: 1, max: 1 }
const trust = flag.bool('Take it without a signature', { initial: true })
const grant = flag.bool('Grant all that the plugin asks for')

/** A reference as the plugin's API wants it: with a tag. */
const tagged = (name: string) => (/:[^/]+$/.test(name) || name.includes('@') ? name : `${name}:latest`)

async function change(cli: Cli, name: string, action: string, query: Record<string, string>): Promise<void> {
  await cli.client.send('POST', at(name, action), { query })
  cli.print(name)
}

function checkContext(directory: string): void {
  try {
    if (!statSync(directory).isDirectory()) throw new CliError('context must be a directory')
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new CliError(`lstat ${resolve(directory)}: no such file or directory`, { cause: error })
  }
  const config = join(directory, 'config.json')
  if (!existsSync(config)) throw new CliError(`open ${config}: no such file or directory`)
}

/** Commands of `plugin`. */
export const pluginCommands = {
  create: defineCommand({
    flags: { compress: flag.bool('Compress what is sent with gzip') },
    count: { min: 2, max: 2 },
    run: async (cli, { args: [name = '', directory = ''] }) => {
      checkContext(directory)
      throw new CliError(`${name}: ${cli.program} cannot make plugins`)
    },
  }),
  disable: defineCommand({
    flags: { force: force('Even while containers use it') },
    count: one,
    run: async (cli, { flags, args: [name = ''] }) =>
      change(cli, name, '/disable', flags.force ? { force: '1' } : {}),
  }),
  enable: defineCommand({
    flags: { timeout: flag.int('Seconds the plugin may take to answer', { initial: 30 }) },
    count: one,
    run: async (cli, { flags, args: [name = ''] }) => {
      if (flags.timeout < 0) throw new CliError(`negative timeout ${flags.timeout} is invalid`)
      await change(cli, name, '/enable', { timeout: String(flags.timeout) })
    },
  }),
  inspect: defineCommand({
    flags: { format: flag.string(inspectFormatHelp, { short: 'f' }) },
    count: { min: 1 },
    run: async (cli, { flags, args }) =>
      inspectObjects(cli, args, flags.format, {
        get: async (name) => (await (await cli.client.request('GET', at(name, '/json'))).bytes()).toString(),
      }),
  }),
  install: defineCommand({
    flags: {
      alias: flag.string('Name of the plugin here'),
      disable: flag.bool('Leave it disabled'),
      'disable-content-trust': trust,
      'grant-all-permissions': grant,
    },
    count: { min: 1 },
    run: async (cli, { args: [name = ''] }) => {
      await cli.client.send('GET', '/plugins/privileges', { query: { remote: tagged(name) } })
      throw new CliError(`${name}: ${cli.program} cannot install plugins`)
    },
  }),
  ls: defineCommand({
    flags: {
      filter: filterFlag('Show only what meets these conditions'),
      format: flag.string(listFormatHelp),
      'no-trunc': flag.bool('Shorten nothing'),
      quiet: flag.bool('Show ids only', { short: 'q' }),
    },
    count: { min: 0, max: 0 },
    run: async (cli, { flags }) => {
      const plugins = await cli.client.json<Plugin[]>('GET', '/plugins', {
        query: { filters: encodeFilters(flags.filter) },
      })
      const chosen = flags.format || (flags.quiet ? '' : (cli.config.pluginsFormat ?? ''))
      const format = flags.quiet && (chosen === '' || chosen === 'table') ? '{{.ID}}' : chosen
      cli.stdout.write(formatList(pluginList(!flags['no-trunc']), format, plugins))
    },
  }),
  push: defineCommand({
    flags: { 'disable-content-trust': trust },
    count: one,
    run: async (cli, { args: [name = ''] }) => {
      await cli.client.send('POST', at(tagged(name), '/push'))
    },
  }),
  rm: defineCommand({
    flags: { force: force('Even if it is enabled') },
    count: { min: 1 },
    run: async (cli, { flags, args }) => {
      const errors: string[] = []
      for (const name of args) {
        try {
          await cli.client.send('DELETE', at(name), { query: flags.force ? { force: '1' } : {} })
          cli.print(name)
        } catch (error) {
          errors.push(failureOf(error).message)
        }
      }
      if (errors.length > 0) throw new CliError(errors.join('\n'))
    },
  }),
  set: defineCommand({
    flags: {},
    count: { min: 2 },
    run: async (cli, { args: [name = '', ...settings] }) =>
      cli.client.send('POST', at(name, '/set'), { json: settings }),
  }),
  upgrade: defineCommand({
    flags: {
      'disable-content-trust': trust,
      'grant-all-permissions': grant,
      'skip-remote-check': flag.bool('Take another plugin than the one installed, too'),
    },
    count: { min: 1, max: 2 },
    run: async (cli, { args: [name = ''] }) => {
      try {
        await cli.client.send('GET', at(name, '/json'))
      } catch (error) {
        throw new CliError(`error reading plugin data: ${failureOf(error).message}`, { cause: error })
      }
      throw new CliError(`${name}: ${cli.program} cannot upgrade plugins`)
    },
  }),
}
