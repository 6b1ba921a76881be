// Reading the ledger: pages, filters and heads.
import { describe, expect, test } from "bun:test";
import { severities } from "../../src/model/index.ts";
import type { EventSelection, Store } from "../../src/storage/index.ts";
import { draftOf, nextId, openTrace, requestOf, startedAt, type TestTrace } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

/** Two traces in turn, ten events each; the severities go round, and every third event is of another type. */
async function fill(store: Store): Promise<[TestTrace, TestTrace]> {
  const [a, b] = [await openTrace(store), await openTrace(store, "session")];
  for (let index = 1; index < 10; index += 1) {
    const over = { severity: severities[index % 4] ?? "info", time: startedAt + index } as const;
    const type = index % 3 === 0 ? { type: "trace.server.stopped", payload: { reason: "x" } } : {};
    await store.commit([requestOf([draftOf(a, { ...over, ...type })]), requestOf([draftOf(b, { ...over, ...type })])]);
  }
  return [a, b];
}

const seqs = async (store: Store, selection: EventSelection) => (await store.listEvents(selection)).map((event) => event.seq);

export function eventCases(open: OpenStore): void {
  describe("events", () => {
    test("[CRA-0.23] are found by trace, place, severity and type, with counts and pages to fit", async () => {
      const store = await open();
      const [a] = await fill(store);
      const { traceId } = a;
      expect((await store.listEvents({ traceId, limit: 100 })).map((event) => event.sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect((await store.listEvents({ traceId, afterSequence: 4, limit: 3 })).map((event) => event.sequence)).toEqual([5, 6, 7]);
      expect((await store.listEvents({ traceId, limit: 4, offset: 8 })).map((event) => event.sequence)).toEqual([8, 9]);
      expect(await seqs(store, { afterSeq: 17, limit: 100 })).toEqual([18, 19, 20]);
      expect(await seqs(store, { afterSeq: 20, limit: 100 })).toEqual([]);
      expect(await seqs(store, { order: "desc", limit: 3 })).toEqual([20, 19, 18]);
      expect(await seqs(store, { beforeSeq: 18, afterSeq: 15, order: "desc", limit: 100 })).toEqual([17, 16]);
      expect(await seqs(store, { traceId, beforeSeq: 5, limit: 100 })).toEqual([1, 3]);
      expect(await store.countEvents({ beforeSeq: 18 })).toBe(17);
      const warn = { traceId, severity: "warn" as const };
      expect((await store.listEvents({ ...warn, limit: 100 })).map((event) => event.sequence)).toEqual([2, 3, 6, 7]);
      expect(await store.countEvents(warn)).toBe(4);
      expect((await store.listEvents({ ...warn, limit: 2, offset: 1 })).map((event) => event.sequence)).toEqual([3, 6]);
      const stopped = { types: ["trace.server.stopped", "trace.never.seen"] };
      expect((await store.listEvents({ traceId, ...stopped, limit: 100 })).map((event) => event.sequence)).toEqual([3, 6, 9]);
      expect(await store.countEvents(stopped)).toBe(6);
      expect(await store.countEvents({ types: [] })).toBe(0);
      expect(await store.listEvents({ types: [], limit: 5 })).toEqual([]);
      expect(await store.countEvents({ ...warn, ...stopped })).toBe(2);
      expect(await store.countEvents({ traceId, afterSequence: 6 })).toBe(3);
      expect(await store.countEvents({ traceId: nextId() })).toBe(0);
      expect(await store.listEventTypes()).toEqual(["trace.runtime.error", "trace.server.stopped"]);
    });

    test("one event is found by its id, with its columns and its bytes", async () => {
      const store = await open();
      const trace = await openTrace(store);
      const draft = draftOf(trace, { severity: "error", time: startedAt + 5, payload: { code: "X", message: "ünï�code" } });
      await store.commit([requestOf([draft])]);
      const found = await store.findEvent(draft.eventId);
      expect(found).toMatchObject({
        seq: 2,
        sequence: 1,
        eventId: draft.eventId,
        traceId: trace.traceId,
        type: draft.type,
        severity: "error",
        time: startedAt + 5,
      });
      expect(new TextDecoder().decode((await store.findEventBytes(2)) ?? undefined)).toBe(found?.body ?? "");
      expect(await store.findEventBytes(3)).toBeNull();
      expect(await store.findEvent(nextId())).toBeNull();
      expect(await store.findEvent("no id")).toBeNull();
    });

    test("heads name the last event of each trace, newest trace first", async () => {
      const store = await open();
      const [a, b] = await fill(store);
      const last = (await store.listEvents({ traceId: a.traceId, afterSequence: 8, limit: 1 }))[0];
      expect(await store.findTrace(a.traceId)).toMatchObject({
        traceId: a.traceId,
        subject: "execution",
        subjectId: a.traceId,
        events: 10,
        lastHash: last?.hash,
        lastTime: startedAt + 9,
      });
      expect(await store.findTrace(nextId())).toBeNull();
      const c = await openTrace(store);
      const ids = async (selection: Parameters<Store["listTraces"]>[0]) => (await store.listTraces(selection)).map((head) => head.traceId);
      expect(await ids({ limit: 10 })).toEqual([c.traceId, b.traceId, a.traceId]);
      expect(await ids({ subject: "execution", limit: 10 })).toEqual([c.traceId, a.traceId]);
      const [newest] = await store.listTraces({ limit: 1 });
      expect(await ids({ limit: 1, beforeOrdinal: newest?.ordinal ?? 0 })).toEqual([b.traceId]);
      expect(await ids({ subject: "objective", limit: 10 })).toEqual([]);
    });

    test("a whole store has its guards", async () => {
      expect(await (await open()).missingGuards()).toEqual([]);
    });
  });
}
