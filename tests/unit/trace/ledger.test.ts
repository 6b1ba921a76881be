// The write door: commits that arrive together share a transaction, large values become blobs, and only what fits is written.
import { describe, expect, test } from "bun:test";
import { canonicalJson, limits, sha256Hex } from "../../../src/base/index.ts";
import type { EventDraft, TraceEvent } from "../../../src/model/index.ts";
import type { Store } from "../../../src/storage/index.ts";
import { Ledger, type LedgerCommit, readBlob, restorePayload } from "../../../src/trace/index.ts";
import { expectWhole } from "../../contract/commit-cases.ts";
import { codeOf, draftOf, logOf, newTrace, openTrace } from "../../contract/requests.ts";
import { openMemory } from "./history.ts";

const soon = (work: () => void) => void setImmediate(work);

/** A ledger on a fresh store that notes how many requests each transaction took. */
function openCounted(schedule = soon): { store: Store; ledger: Ledger; batches: number[] } {
  const store = openMemory();
  const batches: number[] = [];
  const counted: Store = {
    ...store,
    commit: (requests) => {
      batches.push(requests.length);
      return store.commit(requests);
    },
  };
  return { store, ledger: new Ledger({ store: counted, schedule }), batches };
}

const opening = (over: Partial<EventDraft> = {}): LedgerCommit => {
  const trace = newTrace();
  return { events: [draftOf(trace, over)], opens: new Map([[trace.traceId, { subject: "execution", subjectId: trace.traceId }]]) };
};
const withPayload = (payload: EventDraft["payload"]) =>
  opening({ type: "trace.server.started", payload: { version: "1", system_trace_id: newTrace().traceId, stack: null, ...payload } });

describe("group commit", () => {
  test("commits that arrive together share transactions, keep their order and their outcomes", async () => {
    const { store, ledger, batches } = openCounted();
    const trace = await openTrace(store);
    const wishes = Array.from(
      { length: 300 },
      (_, index): LedgerCommit => ({
        events: [draftOf(trace, { payload: { code: "X", message: String(index) } })],
        ...(index % 10 === 3 ? { fence: { resource: "none", owner: "me", version: 1 } } : {}),
      }),
    );
    const outcomes = await Promise.all(wishes.map((wish) => codeOf(ledger.commit(wish))));
    expect(outcomes).toEqual(wishes.map((_, index) => (index % 10 === 3 ? "CLAIM_LOST" : "ok")));
    expect(batches).toEqual([128, 128, 44]);
    const messages = (await store.listEvents({ traceId: trace.traceId, afterSequence: 0, limit: 500 })).map(
      (event) => (JSON.parse(event.body) as TraceEvent).payload["message"],
    );
    expect(messages).toEqual(wishes.map((_, index) => String(index)).filter((text) => Number(text) % 10 !== 3));
    expect(await expectWhole(store)).toBe(271);
  });

  test("between two transactions the event loop gets its turn", async () => {
    const { ledger, batches } = openCounted();
    const loop = { turns: 0 };
    const ticker = setInterval(() => (loop.turns += 1), 0);
    // Ends only when the timer got its turn while these three never stopped writing.
    const chain = async () => {
      while (loop.turns < 3) await ledger.commit(opening());
    };
    await Promise.all([chain(), chain(), chain()]);
    clearInterval(ticker);
    expect(Math.max(...batches)).toBe(3);
  });

  test("a commit larger than a transaction's bound goes alone", async () => {
    const { ledger, batches } = openCounted();
    const trace = newTrace();
    const large: LedgerCommit = {
      events: Array.from({ length: limits.commitOperationsMax + 10 }, () => draftOf(trace)),
      opens: new Map([[trace.traceId, { subject: "execution", subjectId: "x" }]]),
    };
    await Promise.all([ledger.commit(opening()), ledger.commit(large), ledger.commit(opening())]);
    expect(batches).toEqual([1, 1, 1]);
  });

  test("a transaction that fails as a whole rejects all of its commits, and the next one goes on", async () => {
    const store = openMemory();
    let isBroken = true;
    const fragile: Store = { ...store, commit: (requests) => (isBroken ? Promise.reject(new Error("disk")) : store.commit(requests)) };
    const ledger = new Ledger({ store: fragile, schedule: soon });
    expect(await Promise.all([1, 2].map(() => codeOf(ledger.commit(opening()))))).toEqual(["Error: disk", "Error: disk"]);
    isBroken = false;
    expect(await codeOf(ledger.commit(opening()))).toBe("ok");
  });

  test("a blob file that cannot be written rejects its own commit only", async () => {
    const store = openMemory();
    const full: Store = { ...store, writeBlobFile: () => Promise.reject(new Error("no space")) };
    const ledger = new Ledger({ store: full, schedule: soon });
    const large = withPayload({ stack: "x".repeat(limits.blobRowBytesMax + 1) });
    expect(await Promise.all([opening(), large, opening()].map((wish) => codeOf(ledger.commit(wish))))).toEqual(["ok", "Error: no space", "ok"]);
    expect(await expectWhole(store)).toBe(2);
  });

  test("listeners hear what was written, in order, and nothing of what was refused; settle waits for all", async () => {
    const { store, ledger } = openCounted();
    const trace = await openTrace(store);
    const heard: string[] = [];
    const off = ledger.listen(({ events, logs, external }) =>
      heard.push(...events.map((event) => String(event.seq)), ...logs.map((line) => line.message), ...(external ? ["external"] : [])),
    );
    void ledger.commit({ events: [draftOf(trace)], logs: [logOf(trace, { message: "log" })] });
    void ledger.commit({ events: [draftOf(trace)], fence: { resource: "none", owner: "me", version: 1 } }).catch(() => undefined);
    void ledger.commit({ events: [draftOf(trace)] });
    await ledger.settle();
    ledger.announceExternal();
    off();
    await ledger.commit({ events: [draftOf(trace)] });
    expect(heard).toEqual(["2", "3", "log", "external"]);
  });
});

