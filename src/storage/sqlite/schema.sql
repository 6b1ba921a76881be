-- What all migrations together make. Written by tests/unit/storage/schema.ts; change a migration instead.

create table api_keys (
  key_id text primary key,
  name text,
  principal_type text not null,
  principal_id text not null,
  roles text not null,
  scopes text not null,
  created_at integer not null,
  expires_at integer,
  revoked_at integer
) strict;

create index api_keys_by_time on api_keys (created_at, key_id);

create table attempts (
  execution_id text not null,
  task text not null,
  item_index integer not null,
  attempt integer not null check (attempt >= 1),
  started_at integer not null,
  ended_at integer,
  duration_ms integer,
  error text,
  runtime text not null,
  sandbox text not null,
  log_sha256 text,
  log_lines integer,
  primary key (execution_id, task, item_index, attempt)
) strict;

create table blob_uses (
  sha256 text not null,
  trace integer not null,
  primary key (sha256, trace)
) strict, without rowid;

create index blob_uses_by_trace on blob_uses (trace);

create table blobs (
  sha256 text primary key,
  content_type text not null,
  size integer not null,
  bytes blob
) strict;

create table burials (
  trace integer primary key references traces (ordinal)
) strict;

create table claims (
  resource text primary key,
  owner text not null,
  version integer not null,
  expires_at integer not null
) strict;

create table commands (
  command_id text primary key,
  execution_id text not null,
  kind text not null,
  body text not null,
  by text not null,
  created_at integer not null
) strict;

create index commands_by_execution on commands (execution_id);

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

create table due_runs (
  workflow text not null,
  "trigger" text not null,
  scheduled_at integer not null,
  state text not null check (state in ('due', 'started', 'skipped', 'missed')),
  execution_id text,
  reason text,
  primary key (workflow, "trigger", scheduled_at),
  check ((state = 'started') = (execution_id is not null))
) strict, without rowid;

create index due_runs_by_time on due_runs (scheduled_at);

create index due_runs_waiting on due_runs (workflow, "trigger", scheduled_at) where state = 'due';

create table event_types (
  id integer primary key,
  name text not null unique
) strict;

create trigger events_no_delete before delete on events
when not exists (
  select 1 from traces t
  join tombstones s on s.trace_id = t.trace_id
  join events e on e.seq = s.event_seq
  join event_types y on y.id = e.type
  join traces r on r.ordinal = e.trace
  where t.ordinal = old.trace and t.subject <> 'system' and r.subject = 'system' and y.name = 'trace.ledger.pruned'
    and json_extract(e.body, '$.payload.trace_id') = t.trace_id and json_extract(e.body, '$.payload.count') = t.events
)
begin
  select raise(abort, 'events are append-only');
end;

create trigger events_no_replace before insert on events
when exists (select 1 from events where seq = new.seq)
  or exists (select 1 from events where event_id = new.event_id)
  or exists (select 1 from events where trace = new.trace and sequence = new.sequence)
begin
  select raise(abort, 'events are append-only');
end;

create trigger events_no_update before update on events
begin
  select raise(abort, 'events are append-only');
end;

create table events (
  seq integer primary key,
  trace integer not null references traces (ordinal),
  sequence integer not null,
  event_id blob not null,
  type integer not null references event_types (id),
  severity integer not null check (severity between 0 and 3),
  time integer not null,
  hash blob not null check (length(hash) = 32),
  body text not null
) strict;

create unique index events_by_id on events (event_id);

create unique index events_by_trace on events (trace, sequence);

create table executions (
  execution_id text primary key,
  session_id text not null,
  workflow text not null,
  revision integer not null,
  sha256 text not null,
  state text not null check (state in ('PENDING', 'RUNNING', 'WAITING', 'SUCCESS', 'FAILED', 'CANCELLED')),
  reason text,
  trigger_type text not null,
  trigger_id text,
  scheduled_at integer,
  by text not null,
  parent text,
  labels text not null,
  inputs text not null,
  outputs text,
  error text,
  digest text,
  created_at integer not null,
  started_at integer,
  ended_at integer
) strict;

create index executions_by_end on executions (state, ended_at, execution_id) where ended_at is not null;

create index executions_by_time on executions (created_at, execution_id);

create index executions_by_workflow on executions (workflow, created_at, execution_id);

