// Traces that leave: hidden at once by their tombstone, then taken in portions, with whatever nothing else names.
import { describe, expect, test } from "bun:test";
import { sha256Hex } from "../../src/base/index.ts";
import type { EventDraft } from "../../src/model/index.ts";
import type { EndedExecution, RowOf, Store } from "../../src/storage/index.ts";
import { draftOf, executionRow, insertOf, logOf, newTrace, nextId, openingOf, outcomeOf, requestOf, startedAt, type TestTrace } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

type Ending = { state?: RowOf<"executions">["state"]; endedAt?: number | null; parent?: string; blobs?: string[]; logs?: number; tasks?: number };

const artifactsOf = (texts: readonly string[]) =>
  texts.map((text) => ({ name: text, uri: `artifact:${sha256Hex(text)}`, sha256: sha256Hex(text), content_type: "text/plain" }));

/** An execution of two events, with rows of every kind. */
async function execution(store: Store, ending: Ending = {}): Promise<TestTrace> {
  const { state = "SUCCESS", endedAt = startedAt, parent = null, blobs = [], logs = 1, tasks = 1 } = ending;
  const trace = newTrace();
  const id = trace.traceId;
  const row = executionRow({
    execution_id: id,
    state,
    ended_at: endedAt,
    parent: parent === null ? null : JSON.stringify({ execution_id: parent, task: "t" }),
  });
  const taskOf = (item: number) => ({ execution_id: id, task: "each", item_index: item });
  const over = {
    changes: [
      insertOf(row),
      ...Array.from({ length: tasks }, (_, item) => [
        {
          table: "task_runs" as const,
          op: "insert" as const,
          row: { ...taskOf(item), state: "SUCCESS" as const, reason: null, due_at: null, output: null, error: null },
        },
        {
          table: "attempts" as const,
          op: "insert" as const,
          row: {
            ...taskOf(item),
            attempt: 1,
            started_at: startedAt,
            ended_at: startedAt,
            duration_ms: 1,
            error: null,
            runtime: "process",
            sandbox: "{}",
            log_sha256: null,
            log_lines: null,
          },
        },
      ]).flat(),
      { table: "commands" as const, op: "insert" as const, row: commandOf(id) },
      {
        table: "sealed_values" as const,
        op: "insert" as const,
        row: { ...taskOf(-1), member: "inputs", key_id: "a".repeat(32), nonce: new Uint8Array(12), ciphertext: new Uint8Array(3) },
      },
    ],
    blobs: blobs.map((text) => ({ sha256: sha256Hex(text), bytes: new TextEncoder().encode(text), contentType: "text/plain" })),
  };
  const opened = await store.commit([openingOf(trace, over), requestOf([draftOf(trace, { artifacts: artifactsOf(blobs) })])]);
  expect([outcomeOf(opened), outcomeOf(opened, 1)]).toEqual(["ok", "ok"]);
  await store.appendLogs(Array.from({ length: logs }, () => logOf(trace)));
  return trace;
}

function commandOf(executionId: string): RowOf<"commands"> {
  return { command_id: nextId(), execution_id: executionId, kind: "cancel", body: "{}", by: "user:alice", created_at: startedAt };
}

function ended(store: Store, over: Partial<Parameters<Store["listEnded"]>[0]> = {}): Promise<EndedExecution[]> {
  return store.listEnded({ state: "SUCCESS", until: startedAt + 1000, limit: 100, ...over });
}

/** The store's system trace, opened with its first event. */
async function systemOf(store: Store): Promise<TestTrace> {
  const trace = { ...newTrace("system"), traceId: await store.systemTraceId() };
  await store.commit([openingOf(trace)]);
  return trace;
}

function tombstone(system: TestTrace, one: EndedExecution): EventDraft {
  const payload = { trace_id: one.executionId, count: one.events, first_seq: one.firstSeq, last_seq: one.lastSeq, last_hash: one.lastHash };
  return draftOf(system, { type: "trace.ledger.pruned", payload });
}