describe("[CRA-1.03] [CRA-T03] what does not fit is not written", () => {
  const misfits: [string, Partial<EventDraft>][] = [
    ["an unknown type", { type: "trace.never.declared" }],
    ["a payload without a member", { payload: { code: "X" } }],
    ["a payload member of another type", { payload: { code: 1, message: "x" } }],
    ["an event id that is none", { eventId: "x" }],
    ["a span that is none", { spanId: 'a"b' }],
    ["a parent that is none", { parentSpanId: "" }],
    ["a session that is none", { sessionId: "s" }],
    ["an actor without id", { actor: { type: "user", id: "" } }],
    ["a time that is none", { time: Number.NaN }],
    ["a time with fractions", { time: 1.5 }],
    ["a time beyond the year 9999", { time: 1e15 }],
  ];
  for (const [name, over] of misfits)
    test(name, async () => {
      const { store, ledger } = openCounted();
      expect(await codeOf(ledger.commit(opening(over)))).toBe("INTERNAL");
      expect(await store.lastSeq()).toBe(0);
    });

  for (const bad of [2 ** 53, -(2 ** 53), 1e300, Number.NaN, Number.POSITIVE_INFINITY])
    test(`the number ${bad} is no I-JSON`, async () => {
      const { ledger } = openCounted();
      expect(await codeOf(ledger.commit(withPayload({ stack: { deep: [bad] } })))).toBe("OUTPUT_INVALID");
    });

  test("lone surrogates become U+FFFD before they are hashed", async () => {
    const { store, ledger } = openCounted();
    const wish = withPayload({ stack: { "k\uD800": ["\uDC00x", "\u{1F600}"] } });
    const [first] = wish.events;
    await ledger.commit({ ...wish, events: first === undefined ? [] : [{ ...first, actor: { type: "user", id: "a\uD83D" } }] });
    const body = (await store.listEvents({ limit: 1 }))[0]?.body ?? "";
    expect((JSON.parse(body) as TraceEvent).payload["stack"]).toEqual({ "k\uFFFD": ["\uFFFDx", "\u{1F600}"] });
    expect((JSON.parse(body) as TraceEvent).actor.id).toBe("a\uFFFD");
    expect(body).not.toContain("\\ud");
  });
});

