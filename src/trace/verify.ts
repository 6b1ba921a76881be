// Proof that the ledger is what was written: the chain of each trace, the order of all, the guards, and the folded tables.
import { type CodedError, fail, isObject, type JsonObject, sha256Hex, toIso } from "../base/index.ts";
import { type EventDraft, firstPrevHash, type TraceEvent } from "../model/index.ts";
import { type KeyOf, keyColumns, type ProjectionName, projectionNames, type RowOf, type Store, type StoredEvent } from "../storage/index.ts";
import { catalogue } from "./catalogue/index.ts";

export type VerifyRequest = {
  /** One trace, or all. */
  traceId: string | null;
  /** Fold everything again into a fresh store and compare the tables, and the digest of every blob that an event names. */
  state: boolean;
};
export type VerifyProblem = { message: string; trace_id: string | null; seq: number | null; event_id: string | null; sequence: number | null; schema?: string[] };
export type VerifyReport = { ok: boolean; events: number; traces: number; tables: number; blobs: number; problem: VerifyProblem | null };

const pageSize = 2000;
type Link = { sequence: number; hash: string };
type Tally = { events: number; heads: Map<string, Link>; lastSeq: number };

class Broken extends Error {
  readonly problem: VerifyProblem;
  constructor(message: string, at: Partial<VerifyProblem> = {}) {
    super(message);
    this.problem = { message, trace_id: null, seq: null, event_id: null, sequence: null, ...at };
  }
}

/** Checks and reports; never throws for what it finds. `openFresh` gives an empty store to fold into. @throws TRACE_NOT_FOUND */
export async function verifyStore(store: Store, request: VerifyRequest, openFresh: () => Store): Promise<VerifyReport> {
  const report: VerifyReport = { ok: true, events: 0, traces: 0, tables: 0, blobs: 0, problem: null };
  if (request.traceId !== null && (await store.findTrace(request.traceId)) === null)
    throw fail("TRACE_NOT_FOUND", `Cannot verify trace "${request.traceId}": no such trace`);
  try {
    await checkGuards(store);
    const tally = await checkChain(store, request.traceId);
    report.events = tally.events;
    report.traces = tally.heads.size;
    await checkHeads(store, tally, request.traceId);
    if (request.state) await checkState(store, openFresh, report);
  } catch (cause) {
    report.ok = false;
    report.problem = cause instanceof Broken ? cause.problem : { ...new Broken(`The store cannot be read: ${String(cause)}`).problem };
  }
  return report;
}

/** The report as an error, for surfaces that fail by code. */
export function brokenChain(problem: VerifyProblem): CodedError {
  const where = problem.seq === null ? "" : ` at seq ${problem.seq}, event "${problem.event_id}"`;
  return fail("TRACE_CHAIN_BROKEN", `Verification failed${where}: ${problem.message}`, { details: { ...problem } });
}

async function checkGuards(store: Store): Promise<void> {
  const schema = await store.missingGuards();
  if (schema.length > 0) throw new Broken(`guards against changing events are missing: ${schema.join(", ")}`, { schema });
}

async function checkChain(store: Store, traceId: string | null): Promise<Tally> {
  const tally: Tally = { events: 0, heads: new Map(), lastSeq: 0 };
  const selection = traceId === null ? {} : { traceId };
  for (;;) {
    const page = await store.listEvents({ ...selection, afterSeq: tally.lastSeq, limit: pageSize });
    for (const event of page) {
      if (traceId === null && event.seq !== tally.lastSeq + 1)
        throw new Broken(`events ${tally.lastSeq + 1} to ${event.seq - 1} are missing before it`, placeOf(event));
      checkEvent(event, tally.heads.get(event.traceId) ?? { sequence: -1, hash: firstPrevHash });
      tally.heads.set(event.traceId, { sequence: event.sequence, hash: event.hash });
      tally.lastSeq = event.seq;
      tally.events += 1;
    }
    if (page.length < pageSize) return tally;
  }
}

function placeOf(event: StoredEvent): Partial<VerifyProblem> {
  const id = /"event_id":"([0-9a-f-]{36})"/.exec(event.body)?.[1] ?? null;
  return { trace_id: event.traceId, seq: event.seq, sequence: event.sequence, event_id: id };
}

/**
 * Hashes the stored bytes and reads the few members that the chain needs from their fixed places: behind the payload nothing
 * is free text, so the last `"prev_hash":"` is the event's own.
 */
