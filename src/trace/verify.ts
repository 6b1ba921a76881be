// Proof that the ledger is what was written: the chain of each trace, the order of all, the guards, and the folded tables.
import { type CodedError, fail, isObject, type JsonObject, sha256Hex, startSha256, toIso } from "../base/index.ts";
import { type EventDraft, firstPrevHash, type TraceEvent } from "../model/index.ts";
import {
  type KeyOf,
  keyColumns,
  type OpenedBlob,
  type ProjectionName,
  projectionNames,
  type RowChange,
  type RowOf,
  type Store,
  type StoredEvent,
  type TraceHead,
} from "../storage/index.ts";
import { catalogue } from "./catalogue/index.ts";
import { Tombstones } from "./tombstones.ts";

export type VerifyRequest = {
  /** One trace, or all. */
  traceId: string | null;
  /** Only so many of the newest events, which must follow those before them. */
  newest?: number;
  /** Fold everything again into a fresh store and compare the tables, and the digest of every blob that an event names. */
  state: boolean;
};
export type VerifyProblem = {
  message: string;
  trace_id: string | null;
  seq: number | null;
  event_id: string | null;
  sequence: number | null;
  /** Guards of the database that are missing or changed. */
  schema?: string[];
};
export type VerifyReport = { ok: boolean; events: number; traces: number; tables: number; blobs: number; problem: VerifyProblem | null };

const pageSize = 2000;
type Link = { sequence: number; hash: string; time: number; subject: string };
const noLink: Link = { sequence: -1, hash: firstPrevHash, time: 0, subject: "" };
/** `missing`: events that a gap has room for. */
type Tally = { events: number; heads: Map<string, Link>; lastSeq: number; missing: number };

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
  const missing = await store.missingGuards();
  let view: Store | null = null;
  try {
    // Others go on writing meanwhile: what is compared must be of one moment.
    view = await store.snapshot();
    const start = request.newest === undefined ? 0 : Math.max(0, (await view.lastSeq()) - request.newest);
    const tombstones = await Tombstones.read(view, start);
    const tally = await checkChain(view, request, { start, tombstones });
    report.events = tally.events;
    report.traces = tally.heads.size;
    await checkHeads(view, request, { tally, tombstones });
    if (request.state) await checkState(view, openFresh, { report, tombstones });
    if (missing.length > 0) throw new Broken(`guards against changing events are missing or changed: ${missing.join(", ")}`);
  } catch (cause) {
    report.ok = false;
    report.problem = cause instanceof Broken ? cause.problem : new Broken(`the store cannot be read: ${String(cause)}`).problem;
    // Told whatever else was found: the event that was changed, and that its guard was taken away.
    if (missing.length > 0) report.problem.schema = missing;
  } finally {
    await view?.close();
  }
  return report;
}

/** The report as an error, for surfaces that fail by code. */
export function brokenChain(problem: VerifyProblem): CodedError {
  const where = problem.seq === null ? "" : ` at seq ${problem.seq}, event "${problem.event_id}"`;
  return fail("TRACE_CHAIN_BROKEN", `Verification failed${where}: ${problem.message}`, { details: { ...problem } });
}

async function checkChain(
  store: Store,
  { traceId, newest }: VerifyRequest,
  { start, tombstones }: { start: number; tombstones: Tombstones },
): Promise<Tally> {
  const tally: Tally = { events: 0, heads: new Map(), lastSeq: start, missing: 0 };
  const selection = traceId === null ? {} : { traceId };
  for (;;) {
    const page = await store.listEvents({ ...selection, afterSeq: tally.lastSeq, limit: pageSize });
    for (const event of page) {
      if (traceId === null) checkGap(event, tally, tombstones);
      const before = tally.heads.get(event.traceId) ?? (start === 0 ? noLink : await findLinkBefore(store, event));
      checkEvent(event, before);
      await checkBytes(store, event);
      const subject = before === noLink ? subjectOf(event) : before.subject;
      tally.heads.set(event.traceId, { sequence: event.sequence, hash: event.hash, time: event.time, subject });
      tally.lastSeq = event.seq;
      tally.events += 1;
    }
    if (page.length < pageSize) break;
  }
  if (traceId === null && newest === undefined) checkMissing(tally, tombstones);
  return tally;
}

