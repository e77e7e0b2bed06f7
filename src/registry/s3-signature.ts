/** AWS Signature Version 4 for S3: of requests by headers, and of URLs that carry their own proof. */
import { createHash, createHmac } from 'node:crypto'

/** Who signs. */
export type S3Credentials = { accessKey: string; secretKey: string; sessionToken: string }

/** A request to be signed; the path is escaped, the query is not. */
export type S3Request = {
  method: string
  host: string
  path: string
  query: Readonly<Record<string, string>>
  headers: Readonly<Record<string, string>>
}

const algorithm = 'AWS4-HMAC-SHA256'

/** Escapes as S3 does: everything but unreserved characters; slashes stay where asked. */
export function escapeS3(text: string, keepSlashes = false): string {
  const escaped = encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return keepSlashes ? escaped.replaceAll('%2F', '/') : escaped
}

/** A query as it is signed and sent. */
export function canonicalQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${escapeS3(name)}=${escapeS3(value)}`)
    .sort()
    .join('&')
}

/** All headers of a request, signed. `payloadHash` is the SHA-256 of the body in hex. */
export function signedHeaders(
  request: S3Request,
  payloadHash: string,
  signer: { credentials: S3Credentials; region: string; now: Date },
): Record<string, string> {
  const { credentials, region, now } = signer
  const time = amzTime(now)
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.host,
    'x-amz-content-sha256': payloadHash,
    'x-amz-date': time,
    ...(credentials.sessionToken === '' ? {} : { 'x-amz-security-token': credentials.sessionToken }),
  }
  const scope = scopeOf(time, region)
  const { names, signature } = sign({ ...request, headers }, payloadHash, { credentials, time, scope })
  const credential = `${credentials.accessKey}/${scope}`
  return {
    ...headers,
    authorization: `${algorithm} Credential=${credential},SignedHeaders=${names},Signature=${signature}`,
  }
}

/** The query, signed, of a URL that anybody may use for some time. */
export function presignedQuery(
  request: S3Request,
  expiresSeconds: number,
  signer: { credentials: S3Credentials; region: string; now: Date },
): string {
  const { credentials, region, now } = signer
  const time = amzTime(now)
  const scope = scopeOf(time, region)
  const headers = { ...request.headers, host: request.host }
  const query = {
    ...request.query,
    'X-Amz-Algorithm': algorithm,
    'X-Amz-Credential': `${credentials.accessKey}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(expiresSeconds),
    'X-Amz-SignedHeaders': Object.keys(headers).sort().join(';'),
    ...(credentials.sessionToken === '' ? {} : { 'X-Amz-Security-Token': credentials.sessionToken }),
  }
  const { signature } = sign({ ...request, headers, query }, 'UNSIGNED-PAYLOAD', { credentials, time, scope })
  return `${canonicalQuery(query)}&X-Amz-Signature=${signature}`
}

function sign(
  request: S3Request,
  payloadHash: string,
  signer: { credentials: S3Credentials; time: string; scope: string },
): { names: string; signature: string } {
  const headers = Object.entries(request.headers)
    .map(([name, value]): [string, string] => [name.toLowerCase(), value.trim().replace(/\s+/g, ' ')])
    .sort(([left], [right]) => (left < right ? -1 : 1))
  const names = headers.map(([name]) => name).join(';')
  const canonical = [
    request.method,
    request.path,
    canonicalQuery(request.query),
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    payloadHash,
  ].join('\n')
  const { credentials, time, scope } = signer
  const text = [algorithm, time, scope, sha256Hex(canonical)].join('\n')
  let key = hmac(`AWS4${credentials.secretKey}`, time.slice(0, 8))
  for (const part of scope.split('/').slice(1)) key = hmac(key, part)
  return { names, signature: createHmac('sha256', key).update(text).digest('hex') }
}

/** The SHA-256 of some bytes in hex, as requests carry it. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function amzTime(now: Date): string {
  return `${now.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
}

function scopeOf(time: string, region: string): string {
  return `${time.slice(0, 8)}/${region}/s3/aws4_request`
}
