/** The daemon's own log: one line an entry, a constant message with its data in fields. */

/** Severities, least first. */
const logLevels = ['debug', 'info', 'warn', 'error'] as const
/** See `logLevels`. */
export type LogLevel = (typeof logLevels)[number]

/** Fields of an entry. Never secrets. */
export type LogFields = Record<string, unknown>

/** Where a component logs. */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A log whose entries carry the component's name. */
  child(component: string): Log
}

/** What a log writes to, and from which level on; both may change while it is in use. */
export type LogSink = { level: LogLevel; format: 'text' | 'json'; write(line: string): void }

/** Makes a log. `sink.level` is read at every entry, so that a reload takes effect at once. */
export function createLog(sink: LogSink, component = ''): Log {
  const entry = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (logLevels.indexOf(level) < logLevels.indexOf(sink.level)) return
    sink.write(format(sink, { level, message, component, fields: fields ?? {} }))
  }
  return {
    debug: entry('debug'),
    info: entry('info'),
    warn: entry('warn'),
    error: entry('error'),
    child: (name) => createLog(sink, component === '' ? name : `${component}.${name}`),
  }
}

/** A log that keeps nothing. */
export const silentLog: Log = createLog({ level: 'error', format: 'text', write: () => {} })

type Entry = { level: LogLevel; message: string; component: string; fields: LogFields }

function format(sink: LogSink, { level, message, component, fields }: Entry): string {
  const time = new Date().toISOString()
  if (sink.format === 'json') {
    return `${JSON.stringify({ time, level, component, message, ...plainFields(fields) })}\n`
  }
  const data = Object.entries(plainFields(fields)).map(([key, value]) => ` ${key}=${quote(value)}`)
  const from = component === '' ? '' : ` [${component}]`
  return `${time} ${level.padEnd(5)}${from} ${message}${data.join('')}\n`
}

function plainFields(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      value instanceof Error ? (value.stack ?? value.message) : value,
    ]),
  )
}

function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, bigintAsText) ?? 'undefined')
  return typeof value === 'string' && /[\s"=]/.test(text) ? JSON.stringify(text) : text
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