/** Events may be missing only where a tombstone says that its trace had some. */
function checkGap(event: StoredEvent, tally: Tally, tombstones: Tombstones): void {
  if (event.seq === tally.lastSeq + 1) return;
  const gap = { from: tally.lastSeq + 1, to: event.seq - 1 };
  if (!tombstones.covers(gap)) throw new Broken(`events ${gap.from} to ${gap.to} are missing before it`, placeOf(event));
  tally.missing += gap.to - gap.from + 1;
}

/** As many as all tombstones together say have left; within a live trace its own chain shows what is missing. */
function checkMissing({ heads, missing }: Tally, tombstones: Tombstones): void {
  if (tombstones.doubled !== null) throw new Broken("the trace was removed twice", { trace_id: tombstones.doubled });
  const gone = tombstones.countMissing((traceId) => (heads.get(traceId)?.sequence ?? -1) + 1);
  if (gone !== missing) throw new Broken(`${missing} events are missing, but the tombstones of removed traces account for ${gone ?? "fewer"}`);
}

/** Of an event whose trace began before the ones that are checked. */
async function findLinkBefore(store: Store, { traceId, sequence }: StoredEvent): Promise<Link> {
  const [before] = sequence === 0 ? [] : await store.listEvents({ traceId, afterSequence: sequence - 2, limit: 1 });
  if (before === undefined) return noLink;
  const head = await store.findTrace(traceId);
  // A trace that is being removed has no head any more.
  const subject = head === null ? "" : `${head.subject} ${head.subjectId}`;
  return { sequence: before.sequence, hash: before.hash, time: before.time, subject };
}

/** Who a trace is about follows from its first event. */
function subjectOf(event: StoredEvent): string {
  if (event.type === "trace.execution.created") return `execution ${event.traceId}`;
  if (event.type !== "trace.session.started") return `system ${event.traceId}`;
  return `session ${String((JSON.parse(event.body) as TraceEvent).payload["session_id"])}`;
}

function placeOf(event: StoredEvent): Partial<VerifyProblem> {
  return { trace_id: event.traceId, seq: event.seq, sequence: event.sequence, event_id: idIn(event.body) ?? event.eventId };
}

/** Before the payload nothing is called like this, and quotes within texts are escaped: the first is the event's own. */
function idIn(body: string): string | null {
  return /"event_id":"([0-9a-f-]{36})"/.exec(body)?.[1] ?? null;
}

/**
 * Hashes the stored bytes and reads the few members that the columns and the chain need from their fixed places: behind the payload
 * nothing is free text, so the last `"prev_hash":"` is the event's own, and before it only the first `"event_type":"`.
 */
function checkEvent(event: StoredEvent, before: Link): void {
  const wrong = (message: string) => new Broken(message, placeOf(event));
  const { body } = event;
  if (sha256Hex(body) !== event.hash) throw wrong("its bytes do not have its hash");
  if (event.sequence !== before.sequence + 1) throw wrong(`its sequence is ${event.sequence}, but ${before.sequence + 1} comes next in its trace`);
  const tail = `"prev_hash":"${before.hash}","sequence":${event.sequence},`;
  const at = body.lastIndexOf('"prev_hash":"');
  if (!body.startsWith(tail, at)) throw wrong("it does not follow the event before it");
  const columns = [`"severity":"${event.severity}","time":"${timeText(event.time)}"`, `"trace_id":"${event.traceId}"`];
  if (columns.some((column) => !body.includes(column, at))) throw wrong("its columns differ from its bytes");
  if (!body.startsWith(`"event_type":"${event.type}","payload":`, body.indexOf('"event_type":"'))) throw wrong("its type differs from its bytes");
  if (idIn(body) !== event.eventId) throw wrong("its id differs from its bytes");
}

/** Empty for a number that is no time: it then differs from every event's. */
function timeText(at: number): string {
  return Math.abs(at) <= 8.64e15 ? toIso(at) : "";
}

