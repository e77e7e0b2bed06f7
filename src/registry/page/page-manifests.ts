/** One manifest as the page shows it, and what refers to it. */
import type { PageManifest, PageReferrers } from '../../spec/registry-page.ts'
import { textColumn, type Row } from '../../store/database.ts'
import type { Exchange } from '../exchange.ts'
import { parseDigest, parseReference } from '../names.ts'
import { askedRepository } from './asked.ts'
import type { PageContext } from './page-api.ts'

const mostTags = 100
const referrersPage = 100

/** A manifest with its configuration. */
export async function getManifest(page: PageContext, exchange: Exchange): Promise<PageManifest> {
  const { app, facts } = page
  const { name, id } = askedRepository(page, exchange)
  const reference = parseReference(exchange.query.get('reference') ?? '')
  const { digest, mediaType, size } = app.repositories.manifest(name, reference)
  const content = app.repositories.content(digest).toString()
  const config = facts.configOf(digest)
  const configText = config === undefined ? undefined : await facts.configText(id, config.digest)
  const { database } = app.index
  const row = database.get('SELECT pushed_ms FROM manifests WHERE repository = ? AND digest = ?', id, digest)
  const tags = database
    .all(
      'SELECT name FROM tags WHERE repository = ? AND digest = ? ORDER BY name LIMIT ?',
      id,
      digest,
      mostTags,
    )
    .map((tag) => textColumn(tag, 'name'))
  const { readOnly, allowDelete } = app.settings()
  return {
    digest,
    mediaType,
    sizeBytes: size,
    pushedMs: Number(row?.['pushed_ms'] ?? 0),
    artifactType: facts.artifactType(id, digest),
    tags,
    tagCount: count(
      database.get('SELECT count(*) AS n FROM tags WHERE repository = ? AND digest = ?', id, digest),
    ),
    manifest: content,
    ...(configText === undefined ? {} : { config: configText }),
    contentBytes: facts.contentBytes(id, digest),
    referrers: count(
      database.get('SELECT count(*) AS n FROM manifests WHERE repository = ? AND subject = ?', id, digest),
    ),
    mayDelete: !readOnly && allowDelete && exchange.caller.may('delete', name),
  }
}

/** Manifests whose subject is one, after a digest. */
export function listReferrers(page: PageContext, exchange: Exchange): PageReferrers {
  const { id } = askedRepository(page, exchange)
  const rows = page.app.index.database.all(
    `SELECT digest, media_type, size, artifact_type, annotations, pushed_ms FROM manifests
     WHERE repository = ? AND subject = ? AND digest > ? ORDER BY digest LIMIT ?`,
    id,
    parseDigest(exchange.query.get('digest')),
    exchange.query.get('after') ?? '',
    referrersPage + 1,
  )
  const referrers = rows.slice(0, referrersPage).map((row) => ({
    digest: textColumn(row, 'digest'),
    mediaType: textColumn(row, 'media_type'),
    artifactType: textColumn(row, 'artifact_type'),
    sizeBytes: Number(row['size']),
    pushedMs: Number(row['pushed_ms']),
    annotations: annotationsOf(row),
  }))
  return { referrers, more: rows.length > referrersPage }
}

function annotationsOf(row: Row): Record<string, string> {
  const text = textColumn(row, 'annotations')
  // They were checked to be texts when the manifest was pushed.
  const value: Record<string, string> = text === '' ? {} : JSON.parse(text)
  return value
}

function count(row: Row | undefined): number {
  return Number(row?.['n'] ?? 0)
}
