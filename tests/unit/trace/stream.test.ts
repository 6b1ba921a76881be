// Streams: nothing lost and nothing twice, from any start, however slow the reader and however many write.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TraceEvent } from "../../../src/model/index.ts";
import { openSqliteStore, type Store } from "../../../src/storage/index.ts";
import { type EventStreamRequest, Ledger, matchesType, selectionOf, streamEvents } from "../../../src/trace/index.ts";
import { codeOf, draftOf, nextId, openTrace, startedAt, type TestTrace } from "../../contract/requests.ts";
import { openMemory } from "./history.ts";

const soon = (work: () => void) => void setImmediate(work);

type Deps = { store: Store; ledger: Ledger };
const openDeps = (store = openMemory()): Deps => ({ store, ledger: new Ledger({ store, schedule: soon }) });

/** Reads so many events, then leaves. */
async function take(
  deps: Deps,
  request: Partial<EventStreamRequest>,
  count: number,
  pause?: () => Promise<void>,
): Promise<{ seq: number; text: string }[]> {
  const stop = new AbortController();
  const got: { seq: number; text: string }[] = [];
  for await (const event of streamEvents(deps, { traceId: null, ...request }, stop.signal)) {
    got.push(event);
    if (got.length >= count) break;
    await pause?.();
  }
  return got;
}

const write = (deps: Deps, trace: TestTrace, times: number) =>
  Promise.all(Array.from({ length: times }, () => deps.ledger.commit({ events: [draftOf(trace)] })));
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("[CRA-0.24] [CRA-X06] streams", () => {
  test("resume exactly, at any point, while many write", async () => {
    const deps = openDeps();
    const trace = await openTrace(deps.store);
    const reading = (async () => {
      const seen: { seq: number; text: string }[] = [];
      while (seen.length < 1000)
        seen.push(...(await take(deps, { sinceSeq: seen.at(-1)?.seq ?? 0 }, Math.min(1 + ((seen.length * 7) % 90), 1000 - seen.length))));
      return seen;
    })();
    const writer = async () => {
      for (let round = 0; round < 37; round += 1) await write(deps, trace, 9);
    };
    await Promise.all([writer(), writer(), writer()]);
    const seen = await reading;
    expect(seen.map((event) => event.seq)).toEqual(upTo(1, 1000));
    expect(seen.map((event) => (JSON.parse(event.text) as TraceEvent).seq)).toEqual(upTo(1, 1000));
  });

  test("a slow reader gets everything, also what was written while it slept", async () => {
    const deps = openDeps();
    const trace = await openTrace(deps.store);
    let writes = 0;
    const pause = async () => {
      if (writes < 60) await write(deps, trace, 10);
      writes += 1;
    };
    expect((await take(deps, { sinceSeq: 0 }, 601, pause)).map((event) => event.seq)).toEqual(upTo(1, 601));
  });

  test("without a start there is only what comes from now on", async () => {
    const deps = openDeps();
    const trace = await openTrace(deps.store);
    for (const traceId of [null, trace.traceId]) {
      await write(deps, trace, 3);
      const before = await deps.store.lastSeq();
      const stop = new AbortController();
      const stream = streamEvents(deps, { traceId }, stop.signal);
      const next = stream.next();
      // The stream has looked where the store ends before it waits.
      for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => soon(resolve));
      await write(deps, trace, 1);
      const { value } = await next;
      expect(value).toMatchObject({ seq: before + 1 });
      stop.abort();
      expect((await stream.next()).done).toBe(true);
    }
  });

  test("of one trace give that one, from a sequence or a seq", async () => {
    const deps = openDeps();
    const [a, b] = [await openTrace(deps.store), await openTrace(deps.store)];
    for (let round = 0; round < 5; round += 1) {
      await write(deps, a, 1);
      await write(deps, b, 1);
    }
    const sequences = async (request: Partial<EventStreamRequest>, count: number) =>
      (await take(deps, { traceId: b.traceId, ...request }, count)).map((event) => (JSON.parse(event.text) as TraceEvent).sequence);
    expect(await sequences({ sinceSequence: -1 }, 6)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await sequences({ sinceSequence: 2 }, 3)).toEqual([3, 4, 5]);
    expect(await sequences({ sinceSeq: 4 }, 4)).toEqual([2, 3, 4, 5]);
    expect(await sequences({ sinceSeq: 4, sinceSequence: 3 }, 2)).toEqual([4, 5]);
    const pending = take(deps, { traceId: b.traceId, sinceSequence: 5 }, 2);
    await write(deps, a, 3);
    await write(deps, b, 2);
    expect((await pending).map((event) => (JSON.parse(event.text) as TraceEvent).sequence)).toEqual([6, 7]);
  });

  test("filters hold while the stream goes on, and what they leave out is not read again", async () => {
    const store = openMemory();
    const asked: number[] = [];
    const spied: Store = {
      ...store,
      listEvents: (selection) => {
        asked.push(selection.afterSeq ?? -1);
        return store.listEvents(selection);
      },
    };
    const deps = openDeps(spied);
    const trace = await openTrace(store);
    const pending = take(deps, { sinceSeq: 0, severity: "warn", eventType: "runtime.*" }, 2);
    await write(deps, trace, 30);
    await deps.ledger.commit({
      events: [draftOf(trace, { severity: "error", type: "trace.server.stopped", payload: { reason: "x" } }), draftOf(trace, { severity: "warn" })],
    });
    await write(deps, trace, 30);
    await deps.ledger.commit({ events: [draftOf(trace, { severity: "error" })] });
    expect((await pending).map((event) => event.seq)).toEqual([33, 64]);
    expect(asked).toEqual(asked.toSorted((x, y) => x - y));
    expect(asked.at(-1)).toBe(63);
  });

  test("an abort ends them at once, waiting or reading, and leaves no listener", async () => {
    const deps = openDeps();
    const trace = await openTrace(deps.store);
    const stop = new AbortController();
    const waiting = take(deps, { sinceSeq: 1 }, 1);
    const stream = streamEvents(deps, { traceId: null, sinceSeq: 1 }, stop.signal);
    const next = stream.next();
    await Promise.resolve();
    stop.abort();
    expect((await next).done).toBe(true);
    await write(deps, trace, 1);
    expect((await waiting).length).toBe(1);
    const aborted = streamEvents(deps, { traceId: null, sinceSeq: 0 }, AbortSignal.abort());
    expect((await aborted.next()).done).toBe(true);
    const reading = new AbortController();
    const got: number[] = [];
    for await (const event of streamEvents(deps, { traceId: null, sinceSeq: 0 }, reading.signal)) {
      got.push(event.seq);
      reading.abort();
    }
    expect(got).toEqual([1]);
  });

  test("hear of another process's writes when told to look", async () => {
    const folder = mkdtempSync(join(tmpdir(), "stream-"));
    const [ours, theirs] = [1, 2].map(() => openSqliteStore({ path: join(folder, "store.db"), durability: "normal", now: startedAt }));
    if (ours === undefined || theirs === undefined) throw new Error("two stores are needed");
    const deps = openDeps(ours);
    const trace = await openTrace(ours);
    const token = await ours.changeToken();
    const pending = take(deps, { sinceSeq: 1 }, 1);
    await theirs.commit([{ events: [draftOf(trace)], opens: new Map(), changes: [] }]);
    expect(await ours.changeToken()).not.toBe(token);
    deps.ledger.announceExternal();
    expect((await pending).map((event) => event.seq)).toEqual([2]);
    await ours.close();
    await theirs.close();
    rmSync(folder, { recursive: true });
  });

  test("an unknown trace or severity is refused", async () => {
    const deps = openDeps();
    expect(await codeOf(take(deps, { traceId: nextId() }, 1))).toBe("TRACE_NOT_FOUND");
    expect(await codeOf(take(deps, { severity: "loud" }, 1))).toBe("BAD_REQUEST");
  });
});

