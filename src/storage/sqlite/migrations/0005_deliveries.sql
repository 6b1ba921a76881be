-- What webhooks and file triggers were given already, so that nothing starts twice.

-- Deliveries by the sender's own id; `body_sha256` tells a repeat from an id that was used for something else.
create table deliveries (
  workflow text not null,
  "trigger" text not null,
  delivery_id text not null,
  body_sha256 text not null,
  execution_id text not null,
  expires_at integer not null,
  primary key (workflow, "trigger", delivery_id)
) strict, without rowid;
create index deliveries_by_expiry on deliveries (expires_at);

-- A file trigger that has looked once: what lay there by then is known, and only what comes later fires. `places` is a digest of where it looks.
create table watches (
  workflow text not null,
  "trigger" text not null,
  places text not null,
  since integer not null,
  primary key (workflow, "trigger")
) strict, without rowid;

-- The newest version of each file that a watch knows; `gone_at` while the file is not there.
create table watched_files (
  workflow text not null,
  "trigger" text not null,
  path text not null,
  version text not null,
  gone_at integer,
  primary key (workflow, "trigger", path)
) strict, without rowid;
