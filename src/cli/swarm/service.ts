/** `service`. Most flags of `create` and `update` are the same; lists of the one are pairs of -add and -rm of the other. */
import { flag } from '../../lib/flags.ts'
import type { Flags } from '../../lib/flags.ts'
import { CliError } from '../errors.ts'
import { defineCommand } from '../command.ts'
import { plainFlags } from '../plain-flags.ts'
import type { PlainFlag } from '../plain-flags.ts'
import { needManager, needManagerForEach } from './manager.ts'
import { asking, inspecting, listFlags, onEach, taskFlags } from './objects.ts'
import { failureOf } from '../errors.ts'

const quiet: PlainFlag = ['', 'Show no progress', 'q']
const detach: PlainFlag = ['', 'Do not wait until the service is settled', 'd']

/** What both take as it is. */
const common: Readonly<Record<string, PlainFlag>> = {
  'credential-spec': ['credential-spec', 'Credentials of a managed account (Windows only)'],
  detach,
  'endpoint-mode': ['string', 'How names resolve: to one virtual address ("vip") or to all tasks ("dnsrr")'],
  entrypoint: ['command', "Entry point instead of the image's"],
  'health-cmd': ['string', 'Command that checks the health'],
  'health-interval': ['duration', 'Time between checks (ms|s|m|h)'],
  'health-retries': ['int', 'Failures in a row that mean "unhealthy"'],
  'health-start-interval': ['duration', 'Time between checks during the start period (ms|s|m|h)'],
  'health-start-period': ['duration', 'Time in which failures do not count (ms|s|m|h)'],
  'health-timeout': ['duration', 'Time a check may take (ms|s|m|h)'],
  hostname: ['string', 'Host name in the containers'],
  init: ['', 'Run an init in each container that passes signals on and reaps'],
  isolation: ['string', 'Isolation of the containers (Windows only)'],
  'limit-cpu': ['decimal', 'Processors a task may use'],
  'limit-memory': ['bytes', 'Memory a task may use'],
  'limit-pids': ['int', 'Processes a task may have (0: any number)'],
  'log-driver': ['string', 'Driver for the output'],
  'log-opt': ['list', 'Option of the log driver'],
  'max-concurrent': ['uint', 'Tasks of a job that run at once'],
  'memory-swap': ['bytes', 'Swap a task may use (-1: without limit)'],
  'memory-swappiness': ['int', 'How readily memory is swapped out (0 to 100)'],
  'no-healthcheck': ['', "Do not run the image's health check"],
  'no-resolve-image': ['', 'Do not ask the registry for the digest'],
  'oom-score-adj': ['int', 'How likely the kernel ends a task when memory runs out (-1000 to 1000)'],
  quiet,
  'read-only': ['', "Mount the containers' root file systems read-only"],
  replicas: ['uint', 'How many tasks there are to be'],
  'replicas-max-per-node': ['uint', 'Most tasks on one node (0: any number)'],
  'reserve-cpu': ['decimal', 'Processors to set aside'],
  'reserve-memory': ['bytes', 'Memory to set aside'],
  'restart-condition': ['string', 'When to start a task anew ("none", "on-failure", "any")'],
  'restart-delay': ['duration', 'Pause before that (ns|us|ms|s|m|h)'],
  'restart-max-attempts': ['uint', 'How often at most'],
  'restart-window': ['duration', 'Time over which attempts count (ns|us|ms|s|m|h)'],
  'rollback-delay': ['duration', 'Pause between tasks that are rolled back (ns|us|ms|s|m|h)'],
  'rollback-failure-action': ['string', 'What a failed rollback leads to ("pause", "continue")'],
  'rollback-max-failure-ratio': ['float', 'Share of failures that a rollback bears'],
  'rollback-monitor': ['duration', 'How long to watch a task after its rollback (ns|us|ms|s|m|h)'],
  'rollback-order': ['string', 'Order of a rollback ("start-first", "stop-first")'],
  'rollback-parallelism': ['uint', 'Tasks to roll back at once (0: all)'],
  'stop-grace-period': ['duration', 'Time to stop before being killed (ns|us|ms|s|m|h)'],
  'stop-signal': ['string', 'Signal that stops a container'],
  tty: ['', 'Give the containers a terminal', 't'],
  'update-delay': ['duration', 'Pause between tasks that are updated (ns|us|ms|s|m|h)'],
  'update-failure-action': ['string', 'What a failed update leads to ("pause", "continue", "rollback")'],
  'update-max-failure-ratio': ['float', 'Share of failures that an update bears'],
  'update-monitor': ['duration', 'How long to watch a task after its update (ns|us|ms|s|m|h)'],
  'update-order': ['string', 'Order of an update ("start-first", "stop-first")'],
  'update-parallelism': ['uint', 'Tasks to update at once (0: all)'],
  user: ['string', 'User, and group if wanted, as USER[:GROUP]', 'u'],
  'with-registry-auth': ['', 'Let the nodes have the login at the registry'],
  workdir: ['string', 'Working directory in the containers', 'w'],
}