describe("[CRA-0.19] globs of event types", () => {
  const globs: [string, string[], string[]][] = [
    ["carp.*", ["trace.carp.resolve.requested", "trace.carp.policy.denied"], ["trace.task.started", "trace.carpet"]],
    ["trace.task.*", ["trace.task.started"], ["trace.execution.started"]],
    ["task.started", ["trace.task.started"], ["trace.task.started.x", "task.started"]],
    ["*failed", ["trace.task.failed", "trace.action.failed"], ["trace.task.failed_once", "trace.task.started"]],
    ["*", ["trace.a.b"], []],
    ["trace.*.started", ["trace.task.started", "trace.a.b.started"], ["trace.task.ended"]],
    ["task.st?rted", ["trace.task.started"], ["trace.task.strted"]],
    ["task.(started|failed)", [], ["trace.task.started"]],
    ["task.[a-z]*", [], ["trace.task.started"]],
    ["", [], ["trace.task.started"]],
    ["**.failed", ["trace.task.failed"], ["trace.task.failedx"]],
    ["traceable.*", ["trace.traceable.x"], ["trace.able.x", "traceable.x"]],
  ];
  for (const [glob, fits, others] of globs)
    test(`"${glob}"`, () => {
      expect([fits.map((type) => matchesType(glob, type)), others.map((type) => matchesType(glob, type))]).toEqual([
        fits.map(() => true),
        others.map(() => false),
      ]);
    });

  test("find types of the catalogue and those that a newer version wrote", async () => {
    const deps = openDeps();
    const trace = await openTrace(deps.store);
    await deps.store.commit([{ events: [draftOf(trace, { type: "trace.later.failed" })], opens: new Map(), changes: [] }]);
    const { types } = await selectionOf(deps.store, { eventType: "*.failed" });
    expect(types?.toSorted()).toEqual(["trace.execution.failed", "trace.later.failed", "trace.task.failed"]);
  });

  test("many stars take no time", () => {
    const type = `trace.${"a".repeat(200)}`;
    expect(matchesType(`${"*a".repeat(30)}b`, type)).toBe(false);
  });
});
