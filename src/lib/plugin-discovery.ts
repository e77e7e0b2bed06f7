/**
 * Where Docker's plugins say that they are: sockets in directories like /run/docker/plugins, and files with an address
 * (`.spec`) or a description (`.json`) in directories like /etc/docker/plugins. The name of the file is the plugin's;
 * each may also lie in a directory of the same name. The first that is found counts, sockets before files.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'

/** Directories to look in, in this order. */
export type PluginDirectories = { sockets: readonly string[]; specifications: readonly string[] }

/** Where Docker's plugins are on every machine. */
export const dockerPluginDirectories: PluginDirectories = {
  sockets: ['/run/docker/plugins'],
  specifications: ['/etc/docker/plugins', '/usr/lib/docker/plugins'],
}

/** How a plugin is spoken to. */
export type PluginAddress =
  | { kind: 'unix'; path: string }
  | { kind: 'tcp'; host: string; port: number; path: string; tls: PluginTls | undefined }

/** Files and choices of a plugin's `TLSConfig`. */
export type PluginTls = { verify: boolean; caFile: string; certFile: string; keyFile: string }

const description = z.object({
  Name: z.string().default(''),
  Addr: z.string(),
  TLSConfig: z
    .object({
      InsecureSkipVerify: z.boolean().default(false),
      CAFile: z.string().default(''),
      CertFile: z.string().default(''),
      KeyFile: z.string().default(''),
    })
    .nullish(),
})

const maxDescriptionBytes = 1 << 20
/** What may be a file's name and nothing else. */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$/

/** Finds a plugin by name; undefined when there is none. Throws invalid for a description that says nothing. */
export async function findPlugin(
  directories: PluginDirectories,
  name: string,
): Promise<PluginAddress | undefined> {
  if (!namePattern.test(name)) return undefined
  for (const directory of directories.sockets) {
    for (const path of places(directory, name, 'sock')) {
      if (await isSocket(path)) return { kind: 'unix', path }
    }
  }
  for (const directory of directories.specifications) {
    for (const extension of ['spec', 'json']) {
      for (const path of places(directory, name, extension)) {
        const text = await readDescription(path)
        if (text !== undefined) return parseDescription(text, path, extension)
      }
    }
  }
  return undefined
}

/** Names of all plugins that can be found, sorted. */
export async function listPlugins(directories: PluginDirectories): Promise<string[]> {
  const names = new Set<string>()
  const look = async (directory: string, extensions: readonly string[]) => {
    for (const entry of await entriesOf(directory)) {
      const match = /^(.+)\.([a-z]+)$/.exec(entry.name)
      if (match?.[1] !== undefined && extensions.includes(match[2] ?? '')) names.add(match[1])
      else if (entry.isDirectory()) {
        const inside = (await entriesOf(join(directory, entry.name))).map(({ name }) => name)
        if (extensions.some((extension) => inside.includes(`${entry.name}.${extension}`)))
          names.add(entry.name)
      }
    }
  }
  for (const directory of directories.sockets) await look(directory, ['sock'])
  for (const directory of directories.specifications) await look(directory, ['spec', 'json'])
  return [...names].filter((name) => namePattern.test(name)).sort()
}

/** Reads an address like `unix:///run/x.sock` or `tcp://host:port`. Throws invalid. */
function parsePluginAddress(text: string, tls?: PluginTls): PluginAddress {
  const match = /^([a-z]+):\/\/(.+)$/.exec(text.trim())
  const [, scheme = '', rest = ''] = match ?? []
  if (scheme === 'unix') return { kind: 'unix', path: rest }
  if (scheme !== 'tcp' && scheme !== 'http' && scheme !== 'https') {
    throw new EngineError('invalid', `invalid plugin address: ${text.trim()}`)
  }
  const url = URL.parse(`http://${rest}`)
  if (url === null) throw new EngineError('invalid', `invalid plugin address: ${text.trim()}`)
  const isSecure = scheme === 'https' || tls !== undefined
  return {
    kind: 'tcp',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    path: url.pathname.replace(/\/$/, ''),
    tls: isSecure ? (tls ?? { verify: true, caFile: '', certFile: '', keyFile: '' }) : undefined,
  }
}

function parseDescription(text: string, path: string, extension: string): PluginAddress {
  if (extension === 'spec') return parsePluginAddress(text)
  try {
    const { Addr: address, TLSConfig: tls } = description.parse(JSON.parse(text))
    if (tls === null || tls === undefined) return parsePluginAddress(address)
    return parsePluginAddress(address, {
      verify: !tls.InsecureSkipVerify,
      caFile: tls.CAFile,
      certFile: tls.CertFile,
      keyFile: tls.KeyFile,
    })
  } catch (error) {
    if (error instanceof EngineError) throw error
    throw new EngineError('invalid', `invalid plugin description ${path}: ${errorMessage(error)}`, {
      cause: error,
    })
  }
}

function places(directory: string, name: string, extension: string): string[] {
  return [join(directory, `${name}.${extension}`), join(directory, name, `${name}.${extension}`)]
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket()
  } catch (error) {
    if (isAbsent(error)) return false
    throw error
  }
}

async function readDescription(path: string): Promise<string | undefined> {
  try {
    const stats = await stat(path)
    if (!stats.isFile() || stats.size > maxDescriptionBytes) return undefined
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

async function entriesOf(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true })
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')
}
