/** Lines of a file of users, made without another program. */
import { hash } from 'bcryptjs'
import { EngineError } from '../spec/errors.ts'
import { mostPasswordBytes } from './users.ts'

const cost = 10

/** The line of a user with a password. Throws `invalid` for what no such line can hold. */
export async function htpasswdLine(name: string, password: string): Promise<string> {
  if (!/^[^:\s#][^:\r\n]*$/.test(name)) throw new EngineError('invalid', `not a user's name: ${name}`)
  if (password === '') throw new EngineError('invalid', 'no password was given on standard input')
  if (Buffer.byteLength(password) > mostPasswordBytes) {
    throw new EngineError('invalid', `a password has ${mostPasswordBytes} bytes at most`)
  }
  return `${name}:${await hash(password, cost)}\n`
}
