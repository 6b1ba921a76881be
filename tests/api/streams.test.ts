// Server-sent events: frames, resumption, keep-alive, back-pressure, and everything that ends a stream. Timers are driven by hand.
import { expect, test } from "bun:test";
import type { App, EventStreamQuery, Facade } from "../../src/app/index.ts";
import type { LogItem } from "../../src/model/index.ts";
import type { Timers } from "../../src/server/index.ts";
import { openTestServer, outcome, type TestServer, withParts } from "./test-server.ts";

/** Time stands still until `pass`. */
class HandTimers implements Timers {
  #now = 0;
  readonly #due = new Map<object, { at: number; run: () => void }>();

  after(ms: number, run: () => void): () => void {
    const token = {};
    this.#due.set(token, { at: this.#now + ms, run });
    return () => void this.#due.delete(token);
  }

  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      const next = [...this.#due].filter(([, { at }]) => at <= until).toSorted(([, a], [, b]) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#now = next[1].at;
      this.#due.delete(next[0]);
      next[1].run();
      await settle();
    }
    this.#now = until;
    await settle();
  }

  get waiting(): number {
    return this.#due.size;
  }
}

/** Lets everything that is ready run; a store call is a few turns of the loop. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A source that the test fills, and that counts what was taken from it. */
function sourceOf<T>(items: readonly T[]) {
  const state = { taken: 0, ended: false, queries: [] as unknown[] };
  async function* stream(query: unknown, signal: AbortSignal): AsyncGenerator<T> {
    state.queries.push(query);
    try {
      for (const item of items) {
        state.taken++;
        yield item;
      }
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
    } finally {
      state.ended = true;
    }
  }
  return { state, stream };
}

type Open = TestServer & { timers: HandTimers };

async function open(facade: Partial<Facade> = {}, more: Partial<App> = {}): Promise<Open> {
  const timers = new HandTimers();
  const wrap = (app: App): App => withParts(app, facade, more);
  return Object.assign(await openTestServer({ deps: { timers }, wrap }), { timers });
}

const events = (count: number) => Array.from({ length: count }, (_, index) => ({ seq: index + 1, text: `{"seq":${index + 1}}` }));
const decoder = new TextDecoder();

function readerOf(answer: Response) {
  const reader = answer.body?.getReader();
  if (reader === undefined) throw new Error("no body");
  return {
    cancel: () => reader.cancel(),
    /** The next frame after the opening comment. */
    read: async (): Promise<string | null> => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return null;
        const frame = decoder.decode(value);
        if (frame !== ": open\n\n") return frame;
      }
    },
  };
}

test("a frame has the store-wide number as its id and the event's text as one line", async () => {
  const { state, stream } = sourceOf(events(2));
  const server = await open({ streamEvents: stream });
  const answer = await server.call("GET", "/v1/traces/stream?since_seq=0&severity=warn&event_type=task.*");
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  expect(answer.headers.get("cache-control")).toContain("no-cache");
  expect(answer.headers.get("content-encoding")).toBeNull();
  const { read, cancel } = readerOf(answer);
  expect([await read(), await read()]).toEqual(['id: 1\ndata: {"seq":1}\n\n', 'id: 2\ndata: {"seq":2}\n\n']);
  expect(state.queries).toEqual([{ traceId: null, sinceSeq: 0, severity: "warn", eventType: "task.*" }]);
  await cancel();
  await server.close();
});

test("what the client saw last goes before the start that its URL names", async () => {
  const { state, stream } = sourceOf<{ seq: number; text: string }>([]);
  const server = await open({ streamEvents: stream });
  const start = async (query: string, headers: Record<string, string>) => {
    const { read, cancel } = readerOf(await server.call("GET", `/v1/traces/stream${query}`, { headers }));
    const first = read();
    await settle();
    await cancel();
    await first;
    return (state.queries.at(-1) as EventStreamQuery).sinceSeq;
  };
  expect(await start("?since_seq=3", { "last-event-id": "8" })).toBe(8);
  expect(await start("?since_seq=3", {})).toBe(3);
  expect(await start("", { "last-event-id": "8" })).toBe(8);
  expect(await start("", {})).toBeUndefined();
  await server.close();
});

test("a real stream resumes with nothing lost and nothing repeated", async () => {
  const server = await open();
  for (const id of ["one", "two", "three"]) {
    const body = `id: ${id}\ntasks: [{ id: a, run: "true" }]\n`;
    await server.call("PUT", `/api/v1/workflows/${id}`, { body, headers: { "content-type": "text/yaml" } });
  }
  const { events: total } = (await (await server.call("GET", "/api/v1/status")).json()) as { events: number };
  const seen: number[] = [];
  while (seen.length < total) {
    const headers = seen.length === 0 ? {} : { "last-event-id": String(seen.at(-1)) };
    const { read, cancel } = readerOf(await server.call("GET", `/v1/traces/stream${seen.length === 0 ? "?since_seq=0" : ""}`, { headers }));
    // Two at a time, as over a connection that breaks all the time.
    for (let count = 0; count < 2 && seen.length < total; count++) {
      const frame = /^id: (\d+)\ndata: (\{.*\})\n\n$/.exec((await read()) ?? "");
      expect((JSON.parse(frame?.[2] ?? "{}") as { seq?: number }).seq).toBe(Number(frame?.[1]));
      seen.push(Number(frame?.[1]));
    }
    await cancel();
  }
  expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1));
  await server.close();
});

