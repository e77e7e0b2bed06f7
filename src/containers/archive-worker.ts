/**
 * The worker thread of cp and export: steps into the container's view, does one job and ends. Bytes go through a
 * socket that blocks, so that a slow client slows the work and nothing piles up.
 */
import { lstatSync, readSync, realpathSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { enterMountView } from '../kernel/mount-view.ts'
import { fsPath } from '../lib/path-bytes.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import type { ArchiveJob, ArchiveReply } from './archive-job.ts'
import { packPath, packRoot } from './archive-pack.ts'
import { lookUpOwner, Unpacker } from './archive-unpack.ts'
import { archivePath, statPath } from './archive-view.ts'
import type { ContainerRoot } from './contract.ts'

const chunkBytes = 256 * 1024

function run(job: ArchiveJob, reply: (message: ArchiveReply) => void): void {
  enterMountView(job.root.directory, job.kind === 'export' ? [] : job.root.mounts)
  switch (job.kind) {
    case 'stat':
      reply({ kind: 'stat', ...statPath(archivePath(job.path)) })
      break
    case 'read': {
      const path = archivePath(job.path)
      const found = statPath(path)
      reply({ kind: 'stat', ...found })
      packPath(path, found.isDirectory, (bytes) => writeAll(job.fd, bytes))
      break
    }
    case 'export':
      packRoot((bytes) => writeAll(job.fd, bytes))
      break
    case 'extract':
      extract(job)
  }
  reply({ kind: 'done' })
}

function extract(job: ArchiveJob & { kind: 'extract' }): void {
  const directory = realpathSync.native(fsPath(archivePath(job.path)), { encoding: 'utf8' })
  if (!lstatSync(directory).isDirectory())
    throw new EngineError('invalid', 'extraction point is not a directory')
  checkWritable(job.root, directory)
  const owner = job.copyOwner && job.user !== '' ? lookUpOwner(job.user) : undefined
  const unpacker = new Unpacker({
    directory,
    noOverwriteDirNonDir: job.noOverwriteDirNonDir,
    ...(owner === undefined ? {} : { owner }),
  })
  const buffer = Buffer.allocUnsafeSlow(chunkBytes)
  for (;;) {
    const count = readSync(job.fd, buffer)
    if (count === 0) break
    unpacker.push(buffer.subarray(0, count))
  }
  unpacker.finish()
}

/** A path in a volume needs a writable volume, any other one a writable root. */
function checkWritable(root: ContainerRoot, directory: string): void {
  const volumes = root.mounts.filter(
    ({ destination }) =>
      directory === destination || directory.startsWith(`${destination.replace(/\/$/, '')}/`),
  )
  const deepest = volumes.sort((a, b) => b.destination.length - a.destination.length)[0]
  if (deepest === undefined) {
    if (!root.writable) throw new EngineError('invalid', 'container rootfs is marked read-only')
  } else if (!deepest.writable) throw new EngineError('invalid', 'mounted volume is marked read-only')
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done)
}

function start(port: MessagePort, job: ArchiveJob): void {
  const reply = (message: ArchiveReply) => port.postMessage(message)
  try {
    run(job, reply)
  } catch (error) {
    const kind = error instanceof EngineError ? error.kind : 'internal'
    reply({ kind: 'failed', error: { kind, code: errorCode(error) ?? '', message: errorMessage(error) } })
  }
}

if (parentPort !== null) {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made by archive.ts beside this file
  start(parentPort, workerData as ArchiveJob)
}
