/** Changes `config.json`: read, changed, written whole; keys that we do not know are kept. */
import { mkdirSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import { loadConfigFile } from './config-file.ts'
import type { ConfigFile } from './config-file.ts'

/** Applies a change. The file keeps its mode, 0600 for a new one; a symlink is followed. */
export function changeConfigFile(directory: string, change: (config: ConfigFile) => void): void {
  const config = loadConfigFile(directory)
  change(config)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  let path = join(directory, 'config.json')
  let mode = 0o600
  try {
    path = realpathSync(path)
    mode = statSync(path).mode & 0o777
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, JSON.stringify(config, undefined, '\t'), { mode })
  renameSync(temporary, path)
}
