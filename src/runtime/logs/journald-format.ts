/** The journal's native protocol (systemd, "Native Journal Protocol"): fields of a message in one datagram. */

const priorities = { stdout: '6', stderr: '3' } as const

/** Encodes a line with the fields of its container. */
export function journalMessage(
  fields: Readonly<Record<string, string>>,
  line: { stream: 'stdout' | 'stderr'; timeNs: bigint; line: Buffer; partial: boolean },
): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of Object.entries(fields)) parts.push(field(name, Buffer.from(value)))
  parts.push(field('PRIORITY', Buffer.from(priorities[line.stream])))
  parts.push(field('SYSLOG_TIMESTAMP', Buffer.from(String(line.timeNs / 1000n))))
  if (line.partial) parts.push(field('CONTAINER_PARTIAL_MESSAGE', Buffer.from('true')))
  parts.push(field('MESSAGE', line.line))
  return Buffer.concat(parts)
}

/** `NAME=value`, or name, length and value where the value has line feeds of its own. */
function field(name: string, value: Buffer): Buffer {
  if (!value.includes(0x0a)) return Buffer.concat([Buffer.from(`${name}=`), value, Buffer.from('\n')])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(value.length))
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, Buffer.from('\n')])
}
