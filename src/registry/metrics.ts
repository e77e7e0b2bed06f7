/** Counters in the text format of Prometheus. */
import type { RegistryIndex } from './registry-index.ts'
import type { Served } from './server.ts'

const bounds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120]

type Histogram = { counts: number[]; sum: number; count: number }

/** See the file's head. */
export class Metrics {
  readonly #requests = new Map<string, number>()
  readonly #durations = new Map<string, Histogram>()
  readonly #events = new Map<string, number>()
  #sentBytes = 0

  /** Counts a request. */
  served({ method, route, status, ms, bytes }: Served): void {
    // Methods come from clients: only known ones become a label.
    const known = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(method) ? method : 'other'
    add(this.#requests, `method="${known}",route="${route}",status="${status}"`, 1)
    this.#sentBytes += bytes
    let histogram = this.#durations.get(route)
    if (histogram === undefined) {
      histogram = { counts: bounds.map(() => 0), sum: 0, count: 0 }
      this.#durations.set(route, histogram)
    }
    const seconds = ms / 1000
    histogram.sum += seconds
    histogram.count += 1
    for (const [index, bound] of bounds.entries()) {
      if (seconds <= bound) histogram.counts[index] = (histogram.counts[index] ?? 0) + 1
    }
  }

  /** Counts something that happened. */
  event(action: string, kind: string): void {
    add(this.#events, `action="${action}",kind="${kind}"`, 1)
  }

  /** All of it as text. */
  text(index: RegistryIndex): string {
    const lines: string[] = []
    const family = (name: string, type: string, samples: Iterable<[string, number]>) => {
      lines.push(`# TYPE ${name} ${type}`)
      for (const [labels, value] of samples)
        lines.push(`${name}${labels === '' ? '' : `{${labels}}`} ${value}`)
    }
    family('registry_http_requests_total', 'counter', this.#requests)
    family('registry_http_sent_bytes_total', 'counter', [['', this.#sentBytes]])
    family('registry_events_total', 'counter', this.#events)
    lines.push('# TYPE registry_http_request_duration_seconds histogram')
    for (const [route, histogram] of this.#durations) lines.push(...histogramLines(route, histogram))
    const count = (sql: string) => Number(index.database.get(sql)?.['n'] ?? 0)
    for (const [name, sql] of gauges) family(name, 'gauge', [['', count(sql)]])
    return `${lines.join('\n')}\n`
  }
}

const gauges = [
  ['registry_repositories', 'SELECT count(*) AS n FROM repositories'],
  ['registry_tags', 'SELECT count(*) AS n FROM tags'],
  ['registry_manifests', 'SELECT count(*) AS n FROM manifests'],
  ['registry_blobs', 'SELECT count(*) AS n FROM blobs'],
  ['registry_blob_bytes', 'SELECT coalesce(sum(size), 0) AS n FROM blobs'],
  ['registry_uploads_open', 'SELECT count(*) AS n FROM uploads'],
  ['registry_journal_entries', 'SELECT count(*) AS n FROM journal'],
  ['registry_webhook_queue', 'SELECT count(*) AS n FROM webhook_queue'],
] as const

function histogramLines(route: string, { counts, sum, count }: Histogram): string[] {
  const name = 'registry_http_request_duration_seconds'
  return [
    ...bounds.map((bound, index) => `${name}_bucket{route="${route}",le="${bound}"} ${counts[index] ?? 0}`),
    `${name}_bucket{route="${route}",le="+Inf"} ${count}`,
    `${name}_sum{route="${route}"} ${sum}`,
    `${name}_count{route="${route}"} ${count}`,
  ]
}

function add(counters: Map<string, number>, labels: string, by: number): void {
  counters.set(labels, (counters.get(labels) ?? 0) + by)
}
