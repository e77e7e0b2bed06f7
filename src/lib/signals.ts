/** Signal names and numbers as Docker clients write them. */
import { constants } from 'node:os'
import { EngineError } from '../spec/errors.ts'

/** SIGTERM. */
export const terminate = 15
/** SIGKILL. */
export const killSignal = 9

const highest = 64
const realTimeLowest = 34

/** Number of `9`, `KILL`, `SIGKILL`, `rtmin+3` ... Throws invalid. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    if (number === 0) throw new EngineError('invalid', `invalid signal: ${text}`)
    if (number > highest) {
      throw new EngineError('invalid', `the linux daemon does not support signal ${number}`)
    }
    return number
  }
  const number = signalNumber(text.toUpperCase().replace(/^SIG/, ''))
  if (number === undefined) throw new EngineError('invalid', `invalid signal: ${text}`)
  return number
}

function signalNumber(name: string): number | undefined {
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name)
  if (realTime !== null) {
    const [, end, sign, offset] = realTime
    const number = (end === 'MIN' ? realTimeLowest : highest) + Number(`${sign ?? '+'}${offset ?? '0'}`)
    return number >= realTimeLowest && number <= highest ? number : undefined
  }
  const table: Record<string, number> = { ...constants.signals, SIGCLD: constants.signals.SIGCHLD }
  return table[`SIG${name}`]
}
