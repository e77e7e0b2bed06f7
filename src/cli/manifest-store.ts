/**
 * Manifest lists that are being put together, where and as Docker's client keeps them: a directory a list below
 * `manifests` of the configuration's directory, in it a JSON file for each image.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import type { Platform } from '../spec/image-types.ts'
import { CliError } from './errors.ts'
import { canonicalName, parseImageName } from './image-names.ts'

/** An image of a list; `Raw` is base64 of its manifest's exact bytes. */
export type ListedManifest = {
  Ref: string
  Descriptor: { mediaType: string; digest: string; size: number; platform?: Platform }
  Raw: string
  /** The manifest again, to look at. */
  SchemaV2Manifest?: unknown
  OCIManifest?: unknown
}

/** A name with its registry and its tag or digest. Throws Docker's text for what is none. */
export function fullName(text: string): string {
  const { repository, tag, digest } = parseImageName(text)
  const name = canonicalName(repository)
  if (digest !== '') return `${name}${tag === '' ? '' : `:${tag}`}@${digest}`
  return `${name}:${tag === '' ? 'latest' : tag}`
}

/** The repository of a full name. */
export function repositoryOf(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
}

/** See the file's head. Names are full names. */
export class ManifestStore {
  readonly #directory: string

  constructor(configDirectory: string) {
    this.#directory = join(configDirectory, 'manifests')
  }

  /** The images of a list in the order of their names; undefined where there is none. */
  list(list: string): ListedManifest[] | undefined {
    const directory = this.#path(list)
    try {
      return readdirSync(directory)
        .toSorted()
        .map((name) => read(join(directory, name)))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** One image of a list. */
  get(list: string, image: string): ListedManifest | undefined {
    try {
      return read(join(this.#path(list), fileName(image)))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  save(list: string, image: string, manifest: ListedManifest): void {
    mkdirSync(this.#path(list), { recursive: true, mode: 0o755 })
    const path = join(this.#path(list), fileName(image))
    // Beside the directory: whoever lists it sees whole files only.
    const temporary = join(this.#directory, `.${fileName(image)}.${process.pid}`)
    writeFileSync(temporary, JSON.stringify(manifest))
    renameSync(temporary, path)
  }

  remove(list: string): void {
    rmSync(this.#path(list), { recursive: true, force: true })
  }

  #path(list: string): string {
    return join(this.#directory, fileName(list))
  }
}

function fileName(name: string): string {
  return name.replaceAll(':', '-').replaceAll('/', '_')
}

function read(path: string): ListedManifest {
  const text = readFileSync(path, 'utf8')
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by this client or by Docker's
    return JSON.parse(text) as ListedManifest
  } catch (cause) {
    throw new CliError(`invalid manifest in ${path}`, { cause })
  }
}
