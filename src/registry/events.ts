/** What happened in the registry, told to whoever wants to know: webhooks, counters, the log. */
import type { Digest } from '../spec/ids.ts'

/** One thing that happened. */
export type RegistryEvent = {
  action: 'push' | 'pull' | 'delete' | 'mount'
  repository: string
  kind: 'blob' | 'manifest' | 'tag'
  digest?: Digest
  tag?: string
  mediaType?: string
  size?: number
  /** Where a mounted blob came from. */
  from?: string
  actor: string
  method: string
  host: string
  /** What URLs of the registry begin with, as the client knows it. */
  base: string
  address: string
  userAgent: string
}

/** Hears of everything. */
export type EventListener = (event: RegistryEvent) => void

/** See the file's head. */
export class RegistryEvents {
  readonly #listeners: EventListener[] = []

  /** Adds a listener; it must not throw. */
  listen(listener: EventListener): void {
    this.#listeners.push(listener)
  }

  /** Tells all listeners. */
  emit(event: RegistryEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
