// The write side of the ledger in SQLite: appends sealed events in one transaction and applies what they fold to.
// Reading them back is in events.ts.
import { assert, type CodedError, fail, fromHex, isCoded, toHex } from "../../base/index.ts";
import { type EventDraft, firstPrevHash, sealEvent, severities } from "../../model/index.ts";
import type { Claim, CommitOutcome, CommitRequest, CommittedEvent } from "../ports.ts";
import { type BlobPlace, nameBlobFile, putBlobRow } from "./blobs.ts";
import { fenceHolds, releaseClaim, takeClaim } from "./claims.ts";
import { type Connection, isConstraint, storeError } from "./database.ts";
import { insertLogs } from "./logs.ts";
import { applyChange } from "./rows.ts";
import { requireKey, rotateKey } from "./secrets.ts";

type Head = { ordinal: number; events: number; lastHash: string; lastTime: number; isBuried: boolean; isChanged: boolean };

/** A connection that writes, with what it remembers of the store between transactions. */
export type Writer = {
  db: Connection;
  blobs: BlobPlace;
  /** A type is written once and never leaves, so an id once committed stays right. */
  typeIds: Map<string, number>;
  /** Right as long as no other connection has written, which `dataVersion` tells. */
  heads: Map<string, Head>;
  dataVersion: number;
  lastSeq: number;
};

const insertEvent = "insert into events (seq, trace, sequence, event_id, type, severity, time, hash, body) values (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const selectHead =
  "select ordinal, events, last_hash, exists (select 1 from burials b where b.trace = t.ordinal) as is_buried from traces t where trace_id = ?";
const insertTrace = "insert into traces (trace_id, subject, subject_id, events, last_hash, last_time) values (?, ?, ?, 0, ?, ?) returning ordinal";
const updateTrace = "update traces set events = ?, last_hash = ?, last_time = ? where ordinal = ?";
const selectState = "select last_seq from ledger_state where id = 1";
const updateState = "update ledger_state set last_seq = ? where id = 1";
const insertUse = "insert or ignore into blob_uses (sha256, trace) values (?, ?)";
const selectVersion = "pragma data_version";

/** Traces whose heads are remembered; more than are written at a time. */
const headsMax = 10_000;

export function newWriter(db: Connection, blobs: BlobPlace): Writer {
  return { db, blobs, typeIds: new Map(), heads: new Map(), dataVersion: -1, lastSeq: 0 };
}

/**
 * Appends all requests in one transaction; each stands or falls by itself. A savepoint makes SQLite copy every page it touches, so
 * the first try goes without; only when a request is refused is all taken back and written again with a savepoint around each.
 * @throws STORE_UNAVAILABLE when the transaction as a whole fails
 */
export function commitRequests(writer: Writer, requests: readonly CommitRequest[]): CommitOutcome[] {
  const attempt: { refusal: CodedError | null } = { refusal: null };
  try {
    return inTransaction(writer, () => requests.map((request) => writeOr(writer, request, (error) => (attempt.refusal = error))));
  } catch (cause) {
    if (attempt.refusal === null) throw cause;
    if (requests.length === 1) return [{ ok: false, error: attempt.refusal }];
  }
  return inTransaction(writer, () => requests.map((request) => writeInSavepoint(writer, request)));
}

function inTransaction(writer: Writer, work: () => CommitOutcome[]): CommitOutcome[] {
  const { db } = writer;
  try {
    return db.atomically(() => {
      lookAround(writer);
      const before = writer.lastSeq;
      const outcomes = work();
      if (writer.lastSeq !== before) db.run(updateState, writer.lastSeq);
      return outcomes;
    });
  } catch (cause) {
    forget(writer);
    throw cause;
  }
}

/** Inside the write lock: drops what another connection may have changed. */
function lookAround(writer: Writer): void {
  const version = writer.db.get<{ data_version: number }>(selectVersion)?.data_version ?? 0;
  if (version !== writer.dataVersion || writer.heads.size > headsMax) writer.heads.clear();
  writer.dataVersion = version;
  writer.lastSeq = writer.db.get<{ last_seq: number }>(selectState)?.last_seq ?? 0;
}

/** After a rollback: what was remembered may not be in the store. */
function forget(writer: Writer): void {
  writer.heads.clear();
  writer.typeIds.clear();
}

function writeOr(writer: Writer, request: CommitRequest, onRefusal: (error: CodedError) => void): CommitOutcome {
  try {
    return write(writer, request);
  } catch (cause) {
    const error = refusalOf(cause);
    onRefusal(error);
    throw error;
  }
}

function writeInSavepoint(writer: Writer, request: CommitRequest): CommitOutcome {
  const { db, lastSeq } = writer;
  db.run("savepoint request");
  try {
    const outcome = write(writer, request);
    db.run("release request");
    return outcome;
  } catch (cause) {
    db.run("rollback to request");
    db.run("release request");
    writer.lastSeq = lastSeq;
    forget(writer);
    return { ok: false, error: refusalOf(cause) };
  }
}

function refusalOf(cause: unknown): CodedError {
  if (isCoded(cause)) return cause;
  if (isConstraint(cause)) return fail("FOLD_FAILED", `Cannot write to the store: ${String(cause)}`, { cause });
  return storeError("Cannot write to the store", cause);
}

