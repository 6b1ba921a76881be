// The ledger in SQLite: appends sealed events in one transaction, applies what they fold to, and reads them back.
import { fail, fromHex, isCoded, toHex } from "../../base/index.ts";
import { type EventDraft, firstPrevHash, sealEvent, severities, type Subject } from "../../model/index.ts";
import type { Claim, CommitOutcome, CommitRequest, CommittedEvent, EventSelection, StoredEvent, TraceHead } from "../ports.ts";
import { putBlobRow } from "./blobs.ts";
import { fenceHolds, takeClaim } from "./claims.ts";
import { type Connection, storeError } from "./database.ts";
import { insertLogs } from "./logs.ts";
import { applyChange } from "./rows.ts";

type Head = { ordinal: number; events: number; lastHash: string };
type Counters = { lastSeq: number };

const insertEvent = "insert into events (seq, trace, sequence, event_id, type, severity, time, hash, body) values (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const selectHead = "select ordinal, events, last_hash from traces where trace_id = ?";
const insertTrace = "insert into traces (trace_id, subject, subject_id, events, last_hash, last_time) values (?, ?, ?, 0, ?, ?) returning ordinal";
const updateTrace = "update traces set events = ?, last_hash = ?, last_time = ? where ordinal = ?";
const selectState = "select last_seq from ledger_state where id = 1";
const updateState = "update ledger_state set last_seq = ? where id = 1";

/** Ids of event types; a type is written once and never leaves. */
const typeIds = new WeakMap<Connection, Map<string, number>>();

/** Appends all requests in one transaction; each stands or falls by itself. @throws STORE_UNAVAILABLE when the transaction as a whole fails */
export function commitRequests(db: Connection, requests: readonly CommitRequest[]): CommitOutcome[] {
  const outcomes: CommitOutcome[] = [];
  db.atomically(() => {
    const counters = { lastSeq: db.get<{ last_seq: number }>(selectState)?.last_seq ?? 0 };
    for (const request of requests) outcomes.push(commitOne(db, request, counters));
    db.run(updateState, counters.lastSeq);
  });
  return outcomes;
}

function commitOne(db: Connection, request: CommitRequest, counters: Counters): CommitOutcome {
  const before = counters.lastSeq;
  db.run("savepoint request");
  try {
    const outcome = write(db, request, counters);
    db.run("release request");
    return outcome;
  } catch (cause) {
    db.run("rollback to request");
    db.run("release request");
    counters.lastSeq = before;
    typeIds.delete(db);
    return { ok: false, error: isCoded(cause) ? cause : storeError("Cannot write to the store", cause) };
  }
}

function write(db: Connection, request: CommitRequest, counters: Counters): CommitOutcome {
  const claim = checkClaims(db, request);
  const heads = new Map<string, Head>();
  for (const [traceId, sequence] of request.expected ?? []) {
    const head = readHead(db, traceId, heads);
    if ((head?.events ?? 0) !== sequence) throw fail("CLAIM_LOST", `Cannot write to trace "${traceId}": another writer was first`);
  }
  for (const blob of request.blobs ?? []) putBlobRow(db, blob);
  const events = request.events.map((draft) => append(db, { request, draft, heads, counters }));
  for (const [traceId, head] of heads) {
    const last = events.findLast((event) => event.draft.traceId === traceId);
    if (last !== undefined) db.run(updateTrace, head.events, fromHex(head.lastHash), last.draft.time, head.ordinal);
  }
  for (const change of request.changes) applyChange(db, change);
  const logIds = request.logs === undefined || request.logs.length === 0 ? [] : insertLogs(db, request.logs);
  if (request.release !== undefined) db.run("delete from claims where resource = ? and owner = ?", request.release.resource, request.release.owner);
  return { ok: true, events, claim, logIds };
}

function checkClaims(db: Connection, request: CommitRequest): Claim | null {
  if (request.fence !== undefined && !fenceHolds(db, request.fence))
    throw fail("CLAIM_LOST", `Cannot write for "${request.fence.resource}": the claim went to another process`);
  return request.acquire === undefined ? null : takeClaim(db, request.acquire);
}

function append(db: Connection, at: { request: CommitRequest; draft: EventDraft; heads: Map<string, Head>; counters: Counters }): CommittedEvent {
  const { draft, counters } = at;
  const head = readHead(db, draft.traceId, at.heads) ?? openTrace(db, at);
  const sequence = head.events;
  const { body, hash } = sealEvent(draft, sequence, head.lastHash);
  counters.lastSeq += 1;
  const seq = counters.lastSeq;
  const type = typeId(db, draft.type);
  db.run(insertEvent, seq, head.ordinal, sequence, idBytes(draft.eventId), type, severities.indexOf(draft.severity), draft.time, fromHex(hash), body);
  head.events += 1;
  head.lastHash = hash;
  return { seq, sequence, body, hash, draft };
}

function readHead(db: Connection, traceId: string, heads: Map<string, Head>): Head | null {
  const known = heads.get(traceId);
  if (known !== undefined) return known;
  const row = db.get<{ ordinal: number; events: number; last_hash: Uint8Array }>(selectHead, traceId);
  if (row === null) return null;
  const head = { ordinal: row.ordinal, events: row.events, lastHash: toHex(row.last_hash) };
  heads.set(traceId, head);
  return head;
}

