/** `POST /containers/x/attach`: streams of running containers, and of those that are about to be started. */
import { EngineError } from '../spec/errors.ts'
import { AttachStream } from './attach-stream.ts'
import type { Container } from './container.ts'
import type { AttachedStream, AttachRequest } from './contract.ts'
import type { Core } from './core.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import { requireNotRestarting } from './stop.ts'

/**
 * Attaches a client. On a container that does not run, the stream waits for the next start. Refusals name the container
 * as the client did.
 */
export async function attachTo(
  core: Core,
  container: Container,
  reference: string,
  options: AttachRequest,
): Promise<AttachedStream> {
  const keys = parseDetachKeys(options.detachKeys)
  const { Tty, OpenStdin } = container.record.config
  if (container.state.paused) {
    throw new EngineError('conflict', `container ${reference} is paused, unpause the container before attach`)
  }
  requireNotRestarting(container, reference)
  const wanted = { stdin: options.stdin && OpenStdin, stdout: options.stdout, stderr: options.stderr }
  const filter = Tty && wanted.stdin ? new DetachFilter(keys) : undefined
  const onDetach = () => core.emit(container, 'detach')
  const stream = new AttachStream({ options: wanted, tty: Tty, filter, onDetach, client: options.client })
  core.emit(container, 'attach')
  const { task } = container
  if (task === undefined) {
    container.pendingAttaches.add(stream)
    stream.once('close', () => container.pendingAttaches.delete(stream))
    return { stream, tty: Tty }
  }
  await stream.join(task)
  return { stream, tty: Tty }
}