create index executions_unfinished on executions (created_at, execution_id) where ended_at is null;

create table idempotency (
  scope text not null,
  key text not null,
  body_sha256 text not null,
  result text not null,
  expires_at integer not null,
  primary key (scope, key)
) strict;

create index idempotency_by_expiry on idempotency (expires_at);

create table key_hashes (
  sha256 text primary key,
  key_id text not null
) strict;

create table ledger_state (
  id integer primary key check (id = 1),
  last_seq integer not null,
  last_claim_version integer not null,
  -- Chosen once, here, so that two first processes cannot choose two: a UUID of version 7.
  system_trace text not null
) strict;

create table logs (
  id integer primary key,
  trace integer not null,
  task text,
  item_index integer,
  attempt integer,
  time integer not null,
  level integer not null check (level between 0 and 3),
  source integer not null check (source between 0 and 2),
  message text not null,
  metadata text
) strict;

create index logs_by_execution on logs (trace, id);

create index logs_by_level on logs (trace, level, id);

create index logs_by_task on logs (trace, task, id);

create table migrations (
  id integer primary key, name text not null, sha256 text not null, applied_at integer not null
) strict;

create table plugin_approvals (
  workflow text not null,
  plugin text not null,
  version text not null,
  sha256 text not null,
  permissions text not null,
  approved_at integer not null,
  "by" text not null,
  primary key (workflow, plugin)
) strict;

create index plugin_approvals_by_plugin on plugin_approvals (plugin, workflow);

create table revisions (
  workflow text not null,
  revision integer not null check (revision >= 1),
  sha256 text not null,
  folder text,
  created_at integer not null,
  by text not null,
  primary key (workflow, revision)
) strict;

create index revisions_by_sha on revisions (workflow, sha256);

create table sealed_values (
  execution_id text not null,
  task text not null,
  item_index integer not null,
  member text not null,
  key_id text not null,
  nonce blob not null check (length(nonce) = 12),
  ciphertext blob not null,
  primary key (execution_id, task, item_index, member)
) strict;

create table secret_key (
  id integer primary key check (id = 1),
  key_id text not null,
  source text not null check (source in ('file', 'hex', 'passphrase')),
  -- Of a passphrase's scrypt, in hex.
  salt text,
  created_at integer not null
) strict;

create table secrets (
  name text primary key,
  key_id text not null,
  nonce blob not null check (length(nonce) = 12),
  ciphertext blob not null,
  created_at integer not null,
  updated_at integer not null,
  "by" text not null
) strict;

create table sessions (
  session_id text primary key,
  trace_id text not null,
  principal_type text not null,
  principal_id text not null,
  scopes text not null,
  started_at integer not null,
  expires_at integer,
  ended_at integer,
  end_reason text
) strict;

create index sessions_open on sessions (started_at) where ended_at is null;

create table task_runs (
  execution_id text not null,
  task text not null,
  item_index integer not null,
  state text not null check (state in ('PENDING', 'RUNNING', 'WAITING', 'SUCCESS', 'FAILED', 'CANCELLED', 'SKIPPED')),
  reason text,
  due_at integer,
  output text,
  error text,
  primary key (execution_id, task, item_index)
) strict;

create table tombstones (
  trace_id text primary key,
  event_seq integer not null
) strict;

create table traces (
  ordinal integer primary key,
  trace_id text not null unique,
  subject text not null check (subject in ('execution', 'session', 'objective', 'system')),
  subject_id text not null,
  events integer not null,
  last_hash blob not null,
  last_time integer not null
) strict;

create index traces_by_subject on traces (subject, ordinal);

create table watched_files (
  workflow text not null,
  "trigger" text not null,
  path text not null,
  version text not null,
  gone_at integer,
  primary key (workflow, "trigger", path)
) strict, without rowid;

create table watches (
  workflow text not null,
  "trigger" text not null,
  places text not null,
  since integer not null,
  primary key (workflow, "trigger")
) strict, without rowid;

create table workflows (
  id text primary key,
  name text,
  description text,
  labels text not null,
  enabled integer not null check (enabled in (0, 1)),
  armed integer not null check (armed in (0, 1)),
  revision integer not null,
  sha256 text not null,
  folder text,
  created_at integer not null,
  updated_at integer not null
) strict;
