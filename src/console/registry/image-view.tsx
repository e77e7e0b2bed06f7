/** One image: what it is, how to pull it, and everything that is stored of it. */
import type { PageManifest } from '../../spec/registry-page.ts'
import { goTo, replaceAddress } from '../browser/address.ts'
import { useNow } from '../browser/page.ts'
import { Age, Badge, Command, DigestText, TabPanel, Tabs } from '../shared/controls.tsx'
import { formatBytes, formatTime } from '../shared/format.ts'
import { Icon } from '../shared/icons.tsx'
import { parseJson } from '../shared/json.ts'
import { JsonView } from '../shared/json-view.tsx'
import { Show, useLoaded } from '../shared/loading.tsx'
import { api } from './api.ts'
import { Crumbs } from './crumbs.tsx'
import { useDeletions } from './deletions.tsx'
import { readHistory } from './dockerfile.ts'
import { ConfigTab, DockerfileTab, LayersTab } from './image-tabs.tsx'
import {
  choosePlatform,
  createdMs,
  readManifest,
  type Descriptor,
  type ManifestContents,
} from './manifest.ts'
import { imageName, isDigest, placeAddress, type Place } from './place.ts'
import { ReferrersTab } from './referrers-tab.tsx'
import { useSession } from './session.tsx'

type TabName = 'layers' | 'dockerfile' | 'config' | 'manifest' | 'index' | 'referrers'

/** See the file's head. */
export function ImageView({ place }: { place: Place }) {
  const { name, reference } = place
  const { status, openSignIn } = useSession()
  const loaded = useLoaded(imageName(name, reference), (signal) => api.manifest(name, reference, signal))
  const onSignIn = status.signIn === 'password' && status.user === '' ? openSignIn : undefined
  const shownName = isDigest(reference) ? `${reference.slice(0, 19)}…` : reference
  return (
    <>
      <div class="heading">
        <Crumbs name={name} reference={shownName} />
        <span class="spring" />
        {loaded.value?.mayDelete === true && <DeleteButton place={place} manifest={loaded.value} />}
      </div>
      <Show loaded={loaded} onSignIn={onSignIn}>
        {(manifest) => <Image place={place} manifest={manifest} />}
      </Show>
    </>
  )
}

function DeleteButton({ place, manifest }: { place: Place; manifest: PageManifest }) {
  const deletions = useDeletions()
  const { name: repository, reference } = place
  const back = () => goTo(placeAddress({ view: 'repository', name: repository }))
  const remove = () => {
    if (isDigest(reference)) deletions.manifest({ repository, digests: [reference] }, manifest.tagCount, back)
    else deletions.tags(repository, [reference], back)
  }
  return (
    <button type="button" class="quiet danger-text" onClick={remove}>
      <Icon name="trash" /> Delete {isDigest(reference) ? 'image' : 'tag'}…
    </button>
  )
}

function Image({ place, manifest }: { place: Place; manifest: PageManifest }) {
  const contents = readManifest(parseJson(manifest.manifest))
  const { status } = useSession()
  const { name, reference } = place
  const separator = isDigest(reference) ? '@' : ':'
  return (
    <>
      <div class="pull">
        <Command
          text={`docker pull ${status.host}/${name}${separator}${reference}`}
          label="Copy the pull command"
        />
        {!isDigest(reference) && (
          <Command
            text={`docker pull ${status.host}/${name}@${manifest.digest}`}
            label="Copy the pull command by digest"
          />
        )}
      </div>
      {contents.isIndex ? (
        <IndexParts place={place} index={manifest} contents={contents} />
      ) : (
        <Parts place={place} manifest={manifest} contents={contents} />
      )}
    </>
  )
}

/** An image of several platforms: the one that is chosen is shown. */
function IndexParts({
  place,
  index,
  contents,
}: {
  place: Place
  index: PageManifest
  contents: ManifestContents
}) {
  const chosen = choosePlatform(contents.manifests, place.settings['platform'] ?? '')
  const digest = chosen?.digest ?? ''
  const child = useLoaded(digest, async (signal) =>
    digest === '' ? undefined : await api.manifest(place.name, digest, signal),
  )
  return (
    <>
      <Facts manifest={index} contents={contents} config={undefined} place={place} />
      <PlatformLinks place={place} manifests={contents.manifests} chosen={chosen} />
      {chosen === undefined ? (
        <TabbedParts place={place} parts={{ index, contents }} />
      ) : (
        <Show loaded={child}>
          {(manifest) =>
            manifest !== undefined && (
              <TabbedParts
                place={place}
                parts={{
                  manifest,
                  contents: readManifest(parseJson(manifest.manifest)),
                  index,
                  attestations: contents.attestations,
                }}
              />
            )
          }
        </Show>
      )}
    </>
  )
}

function PlatformLinks({
  place,
  manifests,
  chosen,
}: {
  place: Place
  manifests: Descriptor[]
  chosen: Descriptor | undefined
}) {
  const isTwice = (platform: string) =>
    manifests.filter((manifest) => manifest.platform === platform).length > 1
  return (
    <nav class="platform-links" aria-label="Platforms">
      {manifests.map((manifest) => {
        const { platform, digest } = manifest
        const named = platform === '' || isTwice(platform)
        const settings = { ...place.settings, platform: named ? digest : platform }
        return (
          <a
            key={digest}
            href={placeAddress({ ...place, settings })}
            aria-current={manifest === chosen ? 'true' : undefined}
          >
            {platform === '' ? digest.slice(0, 19) : platform}
          </a>
        )
      })}
    </nav>
  )
}

