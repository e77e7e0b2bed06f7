/**
 * How many bytes the repositories below a first component of names may have: all different blobs and manifests count,
 * each once, however they came. What is being pushed counts from the moment it is put in its place.
 */
import type { Digest } from '../spec/ids.ts'
import { RegistryError } from './errors.ts'
import type { RegistryIndex } from './registry-index.ts'

/** The quota of every first component that has none of its own. */
const others = '*'

/** See the file's head. */
export class Quotas {
  readonly #index: RegistryIndex
  readonly #quotas: () => Readonly<Record<string, number>>
  readonly #reserved = new Map<string, number>()

  constructor(index: RegistryIndex, quotas: () => Readonly<Record<string, number>>) {
    this.#index = index
    this.#quotas = quotas
  }

  /** Throws DENIED when there is no room for a blob or manifest that the namespace does not have yet. */
  check(repository: string, digest: Digest, size: number): void {
    const [namespace = ''] = repository.split('/')
    const quotas = this.#quotas()
    const quota = Object.hasOwn(quotas, namespace) ? quotas[namespace] : quotas[others]
    if (quota === undefined || this.#index.isInNamespace(namespace, digest)) return
    const used = this.#index.namespaceBytes(namespace) + (this.#reserved.get(namespace) ?? 0)
    if (used + size <= quota) return
    throw new RegistryError('DENIED', {
      message: `quota of ${namespace} exceeded`,
      detail: { quota, used, size },
    })
  }

  /** Checks, and keeps the room until it is disposed of. Throws DENIED. */
  reserve(repository: string, digest: Digest, size: number): Disposable {
    this.check(repository, digest, size)
    const [namespace = ''] = repository.split('/')
    const add = (bytes: number) => {
      const sum = (this.#reserved.get(namespace) ?? 0) + bytes
      if (sum === 0) this.#reserved.delete(namespace)
      else this.#reserved.set(namespace, sum)
    }
    add(size)
    return { [Symbol.dispose]: () => add(-size) }
  }
}
