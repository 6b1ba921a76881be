-- Times of cron triggers: a row is written before its time comes, so that a missed one can be shown, and stays as the record of what was
-- started. `reason` says why a run was skipped.
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
create index due_runs_waiting on due_runs (workflow, "trigger", scheduled_at) where state = 'due';
create index due_runs_by_time on due_runs (scheduled_at);