async function bury(store: Store, system: TestTrace, one: EndedExecution): Promise<string> {
  const changes = [{ table: "executions" as const, op: "delete" as const, key: { execution_id: one.executionId } }];
  const expected = new Map([[one.executionId, one.events]]);
  return outcomeOf(await store.commit([requestOf([tombstone(system, one)], { changes, expected, buries: one.executionId })]));
}

async function buryAll(store: Store): Promise<void> {
  const system = await systemOf(store);
  for (const one of await ended(store)) expect(await bury(store, system, one)).toBe("ok");
}

/** Everything that is left of a trace. */
async function leftOf(store: Store, { traceId }: TestTrace): Promise<Record<string, number>> {
  return {
    heads: (await store.findTrace(traceId)) === null ? 0 : 1,
    executions: (await store.findExecution(traceId)) === null ? 0 : 1,
    events: (await store.listEvents({ limit: 10_000 })).filter((event) => event.traceId === traceId).length,
    logs: (await store.listLogs({ executionId: traceId, order: "asc", limit: 10_000 })).length,
    tasks: (await store.listTaskRuns(traceId)).length,
    attempts: (await store.listAttempts(traceId)).length,
    commands: (await store.listCommands(traceId)).length,
    sealed: (await store.listSealed(traceId)).length,
  };
}
const nothing = { heads: 0, executions: 0, events: 0, logs: 0, tasks: 0, attempts: 0, commands: 0, sealed: 0 };

export function removalCases(open: OpenStore): void {
  describe("what has ended", () => endedCases(open));
  describe("a buried trace", () => {
    buriedCases(open);
    leavingCases(open);
  });
}

function endedCases(open: OpenStore): void {
  test("is listed by its end, page by page, with what its tombstone says", async () => {
    const store = await open();
    const late = await execution(store, { endedAt: startedAt + 5 });
    const early = await execution(store);
    await execution(store, { state: "FAILED" });
    await execution(store, { state: "RUNNING", endedAt: null });
    await execution(store, { endedAt: startedAt + 2000 });
    const all = await ended(store);
    expect(all.map((one) => one.executionId)).toEqual([early.traceId, late.traceId]);
    const first = await ended(store, { limit: 1 });
    expect([...first, ...(await ended(store, { limit: 1, ...(first[0] === undefined ? {} : { after: first[0] }) }))]).toEqual(all);
    const [event] = await store.listEvents({ traceId: early.traceId, afterSequence: 0, limit: 1 });
    expect(all[0]).toEqual({
      executionId: early.traceId,
      endedAt: startedAt,
      events: 2,
      firstSeq: (event?.seq ?? 0) - 1,
      lastSeq: event?.seq ?? 0,
      lastHash: event?.hash ?? "",
    });
    expect((await ended(store, { until: startedAt })).length).toBe(1);
    expect((await ended(store, { until: startedAt - 1 })).length).toBe(0);
  });

  test("is left out while its parent goes on", async () => {
    const store = await open();
    const [running, over] = [await execution(store, { state: "RUNNING", endedAt: null }), await execution(store)];
    await execution(store, { parent: running.traceId });
    const child = await execution(store, { parent: over.traceId });
    const orphan = await execution(store, { parent: nextId() });
    expect((await ended(store)).map((one) => one.executionId)).toEqual([over.traceId, child.traceId, orphan.traceId]);
  });

  test("what an execution that goes on was restarted from is known", async () => {
    const store = await open();
    const from = [nextId(), nextId(), nextId()];
    for (const [index, endedAt] of [null, startedAt, null].entries()) {
      const trace = newTrace();
      const row = executionRow({ execution_id: trace.traceId, state: endedAt === null ? "RUNNING" : "FAILED", ended_at: endedAt });
      const payload = index === 2 ? {} : { restarted_from: { execution_id: from[index] ?? "", task: null } };
      expect(outcomeOf(await store.commit([openingOf(trace, { changes: [insertOf(row)] }, { payload })]))).toBe("ok");
    }
    expect(await store.listRestarted()).toEqual(from.slice(0, 1));
  });
}

