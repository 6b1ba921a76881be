// The newest events of the whole store: filtered before they are counted, page after page backwards, in a store of any size.
import { expect, test } from "bun:test";
import type { TraceEvent } from "../../../src/model/index.ts";
import type { Store } from "../../../src/storage/index.ts";
import { listNewestEvents, type NewestRequest } from "../../../src/trace/index.ts";
import { codeOf, draftOf, openTrace, requestOf, type TestTrace } from "../../contract/requests.ts";
import { openMemory } from "./history.ts";

const soon = (work: () => void) => void setImmediate(work);

async function newest(store: Store, request: NewestRequest) {
  const { events, hasMore } = await listNewestEvents({ store, soon }, request);
  return { seqs: events.map((text) => (JSON.parse(text) as TraceEvent).seq), hasMore };
}

const write = (store: Store, trace: TestTrace, count: number) =>
  store.commit([requestOf(Array.from({ length: count }, () => draftOf(trace, { severity: "debug" })))]);

test("come from all traces, oldest first, and go on backwards", async () => {
  const store = openMemory();
  expect(await newest(store, { limit: 5 })).toEqual({ seqs: [], hasMore: false });
  const traces = [await openTrace(store, "system"), await openTrace(store), await openTrace(store)];
  for (const trace of traces) await write(store, trace, 2);
  expect(await newest(store, { limit: 4 })).toEqual({ seqs: [6, 7, 8, 9], hasMore: true });
  expect(await newest(store, { limit: 4, beforeSeq: 6 })).toEqual({ seqs: [2, 3, 4, 5], hasMore: true });
  expect(await newest(store, { limit: 4, beforeSeq: 2 })).toEqual({ seqs: [1], hasMore: false });
  expect(await newest(store, { limit: 9 })).toEqual({ seqs: [1, 2, 3, 4, 5, 6, 7, 8, 9], hasMore: false });
});

test("are found however many others came since, a bounded piece of the store at a time", async () => {
  const store = openMemory();
  const pieces: number[] = [];
  const spied: Store = {
    ...store,
    listEvents: (selection) => {
      pieces.push((selection.beforeSeq ?? Number.POSITIVE_INFINITY) - (selection.afterSeq ?? 0) - 1);
      return store.listEvents(selection);
    },
  };
  const [system, other] = [await openTrace(store, "system"), await openTrace(store)];
  await store.commit([
    requestOf([draftOf(system, { type: "trace.secret.written", payload: { name: "A" } }), draftOf(system, { severity: "error" })]),
  ]);
  await write(store, other, 25_000);
  expect(await newest(spied, { eventType: "secret.*", limit: 50 })).toEqual({ seqs: [3], hasMore: false });
  expect(pieces).toEqual([10_000, 10_000, 5004]);
  expect(await newest(store, { severity: "error", limit: 1 })).toEqual({ seqs: [4], hasMore: false });
  expect(await newest(store, { severity: "info", limit: 1 })).toEqual({ seqs: [4], hasMore: true });
  expect(await codeOf(newest(store, { severity: "loud", limit: 1 }))).toBe("BAD_REQUEST");
});
