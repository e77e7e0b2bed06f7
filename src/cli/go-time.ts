/** Times as Go's `time.Time.String` prints them in local time. */

/** `2026-01-02 15:04:05.123456789 +0000 UTC` of an RFC 3339 time, or of seconds since 1970. */
export function goTime(time: string | number): string {
  const date = new Date(typeof time === 'number' ? time * 1000 : time)
  if (Number.isNaN(date.getTime())) return String(time)
  const fraction = typeof time === 'string' ? (/\.(\d+?)0*(?:Z|[+-])/.exec(time)?.[1] ?? '') : ''
  const two = (value: number) => String(Math.abs(value)).padStart(2, '0')
  const offset = -date.getTimezoneOffset()
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.trunc(offset / 60))}${two(offset % 60)}`
  const name =
    new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
      .formatToParts(date)
      .find((part) => part.type === 'timeZoneName')?.value ?? 'UTC'
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${clock}${fraction === '' ? '' : `.${fraction}`} ${zone} ${name.startsWith('GMT') ? zone.replace(/00$/, '') : name}`
}