test("silence is broken by a keep-alive every 15 s", async () => {
  const { stream } = sourceOf(events(1));
  const server = await open({ streamEvents: stream });
  const { read, cancel } = readerOf(await server.call("GET", "/v1/traces/stream"));
  await read();
  for (let round = 0; round < 3; round++) {
    let frame: string | null = null;
    const waiting = read().then((text) => (frame = text));
    await server.timers.pass(14_999);
    expect(frame).toBeNull();
    await server.timers.pass(1);
    expect(await waiting).toBe(": keep-alive\n\n");
  }
  await cancel();
  await settle();
  expect(server.timers.waiting).toBe(0);
  await server.close();
});

test("nothing is taken from the source until the reader reads", async () => {
  const { state, stream } = sourceOf(events(1000));
  const server = await open({ streamEvents: stream });
  const { read, cancel } = readerOf(await server.call("GET", "/v1/traces/stream"));
  await settle();
  expect(state.taken).toBe(0);
  for (let count = 1; count <= 5; count++) {
    await read();
    await settle();
    expect(state.taken).toBe(count);
  }
  await cancel();
  await settle();
  expect(state.ended).toBe(true);
  await server.close();
});

test("a stream ends within a second of its key's revocation, read or unread", async () => {
  const { stream } = sourceOf(events(1));
  const server = await open({ streamEvents: stream });
  const { id, key } = await server.keyWith("trace:read");
  const read = readerOf(await server.call("GET", "/v1/traces/stream", { key }));
  const unread = readerOf(await server.call("GET", "/v1/traces/stream", { key }));
  const other = readerOf(await server.call("GET", "/v1/traces/stream"));
  await read.read();
  const next = read.read();
  await server.timers.pass(3000);
  await server.call("DELETE", `/api/v1/keys/${id}`);
  await server.timers.pass(999);
  expect(await next).toBeNull();
  expect(await unread.read()).toBeNull();
  expect(await other.read()).toContain("id: 1");
  await other.cancel();
  await server.close();
});

test("many streams on one key ask about it once per turn, and the asking ends with them", async () => {
  let asked = 0;
  const { stream } = sourceOf<{ seq: number; text: string }>([]);
  const server = await open({ streamEvents: stream }, { isKeyLive: () => Promise.resolve((asked += 1) > 0) });
  const { key } = await server.keyWith("trace:read");
  const readers = [];
  for (let count = 0; count < 10; count++) readers.push(readerOf(await server.call("GET", "/v1/traces/stream", { key })));
  await server.timers.pass(2000);
  expect(asked).toBe(4);
  for (const { cancel } of readers) await cancel();
  await server.timers.pass(5000);
  expect(asked).toBe(4);
  expect(server.timers.waiting).toBe(0);
  await server.close();
});

test("a client that goes, and a server that stops, end the source", async () => {
  const { state, stream } = sourceOf(events(1));
  const server = await open({ streamEvents: stream });
  const gone = new AbortController();
  const left = readerOf(await server.call("GET", "/v1/traces/stream", { signal: gone.signal }));
  await left.read();
  gone.abort();
  expect(await left.read()).toBeNull();
  await settle();
  expect(state.ended).toBe(true);
  state.ended = false;
  const open1 = readerOf(await server.call("GET", "/v1/traces/stream"));
  await open1.read();
  const last = open1.read();
  await server.server.stop();
  expect(await last).toBeNull();
  await settle();
  expect(state.ended).toBe(true);
  await server.close();
});

test("an error on the way is an event of its own, and ends the stream", async () => {
  async function* broken(): AsyncGenerator<{ seq: number; text: string }> {
    yield* events(1);
    throw new TypeError("boom");
  }
  const server = await open({ streamEvents: broken });
  const { read } = readerOf(await server.call("GET", "/v1/traces/stream"));
  await read();
  const frame = (await read()) ?? "";
  expect(frame).toStartWith("event: error\ndata: {");
  expect(frame).toContain('"INTERNAL"');
  expect(frame).not.toContain("boom");
  expect(server.troubles.map(String)).toEqual(["TypeError: boom"]);
  expect(await read()).toBeNull();
  await server.close();
});

test("a log stream says when it has reached its end", async () => {
  const task = { taskId: "a", itemIndex: null, attempt: 1 };
  const item: LogItem = { id: 7, time: "2026-01-02T03:04:05.678Z", level: "INFO", source: "stdout", ...task, message: "two\nlines", metadata: null };
  const queries: unknown[] = [];
  async function* streamLogs(query: unknown): AsyncGenerator<LogItem> {
    queries.push(query);
    yield item;
  }
  const page = { items: [], nextCursor: null };
  const server = await open({ streamLogs, listLogs: () => Promise.resolve(page) });
  const id = "00000000-0000-7000-8000-0000000000ff";
  const path = `/api/v1/executions/${id}/logs/stream?level=warn%2B&source=stdout,engine&since=2026-01-01T00:00:00Z&sinceId=2`;
  const text = await (await server.call("GET", path, { headers: { "last-event-id": "6" } })).text();
  expect(text).toBe(`: open\n\nid: 7\ndata: ${JSON.stringify(item)}\n\nevent: end\ndata: {}\n\n`);
  expect(queries).toEqual([{ executionId: id, level: "WARN+", source: ["stdout", "engine"], since: Date.parse("2026-01-01T00:00:00Z"), sinceId: 6 }]);
  await server.close();
});

test("a stream of what does not exist is 404, not an empty stream", async () => {
  const server = await open();
  const id = "00000000-0000-7000-8000-0000000000ff";
  expect(await outcome(server.call("GET", `/v1/traces/${id}/stream`))).toBe("404 TRACE_NOT_FOUND");
  expect(await outcome(server.call("GET", `/api/v1/executions/${id}/logs/stream`))).toBe("404 EXECUTION_NOT_FOUND");
  await server.close();
});