/** Bytes that are no UTF-8 read as U+FFFD: where that character stands, the bytes themselves decide. */
async function checkBytes(store: Store, event: StoredEvent): Promise<void> {
  if (!event.body.includes("\uFFFD")) return;
  const bytes = await store.findEventBytes(event.seq);
  if (bytes === null || sha256Hex(bytes) !== event.hash) throw new Broken("its bytes do not have its hash", placeOf(event));
}

type Found = { tally: Tally; tombstones: Tombstones };

/** Each trace's head must name its last event, also of traces that have lost all of theirs. */
async function checkHeads(store: Store, { traceId, newest }: VerifyRequest, { tally, tombstones }: Found): Promise<void> {
  if (traceId !== null) {
    const head = await store.findTrace(traceId);
    if (head !== null) checkHead(head, tally);
    return;
  }
  const last = await store.lastSeq();
  if (last !== tally.lastSeq) throw new Broken(`events ${tally.lastSeq + 1} to ${last} are missing at the end`, { seq: tally.lastSeq + 1 });
  const live = [...tally.heads.keys()].filter((id) => !tombstones.has(id));
  if (newest !== undefined) {
    for (const id of live) {
      const head = await store.findTrace(id);
      if (head !== null) checkHead(head, tally);
    }
    return;
  }
  const shown = await checkAllHeads(store, { tally, tombstones });
  const hidden = live.find((id) => !shown.has(id));
  if (hidden !== undefined) throw new Broken("the trace is hidden, but no tombstone says that it was removed", { trace_id: hidden });
}

async function checkAllHeads(store: Store, { tally, tombstones }: Found): Promise<Set<string>> {
  const shown = new Set<string>();
  let before = Number.MAX_SAFE_INTEGER;
  for (;;) {
    const page = await store.listTraces({ beforeOrdinal: before, limit: pageSize });
    for (const head of page) {
      if (tombstones.has(head.traceId))
        throw new Broken("the trace is shown, but its tombstone says that it was removed", { trace_id: head.traceId });
      checkHead(head, tally);
      shown.add(head.traceId);
    }
    before = page.at(-1)?.ordinal ?? 0;
    if (page.length < pageSize) return shown;
  }
}

function checkHead(head: TraceHead, tally: Tally): void {
  const link = tally.heads.get(head.traceId) ?? noLink;
  const isWhole = head.events === link.sequence + 1 && head.lastHash === link.hash && (head.events === 0 || head.lastTime === link.time);
  if (isWhole && (head.events === 0 || `${head.subject} ${head.subjectId}` === link.subject)) return;
  if (isWhole) throw new Broken("the trace's subject is not the one that its first event names", { trace_id: head.traceId, sequence: 0 });
  throw new Broken("the last event of the trace is not the one that its head names", { trace_id: head.traceId, sequence: link.sequence + 1 });
}

type Folding = { report: VerifyReport; tombstones: Tombstones };

async function checkState(store: Store, openFresh: () => Store, folding: Folding): Promise<void> {
  const fresh = openFresh();
  try {
    await foldAgain(store, fresh, folding);
    for (const table of projectionNames) {
      await compareTable(rowsOf(store, table, folding.tombstones), rowsOf(fresh, table, folding.tombstones), table);
      folding.report.tables += 1;
    }
  } finally {
    await fresh.close();
  }
}

/** What is left of a trace that is being removed folds to nothing. */
async function foldAgain(store: Store, fresh: Store, { report, tombstones }: Folding): Promise<void> {
  let after = 0;
  const seen = new Set<string>();
  for (;;) {
    const page = await store.listEvents({ afterSeq: after, limit: pageSize });
    const live = page.filter((event) => !tombstones.has(event.traceId));
    await foldPage(fresh, live);
    for (const event of live) report.blobs += await checkBlobs(store, event, seen);
    after = page.at(-1)?.seq ?? after;
    if (page.length < pageSize) return;
  }
}

