/**
 * Asks a resolver as fast as it answers: `dns-client.ts NAME ADDRESS SECONDS WINDOW`. Prints queries per second and
 * the median latency in microseconds, as JSON. To be run inside a container's network namespace.
 */
import { createSocket } from 'node:dgram'
import { median } from './measure.ts'

const [name = '', address = '127.0.0.11', seconds = '2', window = '32'] = process.argv.slice(2)

function question(): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const header = Buffer.from('000001000001000000000000', 'hex')
  return Buffer.concat([header, ...labels, Buffer.from('0000010001', 'hex')])
}

const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
const query = question()
const sent = new Map<number, number>()
const latencies: number[] = []
let id = 0
let answered = 0

function send(): void {
  id = (id + 1) & 0xffff
  const message = Buffer.from(query)
  message.writeUInt16BE(id, 0)
  sent.set(id, performance.now())
  socket.send(message, 53, address)
}

socket.on('message', (message) => {
  const began = sent.get(message.readUInt16BE(0))
  if (began === undefined) return
  if (message.readUInt16BE(6) === 0) throw new Error(`${name} has no address`)
  sent.delete(message.readUInt16BE(0))
  if (latencies.length < 100_000) latencies.push((performance.now() - began) * 1000)
  answered += 1
  send()
})
const start = performance.now()
for (let n = 0; n < Number(window); n++) send()
setTimeout(
  () => {
    const rate = answered / ((performance.now() - start) / 1000)
    console.log(JSON.stringify({ rate, latencyUs: median(latencies) }))
    socket.close()
  },
  Number(seconds) * 1000,
)
