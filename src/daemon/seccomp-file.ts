/** The file of the setting `seccomp-profile`. */
import { readFileSync } from 'node:fs'
import { fileErrorMessage } from '../lib/file-error.ts'
import { EngineError } from '../spec/errors.ts'

/** The daemon's seccomp profile: a name, or the text of the file that the setting names. Throws `invalid`. */
export function seccompText(setting: string): string {
  if (setting === '' || setting === 'builtin' || setting === 'unconfined') return setting
  try {
    return readFileSync(setting, 'utf8')
  } catch (cause) {
    throw new EngineError(
      'invalid',
      `opening seccomp profile (${setting}) failed: ${fileErrorMessage(cause, setting)}`,
      { cause },
    )
  }
}
