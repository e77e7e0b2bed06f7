/** `info`. */
import { flag } from '../../lib/flags.ts'
import { parseTemplate } from '../../lib/go-template.ts'
import { GoNil, GoStruct } from '../../lib/go-value.ts'
import type { SystemInfo } from '../../spec/system-types.ts'
import { errorMessage } from '../../spec/errors.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'
import { templateError } from '../format.ts'
import { inspectFormatHelp } from '../inspect.ts'
import { clientFacts } from './system-version.ts'
import { serverInfoLines } from '../system-info-text.ts'

function compile(format: string) {
  try {
    return parseTemplate(format)
  } catch (error) {
    throw new CliError(templateError(error).message, { code: 64, cause: error })
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: { format: flag.string(inspectFormatHelp, { short: 'f' }) },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const client = {
      Debug: cli.globals.debug,
      ...clientFacts(cli),
      Plugins: [],
      Warnings: null,
    }
    let info: SystemInfo | undefined
    const errors: string[] = []
    try {
      info = await cli.client.json<SystemInfo>('GET', '/info')
    } catch (error) {
      errors.push(failureOf(error).message)
    }
    if (flags.format === '') {
      cli.print(
        `Client:\n Version:    ${client.Version}\n Context:    ${client.Context}\n Debug Mode: ${client.Debug}\n\nServer:`,
      )
      if (info !== undefined) cli.print(`${serverInfoLines(info).join('\n')}\n`)
      for (const warning of info?.Warnings ?? []) cli.warn(warning)
      if (errors.length > 0) throw new CliError(errors.join('\n'))
      return
    }
    const value = {
      ...info,
      ...(errors.length > 0 ? { ServerErrors: errors } : {}),
      ClientInfo: new GoStruct('*system.clientInfo', client),
    }
    if (flags.format === 'json') cli.print(JSON.stringify({ ...value, ClientInfo: client }))
    else {
      const template = compile(flags.format)
      const shown = { ...value, Warnings: info?.Warnings ?? new GoNil('slice') }
      try {
        cli.print(template.execute(new GoStruct('system.dockerInfo', shown)))
      } catch (error) {
        // As Docker's: the line's end has been printed, and the error has no name before it.
        cli.print('')
        throw new CliError(errorMessage(error), { cause: error })
      }
    }
    if (errors.length > 0) throw new CliError(errors.join('\n'))
  },
})
