/** `--storage-opt` of containers and `storage-opts` of the daemon: what each driver takes of them, in Docker's words. */
import { ramInBytes, humanSize } from '../lib/units.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { fileSystemName } from './file-system-name.ts'

/** Checks the options of a container. */
export type StorageOptionRules = {
  /** Answers the size that was asked for. Throws internal for what the driver cannot follow. */
  check(options: Readonly<Record<string, string>>): number | undefined
}

/** A driver that can limit nothing: `refusal` says why. */
export function refusing(refusal: string): StorageOptionRules {
  return {
    check: (options) => {
      for (const key of Object.keys(options)) {
        const isSize = key.toLowerCase() === 'size'
        throw new EngineError('internal', isSize ? refusal : `Unknown option ${key}`)
      }
      return undefined
    },
  }
}

/** A driver that limits trees to `size`, which may not be below `minimumBytes`. */
export function sizeOnly(driver: string, minimumBytes: number): StorageOptionRules {
  return {
    check: (options) => {
      let size: number | undefined
      for (const [key, value] of Object.entries(options)) {
        if (key.toLowerCase() !== 'size') throw new EngineError('internal', `Unknown option ${key}`)
        size = bytesOf(value)
        if (minimumBytes > 0 && size < minimumBytes) {
          throw new EngineError(
            'internal',
            `${driver}: storage size cannot be less than ${humanSize(minimumBytes)}`,
          )
        }
      }
      return size
    },
  }
}

/** What the daemon's `storage-opts` say to a driver. */
export type DriverOptions = { minimumBytes: number }

/** Reads `storage-opts` for a driver. Throws invalid for an option that the driver does not have. */
export function parseDriverOptions(
  driver: string,
  texts: readonly string[],
  directory: string,
): DriverOptions {
  const parsed: DriverOptions = { minimumBytes: 0 }
  for (const text of texts) {
    const [key = '', value] = text.split(/=(.*)/s)
    if (value === undefined) throw new EngineError('invalid', `unable to parse storage-opt value ${text}`)
    switch (`${driver}/${key.trim().toLowerCase()}`) {
      case 'btrfs/btrfs.min_space':
        parsed.minimumBytes = bytesOf(value)
        break
      case 'overlay2/overlay2.override_kernel_check':
      case 'overlay/overlay.override_kernel_check':
        // Docker ignores it too, since it needs a kernel that has all of overlay anyway.
        break
      case 'overlay2/overlay2.size':
      case 'overlay/overlay.size':
        throw new EngineError(
          'invalid',
          `Storage Option ${key} only supported for backingFS XFS with project quotas, which this engine does not use. Found ${fileSystemName(directory)}`,
        )
      default:
        throw new EngineError('invalid', `${driver}: unknown option ${key}`)
    }
  }
  return parsed
}

function bytesOf(text: string): number {
  try {
    return ramInBytes(text)
  } catch (error) {
    throw new EngineError('internal', errorMessage(error), { cause: error })
  }
}
