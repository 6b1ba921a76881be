// Commits: each request of a batch stands or falls by itself, numbers have no gaps, chains hold.
import { describe, expect, test } from "bun:test";
import { sha256Hex } from "../../src/base/index.ts";
import { firstPrevHash, type TraceEvent } from "../../src/model/index.ts";
import type { CommitRequest, Store } from "../../src/storage/index.ts";
import { draftOf, executionRow, insertOf, logOf, newTrace, nextId, openingOf, openTrace, outcomeOf, requestOf } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

/** Every event in store order must follow the one before it in its trace, and seq must count from 1. */
export async function expectWhole(store: Store): Promise<number> {
  const heads = new Map<string, { sequence: number; hash: string }>();
  const events = await store.listEvents({ limit: 10_000 });
  for (const [index, event] of events.entries()) {
    const before = heads.get(event.traceId) ?? { sequence: -1, hash: firstPrevHash };
    const body = JSON.parse(event.body) as TraceEvent;
    expect(event.seq).toBe(index + 1);
    expect(event.sequence).toBe(before.sequence + 1);
    expect(body.prev_hash).toBe(before.hash);
    expect(event.hash).toBe(sha256Hex(event.body));
    heads.set(event.traceId, event);
  }
  for (const [traceId, last] of heads) expect((await store.findTrace(traceId))?.lastHash).toBe(last.hash);
  expect(await store.lastSeq()).toBe(events.length);
  return events.length;
}

export function commitCases(open: OpenStore): void {
  placeCases(open);
  refusalCases(open);
}

function placeCases(open: OpenStore): void {
  describe("commit", () => {
    test("gives events their place and returns the stored bytes", async () => {
      const store = await open();
      const trace = newTrace();
      const outcomes = await store.commit([openingOf(trace), requestOf([draftOf(trace), draftOf(trace)])]);
      const committed = outcomes.flatMap((outcome) => (outcome.ok ? outcome.events : []));
      expect(committed.map((event) => [event.seq, event.sequence])).toEqual([
        [1, 0],
        [2, 1],
        [3, 2],
      ]);
      const stored = await store.listEvents({ limit: 10 });
      expect(stored.map((event) => event.body)).toEqual(committed.map((event) => event.body));
      expect(stored.map((event) => event.hash)).toEqual(committed.map((event) => event.hash));
      expect(stored.map((event) => event.eventId)).toEqual(committed.map((event) => event.draft.eventId));
      expect(await expectWhole(store)).toBe(3);
    });

    test("the expected sequence lets one of two writers through, within a batch and across batches", async () => {
      const store = await open();
      const trace = newTrace();
      const expecting = (sequence: number) => new Map([[trace.traceId, sequence]]);
      const outcomes = await store.commit([
        openingOf(trace, { expected: expecting(0) }),
        openingOf(trace, { expected: expecting(0) }),
        requestOf([draftOf(trace)], { expected: expecting(1) }),
      ]);
      expect(outcomes.map((_, index) => outcomeOf(outcomes, index))).toEqual(["ok", "CLAIM_LOST", "ok"]);
      expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { expected: expecting(1) })]))).toBe("CLAIM_LOST");
      expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { expected: expecting(2) })]))).toBe("ok");
      expect(await expectWhole(store)).toBe(3);
    });

    test("an event for a trace that nobody opened is refused", async () => {
      const store = await open();
      expect(outcomeOf(await store.commit([requestOf([draftOf(newTrace())])]))).toBe("INTERNAL");
      expect(await store.lastSeq()).toBe(0);
    });

    test("an event id is taken once", async () => {
      const store = await open();
      const trace = await openTrace(store);
      const eventId = nextId();
      expect(outcomeOf(await store.commit([requestOf([draftOf(trace, { eventId })])]))).toBe("ok");
      expect(outcomeOf(await store.commit([requestOf([draftOf(trace, { eventId })])]))).toBe("FOLD_FAILED");
      expect(await expectWhole(store)).toBe(2);
    });

    test("a request of several traces moves the head of each", async () => {
      const store = await open();
      const [a, b] = [await openTrace(store), await openTrace(store, "system")];
      await store.commit([requestOf([draftOf(a), draftOf(b), draftOf(a, { time: startedLater })])]);
      expect((await store.findTrace(a.traceId))?.events).toBe(3);
      expect((await store.findTrace(a.traceId))?.lastTime).toBe(startedLater);
      expect((await store.findTrace(b.traceId))?.events).toBe(2);
      expect(await expectWhole(store)).toBe(5);
    });

    test("an empty batch and a request without events are no work", async () => {
      const store = await open();
      expect(await store.commit([])).toEqual([]);
      expect(await store.commit([requestOf([])])).toEqual([{ ok: true, events: [], claim: null, logIds: [] }]);
      expect(await store.lastSeq()).toBe(0);
    });
  });
}