function write(writer: Writer, request: CommitRequest): CommitOutcome {
  const { db } = writer;
  const claim = checkClaims(db, request);
  if (request.sealedWith !== undefined) requireKey(db, request.sealedWith);
  if (request.rotation !== undefined) rotateKey(db, request.rotation);
  for (const [traceId, sequence] of request.expected ?? [])
    if (countEvents(writer, traceId) !== sequence) throw fail("CLAIM_LOST", `Cannot write to trace "${traceId}": another writer was first`);
  for (const blob of request.blobs ?? []) putBlobRow(db, writer.blobs, blob);
  for (const file of request.blobFiles ?? []) nameBlobFile(db, writer.blobs, file);
  const touched: Head[] = [];
  const events = request.events.map((draft) => append(writer, { request, draft, touched }));
  for (const head of touched) {
    db.run(updateTrace, head.events, fromHex(head.lastHash), head.lastTime, head.ordinal);
    head.isChanged = false;
  }
  if (request.buries !== undefined) bury(writer, request.buries, events);
  for (const change of request.changes) applyChange(db, change);
  const logIds = request.logs === undefined || request.logs.length === 0 ? [] : insertLogs(db, request.logs);
  if (request.release !== undefined) releaseClaim(db, request.release);
  return { ok: true, events, claim, logIds };
}

function checkClaims(db: Connection, request: CommitRequest): Claim | null {
  if (request.fence !== undefined && !fenceHolds(db, request.fence))
    throw fail("CLAIM_LOST", `Cannot write for "${request.fence.resource}": the claim went to another process`);
  return request.acquire === undefined ? null : takeClaim(db, request.acquire);
}

function append(writer: Writer, at: { request: CommitRequest; draft: EventDraft; touched: Head[] }): CommittedEvent {
  const { draft, request } = at;
  const head = findHead(writer, draft.traceId) ?? openTrace(writer, request, draft);
  if (head.isBuried) throw isRemoved(draft.traceId);
  const sequence = head.events;
  const { body, hash } = sealEvent(draft, sequence, head.lastHash);
  const type = typeId(writer, draft.type);
  writer.lastSeq += 1;
  const seq = writer.lastSeq;
  writer.db.run(
    insertEvent,
    seq,
    head.ordinal,
    sequence,
    idBytes(draft.eventId),
    type,
    severities.indexOf(draft.severity),
    draft.time,
    fromHex(hash),
    body,
  );
  for (const { uri, sha256 } of draft.artifacts ?? []) if (uri.startsWith("artifact:")) writer.db.run(insertUse, sha256, head.ordinal);
  head.events += 1;
  head.lastHash = hash;
  head.lastTime = draft.time;
  if (!head.isChanged) at.touched.push(head);
  head.isChanged = true;
  return { seq, sequence, body, hash, draft };
}

function findHead(writer: Writer, traceId: string): Head | null {
  const known = writer.heads.get(traceId);
  if (known !== undefined) return known;
  const row = writer.db.get<{ ordinal: number; events: number; last_hash: Uint8Array; is_buried: 0 | 1 }>(selectHead, traceId);
  if (row === null) return null;
  return remember(writer, traceId, { ordinal: row.ordinal, events: row.events, lastHash: toHex(row.last_hash), isBuried: row.is_buried === 1 });
}

function countEvents(writer: Writer, traceId: string): number {
  const head = findHead(writer, traceId);
  if (head?.isBuried) throw isRemoved(traceId);
  return head?.events ?? 0;
}

/** The first event is the tombstone: from here on the trace is gone for every reader, and its rows may leave. */
function bury(writer: Writer, traceId: string, [tombstone]: readonly CommittedEvent[]): void {
  const head = findHead(writer, traceId);
  assert(head !== null && tombstone !== undefined, "a trace that is there is buried with its tombstone");
  if (head.isBuried) throw isRemoved(traceId);
  writer.db.run("insert into tombstones (trace_id, event_seq) values (?, ?)", traceId, tombstone.seq);
  writer.db.run("insert into burials (trace) values (?)", head.ordinal);
  writer.heads.delete(traceId);
}

/** Whoever removes rows of traces: what is remembered of them is not true any more. */
export function forgetTraces(writer: Writer, traceIds: readonly string[]): void {
  for (const traceId of traceIds) writer.heads.delete(traceId);
}

function isRemoved(traceId: string): CodedError {
  return fail("ALREADY_EXISTS", `Cannot write to trace "${traceId}": it was removed, and does not come back`);
}

function openTrace(writer: Writer, request: CommitRequest, draft: EventDraft): Head {
  const opened = request.opens.get(draft.traceId);
  if (opened === undefined) throw fail("INTERNAL", `Cannot write ${draft.type}: trace "${draft.traceId}" does not exist`);
  if (writer.db.get("select 1 from tombstones where trace_id = ?", draft.traceId) !== null) throw isRemoved(draft.traceId);
  const row = writer.db.get<{ ordinal: number }>(insertTrace, draft.traceId, opened.subject, opened.subjectId, fromHex(firstPrevHash), draft.time);
  if (row === null) throw fail("INTERNAL", "Cannot open a trace: no row came back");
  return remember(writer, draft.traceId, { ordinal: row.ordinal, events: 0, lastHash: firstPrevHash, isBuried: false });
}

function remember(writer: Writer, traceId: string, found: Pick<Head, "ordinal" | "events" | "lastHash" | "isBuried">): Head {
  const head = { ...found, lastTime: 0, isChanged: false };
  writer.heads.set(traceId, head);
  return head;
}

function typeId(writer: Writer, name: string): number {
  const known = writer.typeIds.get(name);
  if (known !== undefined) return known;
  const { db } = writer;
  const found =
    db.get<{ id: number }>("select id from event_types where name = ?", name) ??
    db.get<{ id: number }>("insert into event_types (name) values (?) returning id", name);
  if (found === null) throw fail("INTERNAL", "Cannot add an event type: no row came back");
  writer.typeIds.set(name, found.id);
  return found.id;
}

/** The 16 bytes of a UUID. */
export function idBytes(id: string): Uint8Array {
  return fromHex(id.replaceAll("-", ""));
}
