/** The worker thread of layers: see `layer-jobs.ts`. */
import { serveJobs } from '../lib/worker-jobs.ts'
import { runLayerJob } from './layer-jobs.ts'

serveJobs(runLayerJob)
