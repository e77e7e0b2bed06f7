/** `login`: proves credentials to a registry and keeps them. */
import { readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { flag } from '../../lib/flags.ts'
import { errorMessage } from '../../spec/errors.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { findCredentials, hostOf, hubAddress, storeCredentials, type RegistryAuth } from '../credentials.ts'
import { CliError } from '../errors.ts'
import { readLine } from '../prompt.ts'

type LoginAnswer = { Status: string; IdentityToken?: string }

async function login(cli: Cli, auth: RegistryAuth): Promise<LoginAnswer> {
  return cli.client.json<LoginAnswer>('POST', '/auth', { json: auth })
}

/** Reads a line without showing it. */
function readHidden(): string {
  const stty = (mode: string) => spawnSync('stty', [mode], { stdio: ['inherit', 'ignore', 'ignore'] })
  stty('-echo')
  try {
    return readLine(0)
  } finally {
    stty('echo')
  }
}

function ask(cli: Cli, given: { username: string; password: string }, known: string): typeof given {
  let { username, password } = given
  if ((username === '' || password === '') && !cli.isInputTerminal) {
    throw new CliError('Error: Cannot perform an interactive login from a non TTY device')
  }
  if (username === '') {
    cli.stdout.write(known === '' ? 'Username: ' : `Username (${known}): `)
    username = readLine(0).trim()
    if (username === '') username = known
    if (username === '') throw new CliError('Error: Non-null Username Required')
  }
  if (password === '') {
    cli.stdout.write('Password: ')
    password = readHidden()
    cli.stdout.write('\n')
    if (password === '') throw new CliError('Error: Password Required')
  }
  return { username, password }
}

function keep(cli: Cli, auth: RegistryAuth, answer: LoginAnswer): void {
  const token = answer.IdentityToken ?? ''
  const kept: RegistryAuth = { ...auth }
  if (token !== '') {
    kept.identitytoken = token
    kept.password = ''
  }
  let file: string | undefined
  try {
    file = storeCredentials(cli, kept)
  } catch (error) {
    throw new CliError(`Error saving credentials: ${errorMessage(error)}`, { cause: error })
  }
  // A token is no secret of the user's own.
  if (file === undefined || token !== '') return
  cli.warn(`
WARNING! Your credentials are stored unencrypted in '${file}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
`)
}

/** Logs in by what is kept; undefined where that is nothing, or does not do. */
async function withKept(cli: Cli, kept: RegistryAuth): Promise<LoginAnswer | undefined> {
  const { username = '', password = '' } = kept
  if (username === '' || password === '') return undefined
  cli.stderr.write(`Authenticating with existing credentials... [Username: ${username}]`)
  cli.warn(
    `\n\n Info -> To login with a different account, run '${cli.program} logout' followed by '${cli.program} login'\n\n`,
  )
  try {
    const answer = await login(cli, kept)
    keep(cli, kept, answer)
    return answer
  } catch (error) {
    cli.warn(`Login did not succeed, error: ${errorMessage(error)}`)
    return undefined
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    password: flag.string('Password or token; others may see it in the list of processes', { short: 'p' }),
    'password-stdin': flag.bool('Read the password from standard input'),
    username: flag.string('User name', { short: 'u' }),
  },
  count: { min: 0, max: 1 },
  run: async (cli, { flags, args: [server = ''], given }) => {
    let { password } = flags
    if (given.has('password')) {
      if (flags['password-stdin']) {
        throw new CliError('conflicting options: cannot specify both --password and --password-stdin')
      }
      if (password === '') throw new CliError('password is empty')
      cli.warn('WARNING! Using --password via the CLI is insecure. Use --password-stdin.')
    }
    if (given.has('username') && flags.username === '') throw new CliError('username is empty')
    if (flags['password-stdin']) {
      if (flags.username === '') {
        throw new CliError('the --password-stdin option requires --username to be set')
      }
      password = readFileSync(0, 'utf8').replace(/\r?\n$/, '')
      if (password === '') throw new CliError('password is empty')
    }
    const key = server === '' || server === 'docker.io' ? hubAddress : hostOf(server)
    const kept = flags.username === '' && password === '' ? findCredentials(cli, key) : undefined
    let answer = kept === undefined ? undefined : await withKept(cli, kept)
    if (answer === undefined) {
      const asked = ask(cli, { username: flags.username, password }, kept?.username ?? '')
      const auth: RegistryAuth = { ...asked, serveraddress: key }
      answer = await login(cli, auth)
      keep(cli, auth, answer)
    }
    if (answer.Status !== '') cli.print(answer.Status)
  },
})