function openTrace(db: Connection, at: { request: CommitRequest; draft: EventDraft; heads: Map<string, Head> }): Head {
  const { draft } = at;
  const opened = at.request.opens.get(draft.traceId);
  if (opened === undefined) throw fail("INTERNAL", `Cannot write ${draft.type}: trace "${draft.traceId}" does not exist`);
  const row = db.get<{ ordinal: number }>(insertTrace, draft.traceId, opened.subject, opened.subjectId, fromHex(firstPrevHash), draft.time);
  if (row === null) throw fail("INTERNAL", "Cannot open a trace: no row came back");
  const head = { ordinal: row.ordinal, events: 0, lastHash: firstPrevHash };
  at.heads.set(draft.traceId, head);
  return head;
}

function typeId(db: Connection, name: string): number {
  let ids = typeIds.get(db);
  if (ids === undefined) {
    ids = new Map();
    typeIds.set(db, ids);
  }
  const known = ids.get(name);
  if (known !== undefined) return known;
  const found = db.get<{ id: number }>("select id from event_types where name = ?", name) ??
    db.get<{ id: number }>("insert into event_types (name) values (?) returning id", name);
  if (found === null) throw fail("INTERNAL", "Cannot add an event type: no row came back");
  ids.set(name, found.id);
  return found.id;
}

function idBytes(id: string): Uint8Array {
  return fromHex(id.replaceAll("-", ""));
}

type EventRow = {
  seq: number; trace_id: string; sequence: number; event_id: Uint8Array; type: string; severity: number; time: number; hash: Uint8Array; body: string;
};
const eventColumns =
  "select e.seq, t.trace_id, e.sequence, e.event_id, y.name as type, e.severity, e.time, e.hash, e.body" +
  " from events e join traces t on t.ordinal = e.trace join event_types y on y.id = e.type";

function toStored(row: EventRow): StoredEvent {
  const severity = severities[row.severity] ?? "error";
  return { seq: row.seq, traceId: row.trace_id, sequence: row.sequence, type: row.type, severity, time: row.time, hash: toHex(row.hash), body: row.body };
}

export function selectEvents(db: Connection, selection: EventSelection): StoredEvent[] {
  const { where, bindings } = conditions(db, selection);
  const order = selection.traceId === undefined ? "e.seq" : "e.sequence";
  const page = selection.offset === undefined ? "" : ` offset ${Math.trunc(selection.offset)}`;
  const sql = `${eventColumns} where ${where} order by ${order} limit ${Math.trunc(selection.limit)}${page}`;
  return db.all<EventRow>(sql, ...bindings).map(toStored);
}

export function countEvents(db: Connection, selection: Omit<EventSelection, "limit" | "offset">): number {
  const { where, bindings } = conditions(db, selection);
  return db.get<{ n: number }>(`select count(*) as n from events e where ${where}`, ...bindings)?.n ?? 0;
}

function conditions(db: Connection, selection: Omit<EventSelection, "limit" | "offset">): { where: string; bindings: (string | number)[] } {
  const parts = ["1 = 1"];
  const bindings: (string | number)[] = [];
  const add = (sql: string, value: string | number) => {
    parts.push(sql);
    bindings.push(value);
  };
  if (selection.traceId !== undefined) add("e.trace = (select ordinal from traces where trace_id = ?)", selection.traceId);
  if (selection.afterSeq !== undefined) add("e.seq > ?", selection.afterSeq);
  if (selection.afterSequence !== undefined) add("e.sequence > ?", selection.afterSequence);
  if (selection.severity !== undefined) add("e.severity >= ?", severities.indexOf(selection.severity));
  if (selection.types !== undefined) {
    const ids = selection.types.map((name) => db.get<{ id: number }>("select id from event_types where name = ?", name)?.id ?? -1);
    parts.push(`e.type in (${ids.join(", ") || "-1"})`);
  }
  return { where: parts.join(" and "), bindings };
}

export function findEvent(db: Connection, eventId: string): StoredEvent | null {
  const row = db.get<EventRow>(`${eventColumns} where e.event_id = ?`, idBytes(eventId));
  return row === null ? null : toStored(row);
}

type HeadRow = { ordinal: number; trace_id: string; subject: Subject; subject_id: string; events: number; last_hash: Uint8Array; last_time: number };

function toHead(row: HeadRow): TraceHead {
  return {
    ordinal: row.ordinal, traceId: row.trace_id, subject: row.subject, subjectId: row.subject_id, events: row.events,
    lastHash: toHex(row.last_hash), lastTime: row.last_time,
  };
}

export function findTrace(db: Connection, traceId: string): TraceHead | null {
  const row = db.get<HeadRow>("select * from traces where trace_id = ?", traceId);
  return row === null ? null : toHead(row);
}

export function selectTraces(db: Connection, selection: { subject?: Subject; beforeOrdinal?: number; limit: number }): TraceHead[] {
  const before = selection.beforeOrdinal ?? Number.MAX_SAFE_INTEGER;
  const rows =
    selection.subject === undefined
      ? db.all<HeadRow>("select * from traces where ordinal < ? order by ordinal desc limit ?", before, selection.limit)
      : db.all<HeadRow>("select * from traces where subject = ? and ordinal < ? order by ordinal desc limit ?", selection.subject, before, selection.limit);
  return rows.map(toHead);
}

export function lastSeq(db: Connection): number {
  return db.get<{ last_seq: number }>(selectState)?.last_seq ?? 0;
}

const guards = ["events_no_update", "events_no_delete", "events_no_replace"];

export function missingGuards(db: Connection): string[] {
  const there = new Map(db.all<{ name: string; sql: string }>("select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'events'").map((r) => [r.name, r.sql]));
  return guards.filter((name) => !(there.get(name) ?? "").includes("raise(abort"));
}
