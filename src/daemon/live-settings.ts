/** The configuration that counts now, and its reload. */
import { hostname } from 'node:os'
import type { EventSink } from '../containers/ports.ts'
import type { Log, LogSink } from '../lib/log.ts'
import { errorMessage } from '../spec/errors.ts'
import { ineffectiveKeys } from './config-support.ts'
import { fixedChanges, mergeSettings, readConfigFile } from './config.ts'
import type { Settings, SettingMap } from './config-values.ts'
import { Settings as SettingsView } from './config-values.ts'

/** Where the configuration comes from. */
export type ConfigSource = { flags: SettingMap; file: string; fileMustExist: boolean }

/** Reads flags and file together. Throws `invalid`. */
export function loadSettings(source: ConfigSource): Settings {
  const file = readConfigFile(source.file, { mustExist: source.fileMustExist })
  return mergeSettings(source.flags, file, source.file)
}

/** See the file's head. */
export class LiveSettings {
  #current: Settings
  readonly #source: ConfigSource
  readonly #sink: LogSink
  readonly #log: Log
  readonly #listeners: ((settings: Settings) => void)[] = []

  constructor(parts: { initial: Settings; source: ConfigSource; sink: LogSink; log: Log }) {
    this.#current = parts.initial
    this.#source = parts.source
    this.#sink = parts.sink
    this.#log = parts.log
    applyLogLevel(this.#sink, this.#current)
    const keys = ineffectiveKeys(this.#current)
    if (keys.length > 0) this.#log.warn('these settings change nothing in this engine', { keys })
  }

  get current(): Settings {
    return this.#current
  }

  /** Calls `listener` after each reload. */
  onReload(listener: (settings: Settings) => void): void {
    this.#listeners.push(listener)
  }

  /** Reads the file again. What cannot change while running keeps its value; a bad file changes nothing. */
  reload(events: EventSink, daemonId: string): void {
    let next: Settings
    try {
      next = loadSettings(this.#source)
    } catch (error) {
      this.#log.error('configuration not reloaded', { error: errorMessage(error) })
      return
    }
    const fixed = fixedChanges(this.#current, next)
    if (fixed.length > 0) this.#log.warn('these settings change only with a restart', { keys: fixed })
    const merged = new Map(next.entries())
    for (const key of fixed) {
      const before = this.#current.entries().get(key)
      if (before === undefined) merged.delete(key)
      else merged.set(key, before)
    }
    this.#current = new SettingsView(merged)
    applyLogLevel(this.#sink, this.#current)
    for (const listener of this.#listeners) listener(this.#current)
    this.#log.info('configuration reloaded', { file: this.#source.file })
    events.emit({
      type: 'daemon',
      action: 'reload',
      id: daemonId,
      attributes: reloadAttributes(this.#current),
    })
  }
}

function applyLogLevel(sink: LogSink, settings: Settings): void {
  const level = settings.flag('debug') ? 'debug' : settings.text('log-level', 'info')
  sink.level =
    level === 'debug' || level === 'warn' || level === 'error' ? level : level === 'fatal' ? 'error' : 'info'
  sink.format = settings.text('log-format') === 'json' ? 'json' : 'text'
}

// The attributes that dockerd's reload event has (moby daemon/reload.go).
function reloadAttributes(settings: Settings): Record<string, string> {
  const list = (key: string) => JSON.stringify(settings.list(key))
  return {
    name: hostname(),
    debug: String(settings.flag('debug')),
    labels: list('labels'),
    'live-restore': String(settings.flag('live-restore', true)),
    'max-concurrent-downloads': String(settings.number('max-concurrent-downloads', 3)),
    'max-concurrent-uploads': String(settings.number('max-concurrent-uploads', 5)),
    'max-download-attempts': String(settings.number('max-download-attempts', 5)),
    'shutdown-timeout': String(settings.number('shutdown-timeout', 15)),
    'registry-mirrors': list('registry-mirrors'),
    'insecure-registries': list('insecure-registries'),
    'default-runtime': settings.text('default-runtime', 'crun'),
    runtimes: Object.keys(settings.runtimes()).join(' '),
    features: JSON.stringify(settings.record('features')),
  }
}