describe("blobs of payloads", () => {
  /** What is stored of a value, and what comes back. */
  async function roundTrip(stack: unknown): Promise<{ stored: unknown; back: unknown; artifacts: TraceEvent["artifacts"]; store: Store }> {
    const { store, ledger } = openCounted();
    await ledger.commit(withPayload({ stack: stack as null }));
    const event = JSON.parse((await store.listEvents({ limit: 1 }))[0]?.body ?? "") as TraceEvent;
    return { stored: event.payload["stack"], back: (await restorePayload(store, event.payload))["stack"], artifacts: event.artifacts, store };
  }
  const ofBytes = (bytes: number) => "x".repeat(bytes - 2);

  const large: [string, unknown][] = [
    ["one byte above the bound", ofBytes(limits.payloadValueBytesMax + 1)],
    ["many small values", Array.from({ length: 5000 }, (_, index) => index)],
    ["short in characters, long in bytes", "\u4E2D".repeat(6000)],
    ["few characters that JSON writes long", "\u0001".repeat(2740)],
    ["long numbers", Array.from({ length: 700 }, () => -1.234567890123456e-300)],
    ["long keys", Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`${index}${"k".repeat(2000)}`, null]))],
    ["more than a row takes", { deep: { text: ofBytes(limits.blobRowBytesMax + 100) } }],
  ];
  for (const [name, value] of large)
    test(`${name}: stored beside the event, and put back`, async () => {
      const { stored, back, artifacts, store } = await roundTrip(value);
      const sha256 = sha256Hex(canonicalJson(value));
      expect(stored).toEqual({ $artifact: sha256 });
      expect(artifacts).toEqual([{ name: "stack", uri: `artifact:${sha256}`, sha256, content_type: "application/json" }]);
      expect(back as null).toEqual(value as null);
      expect(new TextDecoder().decode(await readBlob(store, sha256))).toBe(canonicalJson(value));
    });

  test("at the bound it stays inside", async () => {
    const { stored, artifacts } = await roundTrip(ofBytes(limits.payloadValueBytesMax));
    expect([stored, artifacts]).toEqual([ofBytes(limits.payloadValueBytesMax), undefined]);
  });

  test("a value that looks like a reference comes back as itself, and reads nobody's blob", async () => {
    for (const value of [{ $artifact: sha256Hex("secret") }, { $artifact: "no digest" }]) {
      const { stored, back } = await roundTrip(value);
      expect(stored).toEqual({ $artifact: sha256Hex(canonicalJson(value)) });
      expect(back).toEqual(value);
    }
  });

  test("a large text where the schema wants text is checked before it is moved", async () => {
    const { store, ledger } = openCounted();
    await ledger.commit(opening({ payload: { code: "X", message: "m".repeat(20_000) } }));
    const event = JSON.parse((await store.listEvents({ limit: 1 }))[0]?.body ?? "") as TraceEvent;
    expect((await restorePayload(store, event.payload))["message"]).toBe("m".repeat(20_000));
  });

  test("a blob with other bytes than its name says is not read", async () => {
    const { store } = openCounted();
    const sha256 = sha256Hex("right");
    const trace = await openTrace(store);
    await store.commit([
      {
        events: [draftOf(trace)],
        opens: new Map(),
        changes: [],
        blobs: [{ sha256, bytes: new TextEncoder().encode("wrong"), contentType: "text/plain" }],
      },
    ]);
    expect(await codeOf(readBlob(store, sha256))).toBe("PAYLOAD_DIGEST_MISMATCH");
    expect(await codeOf(readBlob(store, sha256Hex("none")))).toBe("BLOB_NOT_FOUND");
  });

  test("a commit with a file among others keeps the order", async () => {
    const { store, ledger } = openCounted();
    const trace = await openTrace(store);
    const texts = ["before", "f".repeat(limits.blobRowBytesMax + 1), "after"];
    await Promise.all(texts.map((message) => ledger.commit({ events: [draftOf(trace, { payload: { code: "X", message } })] })));
    const events = (await store.listEvents({ traceId: trace.traceId, afterSequence: 0, limit: 5 })).map(
      (event) => JSON.parse(event.body) as TraceEvent,
    );
    const back = await Promise.all(events.map(async (event) => (await restorePayload(store, event.payload))["message"]));
    expect(back).toEqual(texts);
  });
});
