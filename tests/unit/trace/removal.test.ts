// Verification of a store from which traces were removed: gaps are right where tombstones account for them, and nowhere else.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../../src/base/index.ts";
import type { Store } from "../../../src/storage/index.ts";
import { Ledger, verifyStore } from "../../../src/trace/index.ts";
import { codeOf, draftOf, newTrace, nextId, startedAt, type TestTrace } from "../../contract/requests.ts";
import { temporaryStores } from "../storage/temporary.ts";
import { openMemory } from "./history.ts";

const { open, path } = temporaryStores();
const digest = "a".repeat(64);

const ledgerOf = (store: Store) => new Ledger({ store, schedule: (work) => work() });

/** An execution that folds to rows: five events, one task run, one attempt, and a blob. */
async function execution(store: Store): Promise<TestTrace> {
  const trace = newTrace();
  const of = (type: string, payload: JsonObject) => draftOf(trace, { type: `trace.${type}`, payload: { execution_id: trace.traceId, ...payload } });
  const task = { task: "a", item_index: null, attempt: 1 };
  const trigger = { type: "manual", id: null, scheduled_at: null, by: null };
  const sandbox = { level: "strict", layers: [] };
  await ledgerOf(store).commit({
    opens: new Map([[trace.traceId, { subject: "execution", subjectId: trace.traceId }]]),
    events: [
      of("execution.created", { workflow: "hello", revision: 1, sha256: digest, trigger, inputs: { text: `${trace.traceId}${"x".repeat(20_000)}` } }),
      of("execution.started", {}),
      of("task.started", { ...task, action: "core/run", runtime: "process", permissions: [], sandbox }),
      of("task.succeeded", { ...task, output: null }),
      of("execution.succeeded", { outputs: {}, digest }),
    ],
  });
  return trace;
}

const ended = (store: Store) => store.listEnded({ state: "SUCCESS", until: startedAt, limit: 100 });

type Tombstone = { trace?: string; count?: number; into?: TestTrace; buries?: boolean; from?: number; to?: number };

/** Buries as clean-up does, or as one would who wants to deceive. */
async function bury(store: Store, trace: TestTrace, over: Tombstone = {}): Promise<void> {
  const one = (await ended(store)).find(({ executionId }) => executionId === trace.traceId);
  const system: TestTrace = over.into ?? { ...newTrace("system"), traceId: await store.systemTraceId() };
  const payload = {
    trace_id: over.trace ?? trace.traceId,
    subject: "execution",
    subject_id: over.trace ?? trace.traceId,
    count: over.count ?? one?.events ?? 0,
    first_seq: over.from ?? one?.firstSeq ?? 0,
    last_seq: over.to ?? one?.lastSeq ?? 0,
    last_hash: one?.lastHash ?? "0".repeat(64),
    reason: "cleanup",
    by: "user:alice",
  };
  await ledgerOf(store).commit({
    events: [draftOf(system, { type: "trace.ledger.pruned", payload })],
    opens: new Map([[system.traceId, { subject: "system", subjectId: system.traceId }]]),
    ...(over.buries === false ? {} : { buries: trace.traceId }),
  });
}

async function remove(store: Store): Promise<void> {
  while (!(await store.removeBuried(1000)).isDone);
}

const verify = (store: Store, over: { newest?: number; traceId?: string; state?: boolean } = {}) =>
  verifyStore(store, { traceId: null, state: over.newest === undefined, ...over }, openMemory);

/** What verification says, whether all of it is folded again or not. */
async function messageOf(store: Store): Promise<string | undefined> {
  const { problem } = await verify(store);
  expect((await verify(store, { state: false })).problem).toEqual(problem);
  return problem?.message;
}

/** A store of four executions, the second and third of which were removed; or a raw connection's work on one. */
async function removed(): Promise<{ at: string; store: Store; traces: TestTrace[] }> {
  const at = path();
  const store = open(at);
  const traces = [await execution(store), await execution(store), await execution(store), await execution(store)];
  for (const trace of traces.slice(1, 3)) await bury(store, trace);
  await remove(store);
  return { at, store, traces };
}

const guards = "drop trigger events_no_delete";

/** Takes a trace away as one who knows SQLite would. */
function steal(at: string, traceId: string, rows: string): void {
  const raw = new Database(at);
  const { sql = "" } = raw.query<{ sql: string }, []>("select sql from sqlite_schema where name = 'events_no_delete'").get() ?? {};
  raw.run(guards);
  raw.run(`delete from events where trace = (select ordinal from traces where trace_id = ?) and ${rows}`, [traceId]);
  for (const table of ["task_runs", "attempts", "executions"]) raw.run(`delete from ${table} where execution_id = ?`, [traceId]);
  if (rows === "true") raw.run("delete from traces where trace_id = ?", [traceId]);
  raw.run(sql);
  raw.close();
}

