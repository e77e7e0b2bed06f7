import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { parseIp, type IpAddress } from './ip-address.ts'
import type { BoundSocket } from '../kernel/netns-socket.ts'
import { PortReservations, type PortHolder } from './port-reservations.ts'

const loopback = parseIp('127.0.0.1') as IpAddress
const other = parseIp('127.0.0.2') as IpAddress
const any = parseIp('0.0.0.0') as IpAddress
const range = () => ({ first: 61500, last: 61600 })
/** Keeps sockets here, as long as the ports are held. */
function holder(): PortHolder {
  const held = new Map<string, BoundSocket>()
  return {
    claimPort: () => undefined,
    holdPort: (id, socket) => void held.set(id, socket),
    relayPort: () => {},
    settle: () => {},
    releasePorts: (ids) => {
      for (const id of ids) held.get(id)?.[Symbol.dispose]()
    },
  }
}

const request = (addresses: IpAddress[], first: number, last = first) => ({
  protocol: 'tcp' as const,
  addresses,
  first,
  last,
  target: '172.17.0.2:80/tcp',
})

test('a port is held once, given back when disposed', () => {
  const ports = new PortReservations(range, holder())
  const held = ports.reserve(request([any], 0))
  assert.ok(held.port >= 61500 && held.port <= 61600)
  assert.throws(() => ports.reserve(request([loopback], held.port)), {
    message: `Bind for 127.0.0.1:${held.port} failed: port is already allocated`,
  })
  held[Symbol.dispose]()
  ports.reserve(request([loopback], held.port))[Symbol.dispose]()
})

test('different addresses may have the same port', () => {
  const ports = new PortReservations(range, holder())
  using first = ports.reserve(request([loopback], 0))
  using second = ports.reserve(request([other], first.port))
  assert.equal(second.port, first.port)
})

test('a range gives its first free port and ends', () => {
  const ports = new PortReservations(range, holder())
  using first = ports.reserve(request([other], 61610, 61611))
  using second = ports.reserve(request([other], 61610, 61611))
  assert.deepEqual([first.port, second.port], [61610, 61611])
  assert.throws(() => ports.reserve(request([other], 61610, 61611)), /all ports are allocated/)
})

test('a port that another program listens on is noticed, and a held one cannot be listened on', async () => {
  const ports = new PortReservations(range, holder())
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  assert.throws(() => ports.reserve(request([loopback], port)), {
    message: `failed to bind host port for 127.0.0.1:${port}:172.17.0.2:80/tcp: address already in use`,
  })
  server.close()
  await once(server, 'close')
  using held = ports.reserve(request([loopback], 0))
  const late = createServer().listen(held.port, '127.0.0.1')
  const [error] = await once(late, 'error')
  assert.equal((error as NodeJS.ErrnoException).code, 'EADDRINUSE')
})

test('a failed reservation of several addresses holds none', () => {
  const ports = new PortReservations(range, holder())
  using held = ports.reserve(request([other], 0))
  assert.throws(() => ports.reserve(request([loopback, other], held.port)))
  ports.reserve(request([loopback], held.port))[Symbol.dispose]()
})
