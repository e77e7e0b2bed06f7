/** Creating a container: the image is pulled when it is missing, the id is written to `--cidfile`. */
import { closeSync, existsSync, openSync, rmSync, writeSync } from 'node:fs'
import { ApiError } from '../../client/errors.ts'
import type { ContainerCreated } from '../../spec/container-types.ts'
import { fileErrorMessage } from '../../lib/file-error.ts'
import type { Cli } from '../cli.ts'
import { parseImageName } from '../image-names.ts'
import { familiarName, isImageId, pullForRun } from '../pull.ts'
import type { CreateFlagValues } from './create-flags.ts'
import type { CreateRequest } from './create-request.ts'
import { terminalSize } from './terminal-size.ts'

/** Opens the file that will hold the id; refuses one that is there. The file goes again when it stays empty. */
function openIdFile(path: string): Disposable & { write(id: string): void } {
  if (path === '') return { write: () => {}, [Symbol.dispose]() {} }
  if (existsSync(path)) {
    throw new Error(`container ID file found, make sure the other container isn't running or delete ${path}`)
  }
  let fd: number
  try {
    fd = openSync(path, 'wx', 0o666)
  } catch (error) {
    throw new Error(`failed to create the container ID file: ${fileErrorMessage(error)}`, { cause: error })
  }
  let isWritten = false
  return {
    write(id) {
      writeSync(fd, id)
      isWritten = true
    },
    [Symbol.dispose]() {
      closeSync(fd)
      if (!isWritten) rmSync(path, { force: true })
    },
  }
}

function warnEarly(cli: Cli, flags: CreateFlagValues): void {
  const local = flags.dns.find((address) => address.startsWith('127.') || address === '::1')
  if (local !== undefined) cli.warn(`WARNING: Localhost DNS setting (--dns=${local}) may fail in containers.`)
}

/** Checks what can be checked before the engine is asked. Throws an Error with Docker's text. */
export function checkPullOption(pull: string): void {
  if (['always', 'missing', 'never', ''].includes(pull)) return
  throw new Error(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`)
}

/** Creates the container and returns its id; warnings go to stderr. */
export async function createContainer(
  cli: Cli,
  request: CreateRequest,
  flags: CreateFlagValues,
): Promise<string> {
  warnEarly(cli, flags)
  using idFile = openIdFile(flags.cidfile)
  const isNamed = !isImageId(request.image)
  if (isNamed) parseImageName(request.image)
  const pull = async () => {
    await pullForRun(cli, request.image, { platform: flags.platform, quiet: flags.quiet })
  }
  if (flags.pull === 'always' && isNamed) await pull()
  const size = request.tty ? terminalSize(cli) : undefined
  if (size !== undefined) {
    const hostConfig = request.body['HostConfig']
    if (typeof hostConfig === 'object')
      Object.assign(hostConfig ?? {}, { ConsoleSize: [size.rows, size.columns] })
  }
  const post = async () =>
    await cli.client.json<ContainerCreated>('POST', '/containers/create', {
      query: { name: flags.name, platform: flags.platform },
      json: request.body,
    })
  let created: ContainerCreated
  try {
    created = await post()
  } catch (error) {
    const isMissing =
      error instanceof ApiError &&
      error.status === 404 &&
      /No such image|does not match the specified platform/.test(error.message)
    if (!isMissing || !isNamed || flags.pull === 'never') throw error
    if (!flags.quiet) cli.warn(`Unable to find image '${familiarName(request.image)}' locally`)
    await pull()
    created = await post()
  }
  for (const warning of created.Warnings ?? []) cli.warn(`WARNING: ${warning}`)
  idFile.write(created.Id)
  return created.Id
}
