import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createPlainServer, type Server as PlainServer } from 'node:http'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { drain } from './registry-client.ts'
import { RegistryUnreachable } from './registry-errors.ts'
import { RegistryTransport } from './registry-transport.ts'

let root: string
let secure: Server
let plain: PlainServer
const never = new AbortController().signal

function portOf(server: Server | PlainServer): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'wharf-transport-'))
  const at = (name: string) => join(root, name)
  const made = { stdio: 'ignore' as const }
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=test',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      at('key.pem'),
      '-out',
      at('cert.pem'),
    ],
    made,
  )
  const cert = readFileSync(at('cert.pem'))
  const key = readFileSync(at('key.pem'))
  secure = createServer(
    { cert, key, ca: cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const authorized: unknown = Reflect.get(request.socket, 'authorized')
      response.end(String(authorized))
    },
  ).listen(0, '127.0.0.1')
  plain = createPlainServer((_, response) => response.end('plain')).listen(0, '127.0.0.1')
  await Promise.all([once(secure, 'listening'), once(plain, 'listening')])
})

after(() => {
  secure.closeAllConnections()
  secure.close()
  plain.closeAllConnections()
  plain.close()
  rmSync(root, { recursive: true, force: true })
})

function transport(directory: string): RegistryTransport {
  return new RegistryTransport(
    () => ({ proxies: { http: '', https: '', none: '' }, certificateDirectories: [join(root, directory)] }),
    'test',
  )
}

async function ask(using_: RegistryTransport, url: string, verify: boolean): Promise<string> {
  const answer = await using_.send({ method: 'GET', url: new URL(url), headers: {}, verify }, never)
  let text = ''
  answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await drain(answer)
  return text
}

test('an authority that nobody knows is refused in the words of Go, certs.d makes it known', async () => {
  const host = `127.0.0.1:${portOf(secure)}`
  using strange = transport('none')
  await assert.rejects(ask(strange, `https://${host}/v2/`, true), (error) => {
    assert.ok(error instanceof RegistryUnreachable)
    assert.equal(
      error.message,
      `Get "https://${host}/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    )
    return true
  })
  assert.equal(await ask(strange, `https://${host}/v2/`, false), 'false')
  mkdirSync(join(root, 'known', host), { recursive: true })
  copyFileSync(join(root, 'cert.pem'), join(root, 'known', host, 'ca.crt'))
  using known = transport('known')
  assert.equal(await ask(known, `https://${host}/v2/`, true), 'false')
  copyFileSync(join(root, 'cert.pem'), join(root, 'known', host, 'client.cert'))
  copyFileSync(join(root, 'key.pem'), join(root, 'known', host, 'client.key'))
  known.reset()
  assert.equal(await ask(known, `https://${host}/v2/`, true), 'true')
})

test('a server without TLS is called what Go calls it', async () => {
  const host = `127.0.0.1:${portOf(plain)}`
  using one = transport('none')
  await assert.rejects(ask(one, `https://${host}/v2/`, true), {
    message: `Get "https://${host}/v2/": http: server gave HTTP response to HTTPS client`,
  })
  assert.equal(await ask(one, `http://${host}/v2/`, false), 'plain')
})

test('proxies carry what is not on this machine', async () => {
  const asked: string[] = []
  const proxy = createPlainServer((request, response) => {
    asked.push(request.url ?? '')
    response.end('by proxy')
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url ?? ''}`)
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  const address = `http://127.0.0.1:${portOf(proxy)}`
  using one = new RegistryTransport(
    () => ({
      proxies: { http: address, https: address, none: 'direct.invalid' },
      certificateDirectories: [],
    }),
    'test',
  )
  try {
    assert.equal(await ask(one, 'http://registry.invalid/v2/', true), 'by proxy')
    await assert.rejects(ask(one, 'https://registry.invalid/v2/', true), RegistryUnreachable)
    await assert.rejects(ask(one, 'http://direct.invalid/v2/', true), /no such host|name resolution/)
    assert.equal(await ask(one, `http://127.0.0.1:${portOf(plain)}/`, true), 'plain')
    assert.deepEqual(asked, ['http://registry.invalid/v2/', 'CONNECT registry.invalid:443'])
  } finally {
    proxy.closeAllConnections()
    proxy.close()
  }
})

test('an abort ends a request with its reason', async () => {
  using one = transport('none')
  const abort = new AbortController()
  abort.abort(new Error('enough'))
  const url = new URL(`http://127.0.0.1:${portOf(plain)}/`)
  await assert.rejects(one.send({ method: 'GET', url, headers: {}, verify: false }, abort.signal), {
    message: 'enough',
  })
})
