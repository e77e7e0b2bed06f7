/** Questions to the user. */
import { readSync } from 'node:fs'
import type { Cli } from './cli.ts'
import { errorCode } from '../spec/errors.ts'

/** Reads a line from a descriptor, byte by byte: what follows stays for whoever reads next. */
export function readLine(fd: number): string {
  const bytes: number[] = []
  const one = Buffer.alloc(1)
  while (true) {
    let count = 0
    try {
      count = readSync(fd, one, 0, 1, null)
    } catch (error) {
      if (errorCode(error) === 'EAGAIN') continue
      if (errorCode(error) !== 'EOF') throw error
    }
    if (count === 0 || one[0] === 10) return Buffer.from(bytes).toString('utf8').replace(/\r$/, '')
    bytes.push(one[0] ?? 0)
  }
}

/** Asks a question that `y` affirms; anything else, and the end of the input, denies. */
export function confirm(cli: Cli, question: string): boolean {
  cli.stdout.write(`${question} [y/N] `)
  return readLine(0).trim().toLowerCase() === 'y'
}
