/** How a syslog message looks: RFC 3164, RFC 5424, or the machine's own form. */
import { EngineError } from '../../spec/errors.ts'

/** By number; 12 to 15 have no name. */
const facilityNames =
  'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp - - - - local0 local1 local2 local3 local4 local5 local6 local7'.split(
    ' ',
  )
const daemonFacility = 3
const severities = { stdout: 6, stderr: 3 } as const
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const formats = ['', 'rfc3164', 'rfc5424', 'rfc5424micro'] as const

/** Value of `syslog-format`. */
export type SyslogFormat = (typeof formats)[number]

/** A facility's number from its name or number; `daemon` when empty. Throws invalid. */
export function parseFacility(text: string): number {
  if (text === '') return daemonFacility
  const named = text === '-' ? -1 : facilityNames.indexOf(text)
  if (named >= 0) return named
  const number = /^\d{1,2}$/.test(text) ? Number(text) : 24
  if (number > 23) throw new EngineError('invalid', 'invalid syslog facility')
  return number
}

/** Throws invalid for an unknown format. */
export function parseSyslogFormat(text: string): SyslogFormat {
  const format = formats.find((known) => known === text)
  if (format === undefined) throw new EngineError('invalid', 'Invalid syslog format')
  return format
}

/** What all messages of a container have in common. */
export type SyslogMessageOptions = {
  format: SyslogFormat
  facility: number
  tag: string
  hostname: string
  pid: number
}

/** One message, without framing. `timeMs` is when the line was written. */
export function syslogMessage(
  options: SyslogMessageOptions,
  stream: 'stdout' | 'stderr',
  timeMs: number,
  line: Buffer,
): Buffer {
  return Buffer.concat([Buffer.from(head(options, stream, new Date(timeMs))), line])
}

function head(options: SyslogMessageOptions, stream: 'stdout' | 'stderr', time: Date): string {
  const { format, facility, tag, hostname, pid } = options
  const priority = facility * 8 + severities[stream]
  if (format === '') return `<${priority}>${stampText(time)} ${tag}[${pid}]: `
  if (format === 'rfc3164') return `<${priority}>${stampText(time)} ${hostname} ${tag}[${pid}]: `
  const stamp = format === 'rfc5424' ? `${time.toISOString().slice(0, 19)}Z` : micro(time)
  return `<${priority}>1 ${stamp} ${hostname} ${tag} ${pid} ${tag} - `
}

function micro(time: Date): string {
  return time.toISOString().replace(/(\.\d{3})Z$/, '$1000Z')
}

/** `Jan  2 15:04:05`, in local time as syslog has it. */
function stampText(time: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = String(time.getDate()).padStart(2, ' ')
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
  return `${months[time.getMonth()] ?? ''} ${day} ${clock}`
}
