/** What refers to an image: signatures, bills of materials, attestations. */
import { useState } from 'preact/hooks'
import type { PageReferrer } from '../../spec/registry-page.ts'
import { useNow } from '../browser/page.ts'
import { Age, DigestText } from '../shared/controls.tsx'
import { formatBytes } from '../shared/format.ts'
import { errorText, Show, useLoaded } from '../shared/loading.tsx'
import { useNotify } from '../shared/notices.tsx'
import { api } from './api.ts'
import type { Descriptor } from './manifest.ts'
import { placeAddress } from './place.ts'

type ReferrersProps = { repository: string; digests: string[]; attestations: Descriptor[] }

/** See the file's head. */
export function ReferrersTab({ repository, digests, attestations }: ReferrersProps) {
  if (digests.length === 0 && attestations.length === 0) {
    return (
      <p class="muted">Nothing refers to this image: no signature, no bill of materials, no attestation.</p>
    )
  }
  return (
    <ul class="referrers">
      {attestations.map(({ digest, mediaType, sizeBytes, annotations }) => (
        <Referrer
          key={digest}
          repository={repository}
          referrer={{
            digest,
            mediaType,
            sizeBytes,
            annotations,
            artifactType: 'attestation in the index',
            pushedMs: 0,
          }}
        />
      ))}
      {digests.map((digest) => (
        <ReferrersOf key={digest} repository={repository} digest={digest} />
      ))}
    </ul>
  )
}

function ReferrersOf({ repository, digest }: { repository: string; digest: string }) {
  const first = useLoaded(digest, (signal) => api.referrers({ repository, digest, after: '' }, signal))
  const [further, setFurther] = useState<{ referrers: PageReferrer[]; more: boolean }>()
  const notify = useNotify()
  const loadMore = async (shown: PageReferrer[]) => {
    try {
      const page = await api.referrers({ repository, digest, after: shown.at(-1)?.digest ?? '' })
      setFurther({ referrers: [...(further?.referrers ?? []), ...page.referrers], more: page.more })
    } catch (error) {
      // What is shown stays, and the button too.
      notify(errorText(error), true)
    }
  }
  return (
    <Show loaded={first}>
      {({ referrers, more }) => {
        const shown = [...referrers, ...(further?.referrers ?? [])]
        return (
          <>
            {shown.map((referrer) => (
              <Referrer key={referrer.digest} repository={repository} referrer={referrer} />
            ))}
            {(further?.more ?? more) && (
              <li>
                <button type="button" onClick={() => void loadMore(shown)}>
                  Show more
                </button>
              </li>
            )}
          </>
        )
      }}
    </Show>
  )
}

function Referrer({ repository, referrer }: { repository: string; referrer: PageReferrer }) {
  const nowMs = useNow()
  const { digest, artifactType, mediaType, sizeBytes, pushedMs, annotations } = referrer
  return (
    <li>
      <div class="referrer-head">
        <a href={placeAddress({ view: 'image', name: repository, reference: digest })}>
          {artifactType === '' ? mediaType : artifactType}
        </a>
        <span class="spring" />
        <span class="muted">{formatBytes(sizeBytes)}</span>
        {pushedMs > 0 && <Age timeMs={pushedMs} nowMs={nowMs} />}
        <DigestText digest={digest} />
      </div>
      {Object.keys(annotations).length > 0 && (
        <dl class="pairs">
          {Object.entries(annotations).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <code>{value}</code>
              </dd>
            </div>
          ))}
        </dl>
      )}
    </li>
  )
}