describe("[CRA-X01] verification of a store that traces left", () => {
  test("holds before, at every step, and after; what is left is whole", async () => {
    const store = open();
    const traces = [await execution(store), await execution(store), await execution(store)];
    expect((await verify(store)).ok).toBe(true);
    for (const trace of traces.slice(0, 2)) await bury(store, trace);
    for (let isDone = false; !isDone; ) {
      expect((await verify(store)).problem).toBeNull();
      expect((await verify(store, { newest: 4 })).problem).toBeNull();
      ({ isDone } = await store.removeBuried(1));
    }
    expect(await verify(store)).toMatchObject({ ok: true, events: 5 + 2, traces: 2, blobs: 1, problem: null });
    expect(await codeOf(verify(store, { traceId: traces[0]?.traceId ?? "" }))).toBe("TRACE_NOT_FOUND");
    for (let newest = 1; newest < 20; newest += 1) expect((await verify(store, { newest })).problem).toBeNull();
  });

  test("goes on with what comes after", async () => {
    const { store } = await removed();
    await execution(store);
    expect(await messageOf(store)).toBeUndefined();
  });

  test("finds a further trace that is missing, also where one was removed", async () => {
    const { at, store, traces } = await removed();
    steal(at, traces[0]?.traceId ?? "", "true");
    expect(await messageOf(store)).toStartWith("events 1 to 15 are missing");
  });

  test("finds a live trace's missing events also within the place of a removed one", async () => {
    const at = path();
    const store = open(at);
    const [gone, live] = [await execution(store), newTrace("session")];
    const opens = new Map([[live.traceId, { subject: "session" as const, subjectId: live.traceId }]]);
    const principal = { type: "service", id: "server" };
    const payload = { session_id: live.traceId, principal, scopes: [], ttl_seconds: null, expires_at: null };
    await ledgerOf(store).commit({ events: [draftOf(live, { type: "trace.session.started", payload })], opens });
    await bury(store, gone, { to: 6, count: 6 });
    // Its count is not that of its trace, so the database keeps the events; a person with the file in his hands does not.
    expect(await codeOf(remove(store))).toBe("STORE_UNAVAILABLE");
    steal(at, gone.traceId, "true");
    expect((await verify(store, { state: false })).problem?.message).toContain("5 events are missing, but the tombstones");
  });

  test("a tombstone elsewhere than in the system trace accounts for nothing", async () => {
    const at = path();
    const store = open(at);
    const [victim, other] = [await execution(store), await execution(store)];
    await execution(store);
    await bury(store, victim, { into: other });
    expect(await codeOf(remove(store))).toBe("STORE_UNAVAILABLE");
    expect(await messageOf(store)).toContain("hidden");
    steal(at, victim.traceId, "true");
    expect(await messageOf(store)).toStartWith("events 1 to 5 are missing");
  });

  for (const [name, over] of [
    ["too few", { count: 4 }],
    ["too many", { count: 6, to: 6 }],
    ["another trace's", { trace: nextId(), count: 4 }],
  ] as const)
    test(`finds a tombstone that counts ${name} events`, async () => {
      const at = path();
      const store = open(at);
      const victim = await execution(store);
      await execution(store);
      await bury(store, victim, { ...over, buries: false });
      steal(at, victim.traceId, "true");
      expect((await verify(store, { state: false })).problem?.message).toContain("events are missing");
    });

  test("finds a trace that was buried twice, and one that is shown although it was buried", async () => {
    const { store, traces } = await removed();
    const last = traces[3];
    if (last === undefined) throw new Error("four were made");
    const of = { count: 5, from: 16, to: 20 };
    await bury(store, last, { ...of, buries: false });
    expect(await messageOf(store)).toContain("is shown");
    await bury(store, last, of);
    expect(await messageOf(store)).toContain("twice");
  });

  test("finds a trace that was hidden by hand", async () => {
    const { at, store, traces } = await removed();
    const raw = new Database(at);
    raw.run("insert into burials select ordinal from traces where trace_id = ?", [traces[0]?.traceId ?? ""]);
    raw.close();
    expect(await messageOf(store)).toContain("hidden");
  });

  test("finds an execution that was put back into the tables", async () => {
    const { at, store, traces } = await removed();
    const raw = new Database(at);
    const [from, to] = [traces[0]?.traceId ?? "", traces[1]?.traceId ?? ""];
    raw.run("create temp table t as select * from executions where execution_id = ?", [from]);
    raw.run("update t set execution_id = ?", [to]);
    raw.run("insert into executions select * from t");
    raw.close();
    expect((await verify(store)).problem?.message).toContain(to);
  });
});
