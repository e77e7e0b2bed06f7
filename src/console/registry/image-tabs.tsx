/** What an image is made of: its layers, its Dockerfile, its configuration. */
import { CopyButton, DigestText } from '../shared/controls.tsx'
import { formatBytes } from '../shared/format.ts'
import { JsonView } from '../shared/json-view.tsx'
import { dockerfileText, type Instruction } from './dockerfile.ts'
import { fileTitle, readConfig, type Descriptor, type ManifestContents } from './manifest.ts'

/** Layers with their share of the size, and what made each; an artifact's files with their names. */
export function LayersTab({ contents, history }: { contents: ManifestContents; history: Instruction[] }) {
  const { layers, annotations } = contents
  const largest = Math.max(1, ...layers.map(({ sizeBytes }) => sizeBytes))
  const madeBy = (layer: number) => history.find((instruction) => instruction.layer === layer)
  return (
    <>
      {layers.length === 0 && <p class="muted">There is no layer.</p>}
      <ol class="layers">
        {layers.map((layer, place) => {
          const step = madeBy(place)
          const text = step === undefined ? fileTitle(layer) : `${step.keyword} ${step.lines.join(' ')}`
          return (
            <li key={`${place} ${layer.digest}`}>
              <span class="layer-place">{place + 1}</span>
              <span class="layer-text">
                <code class="clip" title={text}>
                  {text === '' ? layer.mediaType : text}
                </code>
                <span class="meter" aria-hidden="true">
                  <span style={{ width: `${Math.max(0.5, (layer.sizeBytes / largest) * 100)}%` }} />
                </span>
              </span>
              <span class="layer-size">{formatBytes(layer.sizeBytes)}</span>
              <DigestText digest={layer.digest} />
            </li>
          )
        })}
      </ol>
      {annotations.length > 0 && <Pairs title="Annotations" pairs={annotations} />}
    </>
  )
}

/** The history as a Dockerfile, with the size that each instruction added. */
export function DockerfileTab({
  instructions,
  layers,
}: {
  instructions: Instruction[]
  layers: Descriptor[]
}) {
  const text = dockerfileText(instructions)
  return (
    <div class="code-block">
      <CopyButton text={text} label="Copy the Dockerfile" />
      <div class="dockerfile" tabIndex={0} role="region" aria-label="Dockerfile">
        {instructions.map(({ keyword, lines, layer }, place) => {
          const size = layer === undefined ? undefined : layers[layer]?.sizeBytes
          return (
            <div key={place} class="instruction">
              <code>
                <span class={keyword === '#' ? 'json-plain muted' : 'keyword'}>{keyword}</span>{' '}
                {lines.map((line, row) => (
                  <span key={row} class={row === 0 ? '' : 'continued'}>
                    {line}
                    {row < lines.length - 1 && <span class="muted"> \</span>}
                  </span>
                ))}
              </code>
              <span class="layer-size muted">{size === undefined ? '' : formatBytes(size)}</span>
            </div>
          )
        })}
      </div>
    </div>
  )
}

/** How the image runs, in words; then the configuration as it is stored. */
export function ConfigTab({ text, config }: { text: string; config: unknown }) {
  const { facts, environment, labels } = readConfig(config)
  return (
    <>
      <Pairs title="Settings" pairs={facts} />
      {environment.length > 0 && <Pairs title="Environment" pairs={environment.map(splitVariable)} />}
      {labels.length > 0 && <Pairs title="Labels" pairs={labels} />}
      <h2>As it is stored</h2>
      <JsonView text={text} label="configuration" />
    </>
  )
}

function Pairs({ title, pairs }: { title: string; pairs: readonly (readonly [string, string])[] }) {
  return (
    <section>
      <h2>{title}</h2>
      <dl class="pairs">
        {pairs.map(([name, value], place) => (
          <div key={place}>
            <dt>{name}</dt>
            <dd>
              <code>{value}</code>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function splitVariable(text: string): [string, string] {
  const equals = text.indexOf('=')
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
}
