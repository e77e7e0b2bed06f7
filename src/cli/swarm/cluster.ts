/** `swarm`. */
import { flag } from '../../lib/flags.ts'
import type { SystemInfo } from '../../spec/system-types.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'
import { plainFlags } from '../plain-flags.ts'
import type { PlainFlag } from '../plain-flags.ts'
import { needManager } from './manager.ts'

const advertise: PlainFlag = [
  'string',
  'Address that other nodes reach this one at (ADDRESS or INTERFACE[:PORT])',
]
const availability = flag.string('Whether the node takes tasks ("active", "pause", "drain")', {
  initial: 'active',
})
const dataPath: PlainFlag = ['string', 'Address or interface for the traffic of containers']
const listen = {
  ...flag.string('Address to listen on (ADDRESS or INTERFACE[:PORT])', { initial: '0.0.0.0:2377' }),
}
const listenAddress = { ...listen, type: 'node-addr', shownDefault: '0.0.0.0:2377' }
const certificateExpiry = flag.custom(
  { type: 'duration', initial: '', parse: (text) => text },
  'How long certificates of nodes are valid',
  { shownDefault: '2160h0m0s' },
)
const settings = {
  'cert-expiry': certificateExpiry,
  'dispatcher-heartbeat': flag.custom(
    { type: 'duration', initial: '', parse: (text) => text },
    'Time between signs of life of the nodes',
    { shownDefault: '5s' },
  ),
  ...plainFlags({
    autolock: ['', 'Ask for a key when a manager starts again'],
    'external-ca': ['external-ca', 'Service that signs certificates'],
    'max-snapshots': ['uint', 'Snapshots of the Raft log to keep beside the last'],
  }),
  'snapshot-interval': {
    ...flag.uint(64, 'Entries of the Raft log between snapshots'),
    shownDefault: '10000',
  },
  'task-history-limit': flag.int('Ended tasks to remember', { initial: 5 }),
}
const none = { min: 0, max: 0 }
const quiet: PlainFlag = ['', 'Show only the value itself', 'q']

/** What the engine says of its part in a swarm. */
async function nodeState(cli: Cli): Promise<string> {
  const info = await cli.client.json<SystemInfo>('GET', '/info')
  return info.Swarm.LocalNodeState
}

/** Joining and founding take a description of the node that this client does not make yet. */
async function beginSwarm(cli: Cli, path: string): Promise<never> {
  const state = await nodeState(cli)
  if (state !== 'inactive') {
    throw new CliError(
      'Error response from daemon: This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
    )
  }
  await cli.client.json('POST', path, { json: {} })
  throw new CliError(`the engine began a swarm, which ${cli.program} cannot manage yet`)
}

/** Commands of `swarm`. */
export const swarmCommands = {
  ca: defineCommand({
    flags: {
      ...plainFlags({
        'ca-cert': ['pem-file', 'Certificate of the new authority'],
        'ca-key': ['pem-file', 'Key of the new authority'],
        detach: ['', 'Do not wait until all certificates are new', 'd'],
        'external-ca': ['external-ca', 'Service that signs certificates'],
        quiet: ['', 'Show no progress', 'q'],
        rotate: ['', 'Replace the authority; without a certificate and a key, by a new one'],
      }),
      'cert-expiry': certificateExpiry,
    },
    count: none,
    run: async (cli) => needManager(cli, '/swarm'),
  }),
  init: defineCommand({
    flags: {
      ...settings,
      availability,
      'listen-addr': listenAddress,
      ...plainFlags({
        'advertise-addr': advertise,
        'data-path-addr': dataPath,
        'data-path-port': ['uint32', 'Port for the traffic of containers (1024 to 49151)'],
        'default-addr-pool': ['ipNetSlice', 'Ranges that overlay networks take their subnets from'],
        'force-new-cluster': ['', 'Make a swarm of one from what this node remembers'],
      }),
      'default-addr-pool-mask-length': flag.custom(
        { type: 'uint32', initial: '', parse: (text) => text },
        'Prefix length of those subnets',
        { shownDefault: '24' },
      ),
    },
    count: none,
    run: async (cli) => beginSwarm(cli, '/swarm/init'),
  }),
  join: defineCommand({
    flags: {
      availability,
      'listen-addr': listenAddress,
      ...plainFlags({
        'advertise-addr': advertise,
        'data-path-addr': dataPath,
        token: ['string', 'Token that lets the node in'],
      }),
    },
    count: { min: 1, max: 1 },
    run: async (cli) => beginSwarm(cli, '/swarm/join'),
  }),
  'join-token': defineCommand({
    flags: plainFlags({ quiet, rotate: ['', 'Make a new token first'] }),
    count: { min: 1, max: 1 },
    run: async (cli, { args: [role = ''] }) => {
      if (role !== 'worker' && role !== 'manager') throw new CliError(`unknown role ${role}`)
      return needManager(cli, '/swarm')
    },
  }),
  leave: defineCommand({
    flags: { force: flag.bool('Leave even as a manager, and ignore warnings', { short: 'f' }) },
    count: none,
    run: async (cli, { flags }) => {
      await cli.client.send('POST', '/swarm/leave', { query: { force: flags.force ? '1' : undefined } })
      cli.print('Node left the swarm.')
    },
  }),
  unlock: defineCommand({
    flags: {},
    count: none,
    run: async (cli) => {
      const state = await nodeState(cli)
      if (state === 'inactive') throw new CliError('Error: This node is not part of a swarm')
      if (state !== 'locked') throw new CliError('Error: swarm is not locked')
      return needManager(cli, '/swarm')
    },
  }),
  'unlock-key': defineCommand({
    flags: plainFlags({ quiet, rotate: ['', 'Make a new key first'] }),
    count: none,
    run: async (cli, { given }) => {
      try {
        return await needManager(cli, given.has('rotate') ? '/swarm' : '/swarm/unlockkey')
      } catch (error) {
        if (given.has('rotate')) throw error
        throw new CliError(`could not fetch unlock key: ${failureOf(error).message}`, { cause: error })
      }
    },
  }),
  update: defineCommand({ flags: settings, count: none, run: async (cli) => needManager(cli, '/swarm') }),
}
