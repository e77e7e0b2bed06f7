/** The client's configuration: `config.json` with Docker's keys, and a `wharf` section of ours. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode, errorMessage } from '../spec/errors.ts'

/** Proxies that containers get as environment variables, by engine address or `default`. */
export type ProxyConfig = {
  httpProxy?: string
  httpsProxy?: string
  noProxy?: string
  ftpProxy?: string
  allProxy?: string
}

/** `config.json`. Unknown keys are kept by whoever rewrites the file. */
export type ConfigFile = {
  auths?: Record<
    string,
    { auth?: string; username?: string; password?: string; identitytoken?: string; email?: string }
  >
  HttpHeaders?: Record<string, string>
  psFormat?: string
  imagesFormat?: string
  networksFormat?: string
  volumesFormat?: string
  statsFormat?: string
  pluginsFormat?: string
  pruneFilters?: string[]
  detachKeys?: string
  credsStore?: string
  credHelpers?: Record<string, string>
  currentContext?: string
  proxies?: Record<string, ProxyConfig>
  wharf?: { autostart?: boolean }
  [other: string]: unknown
}

/** Reads `config.json` of a directory; an absent file is an empty configuration. Throws with Docker's text. */
export function loadConfigFile(directory: string): ConfigFile {
  const path = join(directory, 'config.json')
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return {}
    throw new Error(`Error loading config file: ${errorMessage(error)}`, { cause: error })
  }
  try {
    const parsed: ConfigFile | null = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch (error) {
    throw new Error(`Error parsing config file (${path}): ${errorMessage(error)}`, { cause: error })
  }
}