function buriedCases(open: OpenStore): void {
  test("is hidden at once, takes nothing more, and its id does not come back", async () => {
    const store = await open();
    const trace = await execution(store);
    await buryAll(store);
    const { heads, executions, events } = await leftOf(store, trace);
    expect({ heads, executions, events }).toEqual({ heads: 0, executions: 0, events: 2 });
    expect((await store.listTraces({ limit: 10 })).map((head) => head.traceId)).not.toContain(trace.traceId);
    const refused = async () => outcomeOf(await store.commit([openingOf(trace, { expected: new Map([[trace.traceId, 0]]) })]));
    expect([outcomeOf(await store.commit([requestOf([draftOf(trace)])])), await refused()]).toEqual(["ALREADY_EXISTS", "ALREADY_EXISTS"]);
    expect(await store.removeBuried(1000)).toMatchObject({ isDone: true, traces: 1 });
    expect(await refused()).toBe("ALREADY_EXISTS");
  });

  test("is buried once, and not when it grew meanwhile", async () => {
    const store = await open();
    const trace = await execution(store);
    const system = await systemOf(store);
    const [one] = await ended(store);
    if (one === undefined) throw new Error("nothing has ended");
    await store.commit([requestOf([draftOf(trace)])]);
    expect(await bury(store, system, one)).toBe("CLAIM_LOST");
    const [again] = await ended(store);
    expect([await bury(store, system, again ?? one), await bury(store, system, again ?? one)]).toEqual(["ok", "ALREADY_EXISTS"]);
    expect(await store.findTrace(trace.traceId)).toBeNull();
  });
}

function leavingCases(open: OpenStore): void {
  for (const rows of [1, 7, 100_000])
    test(`leaves in portions of ${rows} rows, and only it`, async () => {
      const store = await open();
      const traces = [await execution(store, { logs: 30, tasks: 20 }), await execution(store)];
      await buryAll(store);
      const other = await execution(store, { logs: 3, tasks: 2 });
      const before = await leftOf(store, other);
      let taken = { rows: 0, traces: 0 };
      for (let isDone = false; !isDone; ) {
        const portion = await store.removeBuried(rows);
        expect(portion.rows).toBeLessThanOrEqual(rows + 1);
        taken = { rows: taken.rows + portion.rows, traces: taken.traces + portion.traces };
        isDone = portion.isDone;
      }
      expect(taken).toEqual({ rows: 30 + 40 + 2 + 2 + 1 + (1 + 2 + 2 + 2 + 1), traces: 2 });
      for (const trace of traces) expect(await leftOf(store, trace)).toEqual(nothing);
      expect(await leftOf(store, other)).toEqual(before);
      expect(await store.removeBuried(rows)).toEqual({ rows: 0, traces: 0, blobs: 0, isDone: true });
    });

  test("takes the blobs that nothing else names", async () => {
    const store = await open();
    const own = "b".repeat(100);
    await execution(store, { blobs: ["shared by two that go", own, "shared with one that stays", "shared with the system"] });
    await execution(store, { blobs: ["shared by two that go"] });
    await execution(store, { state: "FAILED", blobs: ["shared with one that stays"] });
    const system = await systemOf(store);
    await store.commit([requestOf([draftOf(system, { artifacts: artifactsOf(["shared with the system"]) })])]);
    for (const one of await ended(store)) expect(await bury(store, system, one)).toBe("ok");
    expect(await store.removeBuried(1000)).toMatchObject({ isDone: true, blobs: 2 });
    const there = async (text: string) => (await store.findBlob(sha256Hex(text))) !== null;
    expect([await there(own), await there("shared by two that go")]).toEqual([false, false]);
    expect([await there("shared with one that stays"), await there("shared with the system")]).toEqual([true, true]);
  });
}
