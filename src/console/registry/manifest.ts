/** Manifests and configurations, read without trust: anybody who may push can have written them. */
import { asList, asNumber, asObject, asText, asTexts } from '../shared/json.ts'

/** A blob or manifest that a manifest names. */
export type Descriptor = {
  digest: string
  mediaType: string
  sizeBytes: number
  /** `linux/amd64`; empty where it does not say. */
  platform: string
  annotations: Record<string, string>
}

/** A manifest's contents; an index has manifests, everything else layers. */
export type ManifestContents = {
  isIndex: boolean
  layers: Descriptor[]
  manifests: Descriptor[]
  /** Manifests of an index that say something about another of it, rather than being an image. */
  attestations: Descriptor[]
  annotations: [name: string, value: string][]
  subject: string
}

/** What a configuration says about how the image runs. */
export type ImageConfig = {
  facts: [name: string, value: string][]
  environment: string[]
  labels: [string, string][]
}

const attestationType = 'vnd.docker.reference.type'

/** Reads a manifest. */
export function readManifest(value: unknown): ManifestContents {
  const manifest = asObject(value)
  const named = asList(manifest['manifests']).map(readDescriptor)
  const isAttestation = ({ annotations, platform }: Descriptor) =>
    annotations[attestationType] !== undefined || platform.startsWith('unknown/')
  return {
    isIndex: Array.isArray(manifest['manifests']),
    layers: asList(manifest['layers'] ?? manifest['blobs']).map(readDescriptor),
    manifests: named.filter((descriptor) => !isAttestation(descriptor)),
    attestations: named.filter(isAttestation),
    annotations: Object.entries(readTexts(manifest['annotations'])),
    subject: asText(asObject(manifest['subject'])['digest']),
  }
}

/** The manifest of an index that is shown first: the reader's choice, then linux/amd64, then any. */
export function choosePlatform(manifests: readonly Descriptor[], wanted: string): Descriptor | undefined {
  const of = (platform: string) => manifests.find((manifest) => manifest.platform === platform)
  return manifests.find(({ digest }) => digest === wanted) ?? of(wanted) ?? of('linux/amd64') ?? manifests[0]
}

/** Reads a configuration. */
export function readConfig(value: unknown): ImageConfig {
  const whole = asObject(value)
  const config = asObject(whole['config'])
  const os = [asText(whole['os']), asText(whole['architecture']), asText(whole['variant'])]
  const health = asObject(config['Healthcheck'])
  const facts: [string, string][] = [
    ['Platform', os.filter((part) => part !== '').join('/')],
    ['Created', asText(whole['created'])],
    ['Author', asText(whole['author'])],
    ['Entrypoint', commandText(config['Entrypoint'])],
    ['Command', commandText(config['Cmd'])],
    ['Working directory', asText(config['WorkingDir'])],
    ['User', asText(config['User'])],
    ['Ports', Object.keys(asObject(config['ExposedPorts'])).join(', ')],
    ['Volumes', Object.keys(asObject(config['Volumes'])).join(', ')],
    ['Stop signal', asText(config['StopSignal'])],
    ['Shell', commandText(config['Shell'])],
    ['Health check', asTexts(health['Test']).join(' ')],
  ]
  return {
    facts: facts.filter(([, text]) => text !== ''),
    environment: asTexts(config['Env']),
    labels: Object.entries(readTexts(config['Labels'])),
  }
}

/** When an image says that it was made; 0 where it does not. */
export function createdMs(config: unknown): number {
  const time = Date.parse(asText(asObject(config)['created']))
  // Reproducible builds say 1970 or the year 1, which tells nothing.
  return Number.isNaN(time) || time <= 0 ? 0 : time
}

/** Annotations that a file of an artifact carries as its name. */
export function fileTitle({ annotations }: Descriptor): string {
  return annotations['org.opencontainers.image.title'] ?? ''
}

function readDescriptor(value: unknown): Descriptor {
  const descriptor = asObject(value)
  const platform = asObject(descriptor['platform'])
  const parts = [asText(platform['os']), asText(platform['architecture']), asText(platform['variant'])]
  return {
    digest: asText(descriptor['digest']),
    mediaType: asText(descriptor['mediaType']),
    sizeBytes: asNumber(descriptor['size']),
    platform: parts.filter((part) => part !== '').join('/'),
    annotations: readTexts(descriptor['annotations']),
  }
}

function readTexts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(asObject(value)).map(([name, text]) => [name, asText(text)]))
}

// As one would write it in a Dockerfile.
function commandText(value: unknown): string {
  const parts = asTexts(value)
  return parts.length === 0 ? '' : JSON.stringify(parts).replace(/","/g, '", "')
}