function Parts({
  place,
  manifest,
  contents,
}: {
  place: Place
  manifest: PageManifest
  contents: ManifestContents
}) {
  return (
    <>
      <Facts
        manifest={manifest}
        contents={contents}
        config={parseJson(manifest.config ?? '')}
        place={place}
      />
      <TabbedParts place={place} parts={{ manifest, contents }} />
    </>
  )
}

function Facts(props: { manifest: PageManifest; contents: ManifestContents; config: unknown; place: Place }) {
  const { manifest, contents, config, place } = props
  const nowMs = useNow()
  const created = createdMs(config)
  const tags = manifest.tags.filter((tag) => tag !== place.reference)
  const rest = manifest.tagCount - manifest.tags.length
  return (
    <dl class="facts">
      <div>
        <dt>Digest</dt>
        <dd>
          <DigestText digest={manifest.digest} />
        </dd>
      </div>
      <div>
        <dt>{contents.isIndex ? 'Size of all platforms' : 'Size'}</dt>
        <dd>{formatBytes(manifest.contentBytes)}</dd>
      </div>
      <div>
        <dt>Pushed</dt>
        <dd>
          <Age timeMs={manifest.pushedMs} nowMs={nowMs} />
        </dd>
      </div>
      {created > 0 && (
        <div>
          <dt>Created</dt>
          <dd title={formatTime(created)}>
            <Age timeMs={created} nowMs={nowMs} />
          </dd>
        </div>
      )}
      <div class="wide">
        <dt>Kind</dt>
        <dd>
          <span class="clip" title={manifest.mediaType}>
            {manifest.artifactType === '' ? kindOf(manifest.mediaType) : manifest.artifactType}
          </span>
        </dd>
      </div>
      {tags.length > 0 && (
        <div class="wide">
          <dt>Also named</dt>
          <dd class="platforms">
            {tags.slice(0, 12).map((tag) => (
              <a
                key={tag}
                class="badge plain"
                href={placeAddress({ view: 'image', name: place.name, reference: tag })}
              >
                {tag}
              </a>
            ))}
            {tags.length + rest > 12 && <Badge>+{tags.length + rest - 12}</Badge>}
          </dd>
        </div>
      )}
      {contents.subject !== '' && (
        <div class="wide">
          <dt>Refers to</dt>
          <dd>
            <a href={placeAddress({ view: 'image', name: place.name, reference: contents.subject })}>
              <code>{contents.subject.slice(0, 19)}</code>
            </a>
          </dd>
        </div>
      )}
    </dl>
  )
}

type TabbedPart = {
  manifest?: PageManifest
  contents: ManifestContents
  index?: PageManifest
  attestations?: Descriptor[]
}

function TabbedParts({ place, parts }: { place: Place; parts: TabbedPart }) {
  const { manifest, contents, index, attestations = [] } = parts
  const config = parseJson(manifest?.config ?? '')
  const history = readHistory(config)
  const referrers = (manifest?.referrers ?? 0) + (index?.referrers ?? 0) + attestations.length
  const tabs: { name: TabName; label: string; count?: number }[] = [
    ...(manifest === undefined
      ? []
      : [
          {
            name: 'layers' as const,
            label: manifest.artifactType === '' ? 'Layers' : 'Files',
            count: contents.layers.length,
          },
        ]),
    ...(history.length === 0 ? [] : [{ name: 'dockerfile' as const, label: 'Dockerfile' }]),
    ...(manifest?.config === undefined ? [] : [{ name: 'config' as const, label: 'Config' }]),
    ...(manifest === undefined ? [] : [{ name: 'manifest' as const, label: 'Manifest' }]),
    ...(index === undefined ? [] : [{ name: 'index' as const, label: 'Index' }]),
    { name: 'referrers' as const, label: 'Referrers', count: referrers },
  ]
  const asked = tabs.find(({ name }) => name === place.settings['tab']) ?? tabs[0]
  const selected = asked?.name ?? 'referrers'
  const subjects = [manifest, index].filter((subject) => subject !== undefined && subject.referrers > 0)
  const digests = subjects.flatMap((subject) => (subject === undefined ? [] : [subject.digest]))
  return (
    <>
      <Tabs
        label="Parts of the image"
        tabs={tabs}
        selected={selected}
        onSelect={(tab) => replaceAddress(placeAddress({ ...place, settings: { ...place.settings, tab } }))}
      />
      <TabPanel name={selected}>
        {selected === 'layers' && <LayersTab contents={contents} history={history} />}
        {selected === 'dockerfile' && <DockerfileTab instructions={history} layers={contents.layers} />}
        {selected === 'config' && <ConfigTab text={manifest?.config ?? ''} config={config} />}
        {selected === 'manifest' && <JsonView text={manifest?.manifest ?? ''} label="manifest" />}
        {selected === 'index' && <JsonView text={index?.manifest ?? ''} label="index" />}
        {selected === 'referrers' && (
          <ReferrersTab repository={place.name} digests={digests} attestations={attestations} />
        )}
      </TabPanel>
    </>
  )
}

function kindOf(mediaType: string): string {
  const kinds: Record<string, string> = {
    'application/vnd.oci.image.manifest.v1+json': 'OCI image',
    'application/vnd.oci.image.index.v1+json': 'OCI image index',
    'application/vnd.docker.distribution.manifest.v2+json': 'Docker image',
    'application/vnd.docker.distribution.manifest.list.v2+json': 'Docker manifest list',
  }
  return kinds[mediaType] ?? mediaType
}
