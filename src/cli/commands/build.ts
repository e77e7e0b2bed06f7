/** `build`: its flags are known, building is not there yet. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { plainFlags } from '../plain-flags.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    ...plainFlags({
      'add-host': ['list', 'Line of /etc/hosts during the build, as HOST:IP'],
      'build-arg': ['list', 'Value of an ARG'],
      'cache-from': ['strings', 'Image whose layers may serve'],
      'cgroup-parent': ['string', 'Cgroup that holds those of RUN'],
      compress: ['', 'Compress what is sent with gzip'],
      'cpu-period': ['int', 'Period of the CPU quota, in microseconds'],
      'cpu-quota': ['int', 'CPU time in a period, in microseconds'],
      'cpu-shares': ['int', 'Weight among others that want the CPU', 'c'],
      'cpuset-cpus': ['string', 'Processors to run on (0-3, 0,1)'],
      'cpuset-mems': ['string', 'Memory nodes to use (0-3, 0,1)'],
      file: ['string', 'The Dockerfile (PATH/Dockerfile if not given)', 'f'],
      'force-rm': ['', 'Remove intermediate containers in any case'],
      iidfile: ['string', "File to write the image's id to"],
      isolation: ['string', 'Isolation of containers (Windows only)'],
      label: ['list', 'Label of the image'],
      memory: ['bytes', 'Memory limit', 'm'],
      'memory-swap': ['bytes', 'Limit of memory and swap together (-1: without limit)'],
      'no-cache': ['', 'Do every step anew'],
      platform: ['string', 'Platform to build for'],
      pull: ['', 'Look for newer base images'],
      quiet: ['', 'Print the id only', 'q'],
      'security-opt': ['strings', 'Security option'],
      'shm-size': ['bytes', 'Size of /dev/shm'],
      squash: ['', 'Make one layer of the new ones'],
      tag: ['list', 'Name of the image, as NAME:TAG', 't'],
      target: ['string', 'Stage to build'],
    }),
    'disable-content-trust': flag.bool('Take images without signatures', { initial: true }),
    network: flag.string('Network of RUN', { initial: 'default' }),
    rm: flag.bool('Remove intermediate containers after a build that worked', { initial: true }),
    ulimit: { ...flag.list('Limit of processes'), type: 'ulimit', shownDefault: '[]' },
  },
  count: { min: 1, max: 1 },
  completes: ['file'],
  run: async (cli) => {
    throw new CliError(
      `${cli.program} cannot build images yet: build elsewhere and bring them by "${cli.program} load" or from a registry`,
    )
  },
})
