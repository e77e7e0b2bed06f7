/** The worker's side of `worker-pool.ts`: one job at a time, as they come. */
import { parentPort } from 'node:worker_threads'
import { errorCode } from '../spec/errors.ts'
import type { WorkerAnswer } from './worker-pool.ts'

/** Answers every job with what `handle` gives or throws. Call it once, in a worker's main file. */
export function serveJobs(handle: (job: never) => unknown): void {
  const port = parentPort
  if (port === null) throw new Error('not a worker thread')
  const answer = (message: WorkerAnswer) => port.postMessage(message)
  port.on('message', (job: unknown) => {
    void (async () => {
      try {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the pool sends only its own jobs
        answer({ kind: 'result', value: await handle(job as never) })
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
