-- What removing whole traces needs: which ended when, which are being removed, and which blobs they alone name.

create index executions_by_end on executions (state, ended_at, execution_id) where ended_at is not null;

-- Traces whose tombstone stands and of which something is left. They are gone from every read already.
create table burials (
  trace integer primary key references traces (ordinal)
) strict;

-- Which traces name a blob in the `artifacts` of an event: one that none names any more leaves with the last.
create table blob_uses (
  sha256 text not null,
  trace integer not null,
  primary key (sha256, trace)
) strict, without rowid;
create index blob_uses_by_trace on blob_uses (trace);
insert or ignore into blob_uses
select json_extract(a.value, '$.sha256'), e.trace
from events e, json_each(e.body, '$.artifacts') a
where instr(e.body, '"artifacts":[') > 0 and json_extract(a.value, '$.uri') like 'artifact:%';

-- As before, and: the tombstone is in the system trace, which itself never leaves, and counts what its trace has.
drop trigger events_no_delete;
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
