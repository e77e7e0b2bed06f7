/** `version`: the client's and the engine's. */
import { newestVersion } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { parseTemplate } from '../../lib/go-template.ts'
import type { Template } from '../../lib/go-template.ts'
import { GoStruct, goJson } from '../../lib/go-value.ts'
import { alignColumns } from '../../lib/table.ts'
import { errorMessage } from '../../spec/errors.ts'
import type { SystemComponent, SystemVersion } from '../../spec/system-types.ts'
import { wharfVersion } from '../cli.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'
import { templateError } from '../format.ts'
import { inspectFormatHelp } from '../inspect.ts'

type ClientVersion = {
  Version: string
  ApiVersion: string
  DefaultAPIVersion: string
  GitCommit: string
  GoVersion: string
  Os: string
  Arch: string
  BuildTime: string
  Context: string
}

const columns = { minWidth: 20, padding: 1 }

/** What the client says of itself, whatever engine it speaks to. */
export function clientFacts(cli: Cli): Omit<ClientVersion, 'ApiVersion'> {
  return {
    Version: wharfVersion,
    DefaultAPIVersion: newestVersion,
    GitCommit: '',
    GoVersion:
      process.versions.bun === undefined ? `node${process.versions.node}` : `bun${process.versions.bun}`,
    Os: process.platform,
    Arch: process.arch === 'x64' ? 'amd64' : process.arch,
    BuildTime: '',
    Context: cli.contextName,
  }
}

function clientVersion(cli: Cli, apiVersion: string): ClientVersion {
  const { Version, ...rest } = clientFacts(cli)
  return { Version, ApiVersion: apiVersion, ...rest }
}

function clientText(client: ClientVersion): string {
  const downgraded =
    client.ApiVersion === client.DefaultAPIVersion ? '' : ` (downgraded from ${client.DefaultAPIVersion})`
  return [
    'Client:',
    ` Version:\t${client.Version}`,
    ` API version:\t${client.ApiVersion}${downgraded}`,
    ` Go version:\t${client.GoVersion}`,
    ` Git commit:\t${client.GitCommit}`,
    ` Built:\t${client.BuildTime}`,
    ` OS/Arch:\t${client.Os}/${client.Arch}`,
    ` Context:\t${client.Context}`,
  ].join('\n')
}

function builtText(time: string | undefined): string {
  const date = new Date(time ?? '')
  if (Number.isNaN(date.getTime())) return time ?? ''
  const parts = /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(date.toUTCString()) ?? []
  const [, day = '', number = '', month = '', year = '', clock = ''] = parts
  return `${day} ${month} ${number.replace(/^0/, ' ')} ${clock} ${year}`
}

function engineText(component: SystemComponent): string {
  const { Details } = component
  return [
    ` ${component.Name}:`,
    `  Version:\t${component.Version}`,
    `  API version:\t${Details['ApiVersion'] ?? ''} (minimum version ${Details['MinAPIVersion'] ?? ''})`,
    `  Go version:\t${Details['GoVersion'] ?? ''}`,
    `  Git commit:\t${Details['GitCommit'] ?? ''}`,
    `  Built:\t${builtText(Details['BuildTime'])}`,
    `  OS/Arch:\t${Details['Os'] ?? ''}/${Details['Arch'] ?? ''}`,
    `  Experimental:\t${Details['Experimental'] ?? 'false'}`,
  ].join('\n')
}

function componentText(component: SystemComponent): string {
  if (component.Name === 'Engine') return engineText(component)
  const details = Object.entries(component.Details ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    ` ${component.Name}:`,
    `  Version:\t${component.Version}`,
    ...details.map(([key, value]) => `  ${key}:\t${value}`),
  ].join('\n')
}

function serverText(server: SystemVersion): string {
  const name = server.Platform?.Name ?? ''
  const components = server.Components ?? []
  return `\nServer:${name === '' ? '' : ` ${name}`}\n${components.map(componentText).join('\n')}`
}

/** Templates know a field by its name in Go, JSON by another. */
function versionStruct(type: string, version: { ApiVersion: string }): GoStruct {
  const { ApiVersion, ...rest } = version
  return new GoStruct(type, { ...rest, APIVersion: ApiVersion }, () => goJson(version))
}

function printTemplated(
  cli: Cli,
  format: string,
  client: ClientVersion,
  server: SystemVersion | undefined,
): void {
  if (format === 'json') return cli.print(goJson({ Client: client, Server: server ?? null }))
  let template: Template
  try {
    template = parseTemplate(format, 'version')
  } catch (error) {
    throw new CliError(templateError(error).message, { code: 64, cause: error })
  }
  try {
    const value = {
      Client: versionStruct('system.clientVersion', client),
      Server: server === undefined ? null : versionStruct('*types.Version', server),
    }
    cli.print(template.execute(new GoStruct('system.versionInfo', value)))
  } catch (error) {
    // As Docker's: the line's end has been printed.
    cli.print('')
    throw new CliError(errorMessage(error), { cause: error })
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: { format: flag.string(inspectFormatHelp, { short: 'f' }) },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    let server: SystemVersion | undefined
    let failure: unknown
    let apiVersion = newestVersion
    try {
      apiVersion = await cli.client.version()
      server = await cli.client.json<SystemVersion>('GET', '/version')
    } catch (error) {
      failure = error
    }
    const client = clientVersion(cli, apiVersion)
    if (flags.format !== '') printTemplated(cli, flags.format, client, server)
    else {
      cli.stdout.write(alignColumns(`${clientText(client)}\n`, columns))
      if (server !== undefined) cli.stdout.write(alignColumns(`${serverText(server)}\n`, columns))
    }
    if (failure !== undefined) throw new CliError(failureOf(failure).message, { cause: failure })
  },
})
