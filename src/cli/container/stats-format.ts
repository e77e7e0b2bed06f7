/** The rows of `stats`, and how they come from the engine's samples. */
import { bytesSize, humanSize } from '../../lib/units.ts'
import type { ListFormat } from '../format.ts'
import { shortId } from './list-format.ts'

type CpuSample = {
  cpu_usage?: { total_usage?: number; percpu_usage?: number[] | null }
  system_cpu_usage?: number
  online_cpus?: number
}

/** A sample of `GET /containers/{id}/stats`: the fields that are shown. */
export type StatsSample = {
  id?: string
  name?: string
  os_type?: string
  cpu_stats?: CpuSample
  precpu_stats?: CpuSample
  memory_stats?: { usage?: number; limit?: number; stats?: Record<string, number> }
  pids_stats?: { current?: number }
  blkio_stats?: { io_service_bytes_recursive?: { op: string; value: number }[] | null }
  networks?: Record<string, { rx_bytes?: number; tx_bytes?: number }>
}

/** Numbers of one sample. */
export type StatsNumbers = {
  id: string
  name: string
  cpuPercent: number
  memory: number
  memoryLimit: number
  received: number
  sent: number
  read: number
  written: number
  pids: number
}

/** A container's row; `sample` is undefined until the first one. */
export type StatsRow = {
  container: string
  isFilled: boolean
  isGone: boolean
  error: string
  sample: StatsNumbers | undefined
}

function cpuPercent(now: CpuSample | undefined, before: CpuSample | undefined): number {
  const cpu = (now?.cpu_usage?.total_usage ?? 0) - (before?.cpu_usage?.total_usage ?? 0)
  const system = (now?.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0)
  const count = now?.online_cpus || now?.cpu_usage?.percpu_usage?.length || 0
  return system > 0 && cpu > 0 ? (cpu / system) * count * 100 : 0
}

/** Memory without the page cache that can be dropped at once: cgroup v1 and v2 name it differently. */
function memoryUsed(memory: StatsSample['memory_stats']): number {
  const usage = memory?.usage ?? 0
  for (const key of ['total_inactive_file', 'inactive_file']) {
    const inactive = memory?.stats?.[key]
    if (inactive !== undefined && inactive < usage) return usage - inactive
  }
  return usage
}

function sum(values: readonly (number | undefined)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0)
}

/** The numbers of a sample; `before` where the engine gives no earlier one with it. */
export function readStats(sample: StatsSample, before: StatsSample | undefined): { sample: StatsNumbers } {
  const networks = Object.values(sample.networks ?? {})
  const blocks = sample.blkio_stats?.io_service_bytes_recursive ?? []
  const operation = (letter: string) =>
    sum(blocks.filter(({ op }) => op.toLowerCase().startsWith(letter)).map(({ value }) => value))
  const earlier = sample.precpu_stats?.system_cpu_usage ? sample.precpu_stats : before?.cpu_stats
  return {
    sample: {
      id: sample.id ?? '',
      name: (sample.name ?? '').replace(/^\//, ''),
      cpuPercent: cpuPercent(sample.cpu_stats, earlier ?? sample.precpu_stats),
      memory: memoryUsed(sample.memory_stats),
      memoryLimit: sample.memory_stats?.limit ?? 0,
      received: sum(networks.map(({ rx_bytes }) => rx_bytes)),
      sent: sum(networks.map(({ tx_bytes }) => tx_bytes)),
      read: operation('r'),
      written: operation('w'),
      pids: sample.pids_stats?.current ?? 0,
    },
  }
}

const unknown = '--'

/** The fields of a row. */
export function statsList(options: { truncate: boolean }): ListFormat<StatsRow> {
  const of = (show: (numbers: StatsNumbers) => string, otherwise: string) => (row: StatsRow) =>
    row.sample === undefined ? otherwise : show(row.sample)
  const percent = (value: number) => `${value.toFixed(2)}%`
  return {
    type: '*container.statsContext',
    fields: {
      Container: { header: 'CONTAINER', value: (row) => row.container },
      ID: {
        header: 'CONTAINER ID',
        value: (row) => {
          const id = row.sample?.id || row.container
          return options.truncate ? shortId(id) : id
        },
      },
      Name: { header: 'NAME', value: of(({ name }) => name || unknown, unknown) },
      CPUPerc: { header: 'CPU %', value: of((row) => percent(row.cpuPercent), unknown) },
      MemUsage: {
        header: 'MEM USAGE / LIMIT',
        value: of(
          (row) => `${bytesSize(row.memory)} / ${bytesSize(row.memoryLimit)}`,
          `${unknown} / ${unknown}`,
        ),
      },
      MemPerc: {
        header: 'MEM %',
        value: of((row) => percent(row.memoryLimit > 0 ? (row.memory / row.memoryLimit) * 100 : 0), unknown),
      },
      NetIO: {
        header: 'NET I/O',
        value: of((row) => `${humanSize(row.received, 3)} / ${humanSize(row.sent, 3)}`, unknown),
      },
      BlockIO: {
        header: 'BLOCK I/O',
        value: of((row) => `${humanSize(row.read, 3)} / ${humanSize(row.written, 3)}`, unknown),
      },
      PIDs: { header: 'PIDS', value: of((row) => String(row.pids), unknown) },
    },
    table:
      '{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}',
  }
}