function refusalCases(open: OpenStore): void {
  describe("commit", () => {
    const refusals: [string, (taken: string) => Partial<CommitRequest>][] = [
      ["CLAIM_LOST", () => ({ fence: { resource: "x", owner: "nobody", version: 1 } })],
      ["ALREADY_EXISTS", (taken) => ({ changes: [insertOf(executionRow({ execution_id: taken }))] })],
      ["FOLD_FAILED", () => ({ changes: [{ table: "executions", op: "update", key: { execution_id: nextId() }, set: { state: "RUNNING" } }] })],
      ["EXECUTION_NOT_FOUND", () => ({ logs: [logOf(newTrace())] })],
    ];
    for (const [code, over] of refusals)
      for (const at of [0, 1, 2])
        test(`a request refused with ${code} at place ${at} of a batch leaves no trace of itself and the others whole`, async () => {
          const store = await open();
          const taken = executionRow();
          await store.apply([insertOf(taken)]);
          const shared = await openTrace(store);
          const [before, after] = [executionRow(), executionRow()];
          const bad = openingOf(newTrace(), over(taken.execution_id));
          const events = [...bad.events, draftOf(shared, { type: "trace.server.stopped", payload: { reason: "bad" } })];
          const blob = { sha256: sha256Hex("bad"), bytes: new TextEncoder().encode("bad"), contentType: "text/plain" };
          const good = [requestOf([draftOf(shared)], { changes: [insertOf(before)] }), requestOf([draftOf(shared)], { changes: [insertOf(after)] })];
          const batch = good.toSpliced(at, 0, { ...bad, events, blobs: [blob] });
          const outcomes = await store.commit(batch);
          expect(outcomes.map((_, index) => outcomeOf(outcomes, index))).toEqual(["ok", "ok"].toSpliced(at, 0, code));
          expect(await expectWhole(store)).toBe(3);
          expect((await store.findTrace(shared.traceId))?.events).toBe(3);
          expect(await store.listEventTypes()).toEqual(["trace.runtime.error"]);
          expect(await store.findBlob(blob.sha256)).toBeNull();
          for (const row of [before, after]) expect(await store.findExecution(row.execution_id)).toEqual(row);
          expect(outcomeOf(await store.commit([requestOf([draftOf(shared, { type: "trace.server.stopped", payload: { reason: "x" } })])]))).toBe(
            "ok",
          );
          expect(await expectWhole(store)).toBe(4);
        });

    test("a batch in which every request is refused writes nothing", async () => {
      const store = await open();
      const bad = () => openingOf(newTrace(), { fence: { resource: "x", owner: "nobody", version: 1 } });
      const outcomes = await store.commit([bad(), bad(), bad()]);
      expect(outcomes.map((_, index) => outcomeOf(outcomes, index))).toEqual(["CLAIM_LOST", "CLAIM_LOST", "CLAIM_LOST"]);
      expect(await store.lastSeq()).toBe(0);
      expect(await store.listTraces({ limit: 10 })).toEqual([]);
    });

    test("a refusal leaves the changes before it in the same request undone", async () => {
      const store = await open();
      const row = executionRow();
      const outcomes = await store.commit([requestOf([], { changes: [insertOf(row), insertOf(row)] })]);
      expect(outcomeOf(outcomes)).toBe("ALREADY_EXISTS");
      expect(await store.findExecution(row.execution_id)).toBeNull();
    });
  });
}

const startedLater = Date.parse("2026-01-02T03:04:06.000Z");
