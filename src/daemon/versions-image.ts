/** Answers about images in the shape of the client's version of the API. */
import { zeroTime } from '../lib/clock.ts'
import type { ImageInspect, ImageSummary } from '../spec/image-types.ts'

/** The client's version of a list of images. */
export function adaptImageList(images: ImageSummary[], version: number): object[] {
  return images.map((image) => {
    const { VirtualSize: _virtual, Manifests, Descriptor, ...rest } = image
    const answer: Record<string, unknown> = rest
    if (version < 44) answer['VirtualSize'] = image.Size
    if (version < 51) answer['Containers'] = -1
    if (version >= 47 && Manifests !== undefined) answer['Manifests'] = Manifests
    if (version >= 48 && Descriptor !== undefined) answer['Descriptor'] = Descriptor
    // Before 1.43 an image without a name showed this one.
    if (version < 43 && (image.RepoTags ?? []).length === 0 && (image.RepoDigests ?? []).length === 0) {
      answer['RepoTags'] = ['<none>:<none>']
      answer['RepoDigests'] = ['<none>@<none>']
    }
    return answer
  })
}

/** Fields of `Config` that are a container's, not an image's: gone since 1.50, empty before. */
const foreignConfig = {
  Hostname: '',
  Domainname: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: '',
}

/** The client's version of an image. */
export function adaptImageInspect(image: ImageInspect, version: number): object {
  const {
    VirtualSize: _virtual,
    Config,
    Descriptor,
    Manifests,
    Parent,
    Comment,
    DockerVersion,
    Author,
    ...rest
  } = image
  const answer: Record<string, unknown> = { ...rest, Config: adaptConfig(Config, version) }
  for (const [name, value] of Object.entries({ Parent, Comment, DockerVersion, Author })) {
    if (version < 52 || (value !== undefined && value !== '')) answer[name] = value ?? ''
  }
  if (version < 44) {
    answer['VirtualSize'] = image.Size
    answer['Created'] ??= zeroTime
  }
  if (version < 45) {
    // Older clients look here for the volumes of the image (docker-compose 1 does whenever it recreates).
    answer['Container'] = ''
    answer['ContainerConfig'] = answer['Config']
  }
  if (version >= 48 && Descriptor !== undefined) answer['Descriptor'] = Descriptor
  if (version >= 48 && Manifests !== undefined) answer['Manifests'] = Manifests
  return answer
}

function adaptConfig(config: ImageInspect['Config'], version: number): object | null {
  if (config === null || version < 50) return config === null ? null : { ...foreignConfig, ...config }
  const fields = Object.entries(config).filter(([name]) => !(name in foreignConfig))
  if (version < 52) return Object.fromEntries(fields)
  return Object.fromEntries(fields.filter(([, value]) => !isEmpty(value)))
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
