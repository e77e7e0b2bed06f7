import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointServices, parseServices } from './service-names.ts'

const text = `# comment
http\t\t80/tcp\t\twww WWW-HTTP # World Wide Web
domain 53/udp
http-alt 80/tcp

broken
`

test('parseServices() reads names and aliases by port', () => {
  assert.deepEqual(
    [...parseServices(text)],
    [
      ['80/tcp', ['http', 'www', 'www-http', 'http-alt']],
      ['53/udp', ['domain']],
    ],
  )
})

test('endpointServices() names exposed and published ports once each, by number and name', () => {
  const request = { exposedPorts: ['80/tcp', '53/UDP'], portBindings: { '80/tcp': [], '7/sctp': null } }
  const names = endpointServices(request, parseServices(text)).map(({ name, port }) => `${name} ${port}`)
  assert.deepEqual(names, [
    ...['_80', '_http', '_www', '_www-http', '_http-alt'].map((name) => `${name}._tcp 80`),
    '_53._udp 53',
    '_domain._udp 53',
    '_7._sctp 7',
  ])
})
