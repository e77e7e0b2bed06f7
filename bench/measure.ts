/** Figures: medians of interleaved runs with idle gaps between them, because these machines are noisy. */
import type { Engine } from './engines.ts'

/** The middle of the values. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

/** What is measured on one engine: answers the figure of one run. */
export type Sample = (engine: Engine) => number | Promise<number>

/** Runs the sample on every engine in turn, A B C A B C ..., after one warm-up each. Medians by engine name. */
export async function interleaved(
  engines: Engine[],
  runs: number,
  sample: Sample,
): Promise<Map<string, number>> {
  const figures = new Map<string, number[]>(engines.map((engine) => [engine.name, []]))
  for (let run = -1; run < runs; run++) {
    for (const engine of engines) {
      await pause(150)
      const figure = await sample(engine)
      if (run >= 0) figures.get(engine.name)?.push(figure)
    }
  }
  return new Map([...figures].map(([name, values]) => [name, median(values)]))
}

/** Lets the machine come to rest; hot loops hide costs that a user would see. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** One line of the report. A ratio is Wharf's figure against the other engine's. */
export type Line = { what: string; unit: string; figures: Map<string, number>; target: string; good: boolean }

/** Wharf's figure divided by another engine's. */
export function ratio(figures: Map<string, number>, other: string): number {
  return (figures.get('wharf') ?? Number.NaN) / (figures.get(other) ?? Number.NaN)
}

/** Prints the report as a Markdown table. */
export function report(lines: Line[]): string {
  const rows = lines.map(({ what, unit, figures, target, good }) => {
    const cells = ['wharf', 'docker', 'podman'].map((name) => {
      const figure = figures.get(name)
      return figure === undefined ? '-' : figure.toFixed(figure < 10 ? 2 : 0)
    })
    const ratios = ['docker', 'podman'].map((name) => {
      const value = ratio(figures, name)
      return Number.isNaN(value) ? '-' : value.toFixed(2)
    })
    return `| ${[what, unit, ...cells, ...ratios, target, good ? 'met' : 'NOT MET'].join(' | ')} |`
  })
  return [
    '| what | unit | wharf | docker | podman | wharf/docker | wharf/podman | target | |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}
