/**
 * The schema, as numbered forward steps: entry n brings version n to n + 1. A step that has been released never
 * changes; add another. Until the first release the one step below may still change.
 */
export const migrations: readonly string[] = [
  `
  -- record: JSON of the folder that owns the table.
  CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_ns INTEGER NOT NULL, record TEXT NOT NULL) STRICT;

  CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, media_type TEXT NOT NULL DEFAULT '') STRICT;
  CREATE TABLE layers (
    chain_id TEXT PRIMARY KEY, parent TEXT REFERENCES layers (chain_id), diff_id TEXT NOT NULL,
    size INTEGER NOT NULL, directory TEXT NOT NULL UNIQUE) STRICT;
  CREATE INDEX layers_parent ON layers (parent);
  CREATE TABLE images (id TEXT PRIMARY KEY, created_ns INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
  CREATE TABLE image_references (
    reference TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES images (id), record TEXT NOT NULL) STRICT;
  CREATE INDEX image_references_image ON image_references (image_id);

  CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL, record TEXT NOT NULL) STRICT;
  CREATE INDEX networks_name ON networks (name);
  CREATE TABLE endpoints (
    id TEXT PRIMARY KEY, network_id TEXT NOT NULL REFERENCES networks (id), container_id TEXT NOT NULL, record TEXT NOT NULL) STRICT;
  CREATE INDEX endpoints_container ON endpoints (container_id);

  CREATE TABLE volumes (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;

  -- Bounded journal; caller: JSON of uid, pid and request that caused it.
  CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, message TEXT NOT NULL, caller TEXT) STRICT;
  CREATE INDEX events_time ON events (time_ns);

  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  `,
]