/** In one step, since that is many times faster; one by one only to name the event that does not fit. */
async function foldPage(fresh: Store, page: readonly StoredEvent[]): Promise<void> {
  try {
    await fresh.apply(page.flatMap(changesOf));
  } catch {
    for (const event of page)
      try {
        await fresh.apply(changesOf(event));
      } catch (cause) {
        throw new Broken(`it cannot be folded: ${String(cause)}`, placeOf(event));
      }
  }
}

function changesOf(event: StoredEvent): RowChange[] {
  const draft = toDraft(JSON.parse(event.body) as TraceEvent);
  return catalogue.get(draft.type)?.project(draft) ?? [];
}

async function checkBlobs(store: Store, event: StoredEvent, seen: Set<string>): Promise<number> {
  if (!event.body.includes('"artifacts":[')) return 0;
  let count = 0;
  for (const artifact of (JSON.parse(event.body) as TraceEvent).artifacts ?? []) {
    if (!artifact.uri.startsWith("artifact:") || seen.has(artifact.sha256)) continue;
    seen.add(artifact.sha256);
    const blob = await store.openBlob(artifact.sha256);
    if (blob === null) throw new Broken(`its blob "${artifact.sha256}" is missing`, placeOf(event));
    if ((await digestOf(blob)) !== artifact.sha256) throw new Broken(`its blob "${artifact.sha256}" has other bytes`, placeOf(event));
    count += 1;
  }
  return count;
}

/** Files are read piece by piece: they may be larger than memory. */
async function digestOf(blob: OpenedBlob): Promise<string> {
  if (blob.path === null) return sha256Hex(blob.bytes);
  const sha256 = startSha256();
  for await (const piece of blob.pieces()) sha256.update(piece);
  return sha256.hex();
}

/** Rows in key order. Those of a trace that is being removed are on their way out; its execution must be gone from the first. */
async function* rowsOf<T extends ProjectionName>(store: Store, table: T, tombstones: Tombstones): AsyncGenerator<RowOf<T>> {
  let after: KeyOf<T> | null = null;
  for (;;) {
    const page: RowOf<T>[] = await store.dump(table, after, pageSize);
    for (const row of page) {
      const { execution_id: id } = row as { execution_id?: string };
      if (table === "executions" || id === undefined || !tombstones.has(id)) yield row;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = keyOf(table, last);
  }
}

async function compareTable(stored: AsyncGenerator<object>, folded: AsyncGenerator<object>, table: ProjectionName): Promise<void> {
  for (;;) {
    const [ours, theirs] = [await stored.next(), await folded.next()];
    if (ours.done === true && theirs.done === true) return;
    compareRow(table, ours.done === true ? undefined : ours.value, theirs.done === true ? undefined : theirs.value);
  }
}

function compareRow(table: ProjectionName, stored: object | undefined, folded: object | undefined): void {
  if (JSON.stringify(stored) === JSON.stringify(folded)) return;
  const key = (row: object | undefined) => (row === undefined ? "none" : JSON.stringify(keyOf(table, row)));
  const [ours, theirs] = [key(stored), key(folded)];
  if (ours === theirs) throw new Broken(`the row ${ours} of table ${table} differs from what the events fold to`);
  throw new Broken(`table ${table} differs from what the events fold to: its next row is ${ours}, theirs ${theirs}`);
}

function keyOf<T extends ProjectionName>(table: T, row: object): KeyOf<T> {
  const cells = row as Record<string, unknown>;
  return Object.fromEntries(keyColumns[table].map((column) => [column, cells[column]])) as KeyOf<T>;
}

/** A stored event as a draft again. */
export function toDraft(event: TraceEvent): EventDraft {
  const draft: EventDraft = {
    eventId: event.event_id,
    type: event.event_type,
    traceId: event.trace.trace_id,
    spanId: event.trace.span_id,
    parentSpanId: event.trace.parent_span_id,
    sessionId: event.session_id,
    actor: event.actor,
    severity: event.severity,
    time: Date.parse(event.time),
    payload: isObject(event.payload) ? (event.payload as JsonObject) : {},
  };
  if (event.artifacts !== undefined) draft.artifacts = event.artifacts;
  if (event.atlas !== undefined) draft.atlas = event.atlas;
  return draft;
}
