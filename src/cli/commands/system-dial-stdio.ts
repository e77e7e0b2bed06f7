/** `system dial-stdio`: joins stdin and stdout to a connection with the engine; what runs at the far end of `ssh://`. */
import type { Connection } from '../../client/connection.ts'
import { defineCommand } from '../command.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 0, max: 0 },
  run: async (cli) => {
    const stream = await cli.client.dial()
    await join(stream)
    return 0
  },
})

/** The end of input ends only our half; the engine's end is the end. */
async function join(stream: Connection): Promise<void> {
  const { stdin, stdout } = process
  const closed = new Promise<void>((resolve) => stream.once('close', resolve))
  stream.on('error', () => stream.destroy())
  stdout.on('error', () => stream.destroy())
  stdin.on('data', (chunk: Buffer) => {
    if (!stream.write(chunk)) stdin.pause()
  })
  stream.on('drain', () => stdin.resume())
  stdin.once('end', () => stream.end())
  stdin.once('error', () => stream.end())
  stream.on('data', (chunk: Buffer) => {
    if (!stdout.write(chunk)) stream.pause()
  })
  stdout.on('drain', () => stream.resume())
  stream.resume()
  await closed
  stdin.pause()
}
