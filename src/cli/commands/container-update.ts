/** `update`: changes limits and restart policy. */
import { flag } from '../../lib/flags.ts'
import type { ContainerCreated } from '../../spec/container-types.ts'
import { ramInBytes } from '../../lib/units.ts'
import { defineCommand } from '../command.ts'
import { restartPolicy } from '../container/create-request.ts'
import { parseCpus } from '../container/resources.ts'
import { CliError, failureOf } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    'blkio-weight': flag.uint(16, 'Relative weight of block I/O, 10 to 1000, or 0', { shownDefault: '0' }),
    'cpu-period': flag.int('Period of the CPU quota, in microseconds'),
    'cpu-quota': flag.int('CPU time within a period, in microseconds'),
    'cpu-rt-period': flag.int('Period of the real-time scheduler, in microseconds'),
    'cpu-rt-runtime': flag.int('Real-time CPU time within a period, in microseconds'),
    'cpu-shares': flag.int('Relative weight of CPU time', { short: 'c' }),
    cpus: flag.custom({ type: 'decimal', initial: 0, parse: parseCpus }, 'Number of CPUs'),
    'cpuset-cpus': flag.string('CPUs to run on (0-3, 0,1)'),
    'cpuset-mems': flag.string('Memory nodes to use (0-3, 0,1)'),
    memory: flag.bytes('Most memory', { short: 'm' }),
    'memory-reservation': flag.bytes('Memory that is aimed at under pressure'),
    'memory-swap': flag.custom(
      { type: 'bytes', initial: 0, parse: (text: string) => (text === '-1' ? -1 : ramInBytes(text)) },
      'Most memory and swap together; -1 for unlimited swap',
    ),
    'kernel-memory': flag.bytes('Most kernel memory', { hidden: true }),
    'pids-limit': flag.int('Most processes; -1 for unlimited'),
    restart: flag.string('When to start the container again after it has ended'),
  },
  count: { min: 1 },
  completes: ['container'],
  run: async (cli, { flags, given, args }) => {
    if (given.size === 0) throw new CliError('you must provide one or more flags when using this command')
    const body = {
      BlkioWeight: flags['blkio-weight'],
      CpuPeriod: flags['cpu-period'],
      CpuQuota: flags['cpu-quota'],
      CpuRealtimePeriod: flags['cpu-rt-period'],
      CpuRealtimeRuntime: flags['cpu-rt-runtime'],
      CpuShares: flags['cpu-shares'],
      NanoCpus: flags.cpus,
      CpusetCpus: flags['cpuset-cpus'],
      CpusetMems: flags['cpuset-mems'],
      Memory: flags.memory,
      MemoryReservation: flags['memory-reservation'],
      MemorySwap: flags['memory-swap'],
      ...(given.has('pids-limit') ? { PidsLimit: flags['pids-limit'] } : {}),
      RestartPolicy: restartPolicy(flags.restart),
    }
    const warnings: string[] = []
    const errors: string[] = []
    for (const name of args) {
      try {
        const path = `/containers/${encodeURIComponent(name)}/update`
        const result = await cli.client.json<ContainerCreated>('POST', path, { json: body })
        cli.print(name)
        warnings.push(...(result.Warnings ?? []))
      } catch (error) {
        errors.push(failureOf(error).message)
      }
    }
    if (warnings.length > 0) cli.print(warnings.join('\n'))
    if (errors.length > 0) throw new CliError(errors.join('\n'))
  },
})
