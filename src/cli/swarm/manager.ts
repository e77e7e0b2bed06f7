/**
 * Swarm commands. This client knows their names and flags, and asks the engine what Docker's client would ask first:
 * an engine in no swarm refuses that, in the words that users and scripts know. One that is a manager is told of as
 * plainly: these commands do not manage swarms yet.
 */
import type { Cli } from '../cli.ts'
import { CliError, failureOf } from '../errors.ts'

/** Asks what only a manager answers. Never returns: throws the engine's refusal, or that this client cannot go on. */
export async function needManager(cli: Cli, path: string): Promise<never> {
  await cli.client.send('GET', path)
  throw new CliError(`this engine manages a swarm, which ${cli.program} cannot do yet`)
}

/** The same for each of several names: every refusal is told. */
export async function needManagerForEach(cli: Cli, names: readonly string[], path: string): Promise<never> {
  const messages: string[] = []
  for (const name of names) {
    try {
      await needManager(cli, `${path}/${encodeURIComponent(name)}`)
    } catch (error) {
      messages.push(failureOf(error).message)
    }
  }
  throw new CliError(messages.join('\n'))
}

/** As `needManager`, after the empty list that inspecting prints when it finds nothing. */
export async function inspectFromManager(cli: Cli, path: string, pretty: boolean): Promise<never> {
  if (!pretty) cli.print('[]')
  return needManager(cli, path)
}
