/** The worker's side of `worker-pool.ts`: one job at a time, as they come. */
import { parentPort, workerData } from 'node:worker_threads'
import { errorCode } from '../spec/errors.ts'
import type { WorkerAnswer } from './worker-pool.ts'

/** What a job can ask of its surroundings. */
export type JobContext = {
  /** Throws when the job is no longer wanted. Cheap: call it between any two pieces of work. */
  check(): void
}

/** Answers every job with what `handle` gives or throws. Call it once, in a worker's main file. */
export function serveJobs(handle: (job: never, context: JobContext) => unknown): void {
  const port = parentPort
  if (port === null) throw new Error('not a worker thread')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the pool gives every worker one
  const { stop } = workerData as { stop: Int32Array }
  const context: JobContext = {
    check: () => {
      if (Atomics.load(stop, 0) !== 0) throw new Error('aborted')
    },
  }
  const answer = (message: WorkerAnswer) => port.postMessage(message)
  port.on('message', (job: unknown) => {
    void (async () => {
      try {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the pool sends only its own jobs
        answer({ kind: 'result', value: await handle(job as never, context) })
      } catch (error) {
        const code = errorCode(error)
        answer({ kind: 'error', error: cloneable(error), ...(code === undefined ? {} : { code }) })
      }
    })()
  })
}

/** A plain Error with the same text: classes do not survive the way between threads. */
function cloneable(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  const plain = new Error(error.message)
  plain.name = error.name
  if (error.stack !== undefined) plain.stack = error.stack
  return plain
}