function checkEvent(event: StoredEvent, before: Link): void {
  const wrong = (message: string) => new Broken(message, placeOf(event));
  if (sha256Hex(event.body) !== event.hash) throw wrong("its bytes do not have its hash");
  if (event.sequence !== before.sequence + 1) throw wrong(`its sequence is ${event.sequence}, but ${before.sequence + 1} comes next in its trace`);
  const tail = `"prev_hash":"${before.hash}","sequence":${event.sequence},`;
  const at = event.body.lastIndexOf('"prev_hash":"');
  if (!event.body.startsWith(tail, at)) throw wrong("it does not follow the event before it");
  const end = event.body.slice(at + tail.length);
  if (!end.includes(`"time":"${toIso(event.time)}"`) || !end.includes(`"severity":"${event.severity}"`) || !end.includes(`"trace_id":"${event.traceId}"`))
    throw wrong("its columns differ from its bytes");
  if (!event.body.slice(0, at).includes(`"event_type":"${event.type}","payload":`)) throw wrong("its type differs from its bytes");
}

async function checkHeads(store: Store, tally: Tally, traceId: string | null): Promise<void> {
  for (const [id, link] of tally.heads) {
    const head = await store.findTrace(id);
    if (head === null || head.events !== link.sequence + 1 || head.lastHash !== link.hash)
      throw new Broken(`the last event of the trace is not the one its head names`, { trace_id: id, sequence: link.sequence });
  }
  if (traceId !== null) return;
  const last = await store.lastSeq();
  if (last !== tally.lastSeq) throw new Broken(`events ${tally.lastSeq + 1} to ${last} are missing at the end`);
}

async function checkState(store: Store, openFresh: () => Store, report: VerifyReport): Promise<void> {
  const fresh = openFresh();
  try {
    await foldAgain(store, fresh, report);
    for (const table of projectionNames) {
      await compareTable(store, fresh, table);
      report.tables += 1;
    }
  } finally {
    await fresh.close();
  }
}

async function foldAgain(store: Store, fresh: Store, report: VerifyReport): Promise<void> {
  let after = 0;
  const seen = new Set<string>();
  for (;;) {
    const page = await store.listEvents({ afterSeq: after, limit: pageSize });
    const changes = page.flatMap((event) => {
      const draft = toDraft(JSON.parse(event.body) as TraceEvent);
      return catalogue.get(draft.type)?.project(draft) ?? [];
    });
    await fresh.apply(changes);
    for (const event of page) report.blobs += await checkBlobs(store, event, seen);
    after = page.at(-1)?.seq ?? after;
    if (page.length < pageSize) return;
  }
}

async function checkBlobs(store: Store, event: StoredEvent, seen: Set<string>): Promise<number> {
  if (!event.body.includes('"artifacts":[')) return 0;
  let count = 0;
  for (const artifact of (JSON.parse(event.body) as TraceEvent).artifacts ?? []) {
    if (!artifact.uri.startsWith("artifact:") || seen.has(artifact.sha256)) continue;
    seen.add(artifact.sha256);
    const blob = await store.findBlob(artifact.sha256);
    if (blob === null) throw new Broken(`its blob "${artifact.sha256}" is missing`, placeOf(event));
    if (sha256Hex(blob.bytes) !== artifact.sha256) throw new Broken(`its blob "${artifact.sha256}" has other bytes`, placeOf(event));
    count += 1;
  }
  return count;
}

async function compareTable<T extends ProjectionName>(store: Store, fresh: Store, table: T): Promise<void> {
  let after: KeyOf<T> | null = null;
  for (;;) {
    const ours: RowOf<T>[] = await store.dump(table, after, pageSize);
    const theirs: RowOf<T>[] = await fresh.dump(table, after, pageSize);
    for (let index = 0; index < Math.max(ours.length, theirs.length); index += 1) compareRow(table, ours[index], theirs[index]);
    const last: RowOf<T> | undefined = ours.at(-1);
    if (last === undefined || ours.length < pageSize) return;
    after = keyOf(table, last);
  }
}

function compareRow(table: ProjectionName, stored: object | undefined, folded: object | undefined): void {
  if (JSON.stringify(stored) === JSON.stringify(folded)) return;
  const row = stored ?? folded;
  const key = row === undefined ? "" : JSON.stringify(keyOf(table, row));
  const how = stored === undefined ? "is missing" : folded === undefined ? "follows from no event" : "differs from what the events fold to";
  throw new Broken(`the row ${key} of table ${table} ${how}`);
}

function keyOf<T extends ProjectionName>(table: T, row: object): KeyOf<T> {
  const cells = row as Record<string, unknown>;
  return Object.fromEntries(keyColumns[table].map((column) => [column, cells[column]])) as KeyOf<T>;
}

/** A stored event as a draft again. */
export function toDraft(event: TraceEvent): EventDraft {
  const draft: EventDraft = {
    eventId: event.event_id, type: event.event_type, traceId: event.trace.trace_id, spanId: event.trace.span_id, parentSpanId: event.trace.parent_span_id,
    sessionId: event.session_id, actor: event.actor, severity: event.severity, time: Date.parse(event.time),
    payload: isObject(event.payload) ? (event.payload as JsonObject) : {},
  };
  if (event.artifacts !== undefined) draft.artifacts = event.artifacts;
  if (event.atlas !== undefined) draft.atlas = event.atlas;
  return draft;
}