/** Lists: name, its type, what an entry is, and the short name that `create` has for it. */
const lists: readonly (readonly [name: string, type: string, what: string, short?: string])[] = [
  ['config', 'config', 'config to give the service'],
  ['constraint', 'list', 'condition that nodes must meet'],
  ['container-label', 'list', 'label of the containers'],
  ['dns', 'list', 'name server'],
  ['dns-option', 'list', 'resolver option'],
  ['dns-search', 'list', 'search domain'],
  ['env', 'list', 'environment variable', 'e'],
  ['generic-resource', 'list', 'resource of some other kind'],
  ['group', 'list', 'further group of the user'],
  ['host', 'list', 'line of /etc/hosts, as HOST:IP'],
  ['label', 'list', 'label of the service', 'l'],
  ['mount', 'mount', 'mount'],
  ['network', 'network', 'network to join'],
  ['placement-pref', 'pref', 'preference in placing tasks'],
  ['publish', 'port', 'port to publish', 'p'],
  ['secret', 'secret', 'secret to give the service'],
  ['sysctl', 'list', 'kernel setting'],
  ['ulimit', 'ulimit', 'limit of processes'],
]

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

function createLists(): Flags {
  return plainFlags(
    Object.fromEntries(
      lists.map(([name, type, what, short]) => [
        name,
        short === undefined ? ([type, capital(what)] as const) : ([type, capital(what), short] as const),
      ]),
    ),
  )
}

function updateLists(): Flags {
  const pairs = lists.flatMap(([name, type, what]): [string, PlainFlag][] => [
    [`${name}-add`, [type, `Add or change: ${what}`]],
    [`${name}-rm`, [['publish', 'placement-pref'].includes(name) ? type : 'list', `Take away: ${what}`]],
  ])
  return plainFlags(Object.fromEntries(pairs))
}

const capabilities: Readonly<Record<string, PlainFlag>> = {
  'cap-add': ['list', 'Capability to add'],
  'cap-drop': ['list', 'Capability to drop'],
}

const one = { min: 1, max: 1 }

const create = defineCommand({
  flags: {
    ...plainFlags({
      ...common,
      ...capabilities,
      'env-file': ['list', 'File of environment variables'],
      mode: ['string', 'Kind of service ("replicated", "global", "replicated-job", "global-job")'],
      name: ['string', 'Name of the service'],
    }),
    ...createLists(),
  },
  count: { min: 1 },
  interspersed: false,
  run: async (cli) => needManager(cli, '/services'),
})

const scale = defineCommand({
  flags: plainFlags({ detach }),
  count: { min: 1 },
  run: async (cli, { args }) => {
    const messages: string[] = []
    for (const word of args) {
      const [name = '', replicas] = word.split('=')
      if (replicas === undefined) {
        const path = `${cli.program} service scale`
        throw new CliError(
          `invalid scale specifier '${word}'.\nSee '${path} --help'.\n\nUsage:  ${path} SERVICE=REPLICAS [SERVICE=REPLICAS...]\n\nChange how many tasks services have`,
        )
      }
      if (!/^\d+$/.test(replicas)) {
        messages.push(
          `${name}: invalid replicas value ${replicas}: strconv.ParseUint: parsing ${JSON.stringify(replicas)}: invalid syntax`,
        )
        continue
      }
      try {
        await needManager(cli, `/services/${encodeURIComponent(name)}`)
      } catch (error) {
        messages.push(`${name}: ${failureOf(error).message}`)
      }
    }
    throw new CliError(messages.join('\n'))
  },
})

/** Commands of `service`. */
export const serviceCommands = {
  create,
  inspect: inspecting('services'),
  logs: asking(
    {
      ...plainFlags({
        details: ['', 'Show the attributes that the log driver was given'],
        follow: ['', 'Go on with what is still to come', 'f'],
        'no-resolve': ['', 'Show ids instead of names'],
        'no-task-ids': ['', 'Leave out ids of tasks'],
        'no-trunc': ['', 'Shorten nothing'],
        raw: ['', 'Show the output as it is'],
        since: ['string', 'Show only what came after this time, or in this last while (42m)'],
        timestamps: ['', 'Show the time of each line', 't'],
      }),
      tail: flag.string('Number of lines from the end', { short: 'n', initial: 'all' }),
    },
    one,
    ([name = '']) => `/services/${encodeURIComponent(name)}`,
  ),
  ls: asking(listFlags, { min: 0, max: 0 }, () => '/services'),
  ps: asking(taskFlags, { min: 1 }, () => '/services'),
  rm: onEach('services'),
  rollback: asking(
    plainFlags({ detach, quiet }),
    one,
    ([name = '']) => `/services/${encodeURIComponent(name)}`,
  ),
  scale,
  update: defineCommand({
    flags: {
      ...plainFlags({
        ...common,
        ...capabilities,
        args: ['command', 'Arguments of the command'],
        force: ['', 'Replace the tasks even if nothing changes'],
        image: ['string', 'Image of the service'],
        rollback: ['', 'Go back to the configuration before this one'],
      }),
      ...updateLists(),
    },
    count: one,
    run: async (cli, { args }) => needManagerForEach(cli, args, '/services'),
  }),
}
