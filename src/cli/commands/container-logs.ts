/** `logs`: what a container has written. */
import { FrameSplitter } from '../../client/multiplex.ts'
import { flag } from '../../lib/flags.ts'
import type { ContainerInspect } from '../../spec/container-types.ts'
import { defineCommand } from '../command.ts'
import { apiTime } from '../api-time.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    details: flag.bool('Show the attributes that the log driver was given'),
    follow: flag.bool('Go on with what is written from now on', { short: 'f' }),
    since: flag.string('From this time on (2013-01-02T13:23:37Z, or 42m ago)'),
    tail: flag.string('How many of the last lines to show', { short: 'n', initial: 'all' }),
    timestamps: flag.bool('Show when each line was written', { short: 't' }),
    until: flag.string('Up to this time (2013-01-02T13:23:37Z, or 42m ago)'),
  },
  count: { min: 1, max: 1 },
  completes: ['container'],
  run: async (cli, { flags, args }) => {
    const path = `/containers/${encodeURIComponent(args[0] ?? '')}`
    const { Config, Id } = await cli.client.json<ContainerInspect>('GET', `${path}/json`)
    const response = await cli.client.request('GET', `/containers/${Id}/logs`, {
      query: {
        stdout: true,
        stderr: true,
        follow: flags.follow,
        since: apiTime(flags.since, 'since'),
        until: apiTime(flags.until, 'until'),
        timestamps: flags.timestamps,
        details: flags.details,
        tail: flags.tail,
      },
    })
    const frames = new FrameSplitter()
    for await (const chunk of response) {
      if (Config.Tty === true) cli.stdout.write(chunk)
      else {
        frames.push(chunk, (stream, payload) => {
          if (stream === 'error') throw new Error(`error from daemon in stream: ${payload.toString()}`)
          ;(stream === 'stderr' ? cli.stderr : cli.stdout).write(payload)
        })
      }
    }
  },
})
