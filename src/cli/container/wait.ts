/** Waiting for a container's end, asked for before it starts so that no end is missed. */
import type { ContainerWaited } from '../../spec/container-types.ts'
import { readJson } from '../../client/engine-client.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../errors.ts'

/** Conditions of `POST /containers/{id}/wait`. */
export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

/** Asks the engine to wait. Resolves once the engine listens, with a function that waits for the exit code. */
export async function beginWait(
  cli: Cli,
  id: string,
  condition: WaitCondition,
): Promise<() => Promise<number>> {
  const response = await cli.client.request('POST', `/containers/${id}/wait`, { query: { condition } })
  return async () => {
    const result = readJson<ContainerWaited>((await response.bytes()).toString('utf8'))
    if (result.Error?.Message)
      throw new CliError(`Error waiting for container: ${result.Error.Message}`, { code: 125 })
    return result.StatusCode
  }
}
