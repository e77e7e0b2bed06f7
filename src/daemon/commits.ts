/** `POST /commit`: a container is held still while what it changed becomes an image. */
import type { ContainerEngine } from '../containers/contract.ts'
import { noImage } from '../containers/create.ts'
import { targetReference, type ImageService } from '../images/image-service.ts'
import { ContainerConfig } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import { containerId, isDigest } from '../spec/ids.ts'
import { familiarText } from '../images/reference.ts'
import type { Committing } from './routes/images.ts'

/** Commits by the engine's containers and images. */
export function commitsOf(engine: ContainerEngine, images: ImageService): Committing {
  return {
    commit: async (request) => {
      const found = await engine.inspect(request.container, { size: false })
      if (found.State.Dead) {
        throw new EngineError('conflict', `You cannot commit container ${found.Id} which is Dead`)
      }
      if (found.State.Status === 'removing') {
        throw new EngineError('conflict', `You cannot commit container ${found.Id} which is being removed`)
      }
      const reference = targetReference(request.repository, request.tag)
      await using undo = new AsyncDisposableStack()
      if (request.pause && found.State.Running && !found.State.Paused) {
        await engine.pause(found.Id)
        undo.defer(() => engine.unpause(found.Id))
      }
      const id = await images.commit(
        {
          containerId: containerId(found.Id),
          imageId: isDigest(found.Image) && found.Image !== noImage ? found.Image : undefined,
          containerConfig: ContainerConfig.parse(found.Config),
          config: request.config,
          changes: request.changes,
          comment: request.comment,
          author: request.author,
          reference,
        },
        AbortSignal.timeout(commitTimeoutMs),
      )
      engine.logEvent(found.Id, 'commit', {
        comment: request.comment,
        imageID: id,
        imageRef: reference === undefined ? '' : familiarText(reference),
      })
      return id
    },
  }
}

/** A commit goes on when its client hangs up, but not for ever. */
const commitTimeoutMs = 60 * 60 * 1000
