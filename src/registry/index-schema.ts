/** The registry's own schema, as numbered forward steps; see `store/migrations.ts` for the rules. */
export const indexMigrations: readonly string[] = [
  `
  CREATE TABLE repositories (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL,
    description TEXT NOT NULL DEFAULT '', stars INTEGER NOT NULL DEFAULT 0,
    official INTEGER NOT NULL DEFAULT 0, automated INTEGER NOT NULL DEFAULT 0) STRICT;

  -- Blobs whose bytes are in the tree.
  CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE repository_blobs (
    repository INTEGER NOT NULL, digest TEXT NOT NULL, linked_ms INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)) STRICT, WITHOUT ROWID;
  CREATE INDEX repository_blobs_digest ON repository_blobs (digest);

  -- Bytes of manifests, kept here beside the tree: most requests are for them.
  CREATE TABLE manifest_contents (digest TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
  CREATE TABLE manifests (
    repository INTEGER NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
    subject TEXT, artifact_type TEXT, annotations TEXT, pushed_ms INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)) STRICT, WITHOUT ROWID;
  CREATE INDEX manifests_digest ON manifests (digest);
  CREATE INDEX manifests_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;
  -- What a manifest needs; kind is blob or manifest.
  CREATE TABLE manifest_needs (
    repository INTEGER NOT NULL, manifest TEXT NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, kind, digest)) STRICT, WITHOUT ROWID;
  CREATE INDEX manifest_needs_digest ON manifest_needs (repository, digest);

  CREATE TABLE tags (
    repository INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, updated_ms INTEGER NOT NULL,
    PRIMARY KEY (repository, name)) STRICT, WITHOUT ROWID;
  CREATE INDEX tags_digest ON tags (repository, digest);

  CREATE TABLE uploads (
    id TEXT PRIMARY KEY, repository TEXT NOT NULL, algorithm TEXT NOT NULL, touched_ms INTEGER NOT NULL) STRICT;
  CREATE INDEX uploads_touched ON uploads (touched_ms);

  -- What is to be done to the tree; content null: remove the path. A later entry replaces an earlier one.
  CREATE TABLE journal (
    path TEXT PRIMARY KEY, sequence INTEGER NOT NULL, digest TEXT, content BLOB) STRICT;
  CREATE INDEX journal_sequence ON journal (sequence);

  -- Events that an endpoint has not taken yet.
  CREATE TABLE webhook_queue (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL, body TEXT NOT NULL) STRICT;
  CREATE INDEX webhook_queue_endpoint ON webhook_queue (endpoint, sequence);

  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  `,
  `
  -- Users who starred a repository; repositories.stars counts them.
  CREATE TABLE stars (
    repository INTEGER NOT NULL, user TEXT NOT NULL,
    PRIMARY KEY (repository, user)) STRICT, WITHOUT ROWID;
  `,
]
