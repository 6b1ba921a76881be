// The facade over HTTP against a small server: paths, bodies, refusals, streams that break, and bytes kept as sent.
import { afterEach, describe, expect, test } from "bun:test";
import { createRemoteFacade } from "../../../src/cli/remote/remote-facade.ts";
import { rawArrayItems } from "../../../src/cli/remote/raw-items.ts";
import { parseEvents, streamServerEvents } from "../../../src/cli/remote/sse.ts";

type Handler = (request: Request, body: string) => Response | Promise<Response>;
const open: { stop(): unknown }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.stop();
});

function serve(handler: Handler): string {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: async (request) => handler(request, await request.text()) });
  open.push({ stop: () => server.stop(true) });
  return `http://127.0.0.1:${server.port}`;
}

const at = (url: string, key: string | null = null, isOwn = true) => ({ url, key, keyProblem: null, isOwn });
const pathOf = (request: Request) => new URL(request.url).pathname + new URL(request.url).search;

describe("verbs", () => {
  test("an apply is a PUT of the bytes with folder; 201 means created", async () => {
    const seen: string[] = [];
    const url = serve((request, body) => {
      seen.push(`${request.method} ${pathOf(request)} ${request.headers.get("content-type")} ${request.headers.get("authorization")} ${body}`);
      return Response.json({ id: "a", changed: true }, { status: 201 });
    });
    const { created } = await createRemoteFacade(at(url, "ak_x")).applyWorkflow({ id: "a", source: "id: a # ü\n", folder: "/w f", file: "a.yaml" });
    expect(created).toBe(true);
    expect(seen).toEqual(["PUT /api/v1/workflows/a?folder=%2Fw+f application/yaml Bearer ak_x id: a # ü\n"]);
  });

  test("only the server of the own data folder learns the folder", async () => {
    const seen: string[] = [];
    const url = serve((request) => {
      seen.push(pathOf(request));
      return Response.json({ id: "a", changed: true });
    });
    const request = { id: "a", source: "{id: a}", folder: "/w", file: "a.yaml" };
    for (const isOwn of [true, false]) await createRemoteFacade(at(url, null, isOwn)).applyWorkflow(request);
    expect(seen).toEqual(["/api/v1/workflows/a?folder=%2Fw", "/api/v1/workflows/a"]);
  });

  test("ids cannot leave their place in the path", async () => {
    const seen: string[] = [];
    const url = serve((request) => {
      seen.push(pathOf(request));
      return Response.json({});
    });
    await createRemoteFacade(at(url)).getWorkflow("../keys?x=1");
    expect(seen).toEqual(["/api/v1/workflows/..%2Fkeys%3Fx%3D1"]);
  });

  test("lists join their values and leave absent ones out", async () => {
    const seen: string[] = [];
    const url = serve((request) => {
      seen.push(pathOf(request));
      return Response.json({ executions: [], nextCursor: null });
    });
    await createRemoteFacade(at(url)).listExecutions({ state: ["FAILED", "CANCELLED"], since: 0, limit: 5 });
    expect(seen).toEqual(["/api/v1/executions?state=FAILED%2CCANCELLED&since=1970-01-01T00%3A00%3A00.000Z&limit=5"]);
  });

  test("the newest events come as the bytes they were sent in", async () => {
    const events = ['{"seq":  7,"n":1.0}', '{"seq":8}'];
    const seen: string[] = [];
    const url = serve((request) => {
      seen.push(pathOf(request));
      return new Response(`{"events":[${events.join(",")}],"has_more":true}`, { headers: { "content-type": "application/json" } });
    });
    const query = { eventType: "secret.*", severity: "warn", beforeSeq: 9, limit: 2 };
    expect(await createRemoteFacade(at(url)).listNewestEvents(query)).toEqual({ events, hasMore: true });
    expect(seen).toEqual(["/v1/traces/events?severity=warn&limit=2&event_type=secret.*&before_seq=9"]);
  });

  test("a start that ended within its wait brings the execution", async () => {
    const execution = { executionId: "e", state: "SUCCESS" };
    const url = serve((request, body) => {
      expect(request.headers.get("idempotency-key")).toBe("k");
      expect(JSON.parse(body)).toEqual({ inputs: { a: 1 } });
      return Response.json({ execution, tasks: [], tasksNextCursor: null });
    });
    const answer = await createRemoteFacade(at(url)).startExecution({ workflow: "w", inputs: { a: 1 }, waitMs: 1000, idempotencyKey: "k" });
    expect(answer.started as unknown).toEqual(execution);
    expect(answer.execution?.tasks).toEqual([]);
  });

  test("a cancel that was one before answers 200", async () => {
    const url = serve(() => Response.json({ executionId: "e", state: "CANCELLED" }));
    expect((await createRemoteFacade(at(url)).cancelExecution("e")).already).toBe(true);
  });
});

describe("refusals", () => {
  test("the envelope comes back as the error it was", async () => {
    const error = { code: "WORKFLOW_NOT_FOUND", kind: "not_found", message: "No.", hint: "Look.", details: { id: "x" }, request_id: "r" };
    const url = serve(() => Response.json({ error }, { status: 404 }));
    const call = createRemoteFacade(at(url)).getWorkflow("x");
    await expect(call).rejects.toMatchObject({ code: "WORKFLOW_NOT_FOUND", message: "No.", hint: "Look.", details: { id: "x" }, requestId: "r" });
  });

  test("a call without a key says why a local one was not used", async () => {
    const error = { code: "UNAUTHORIZED", kind: "unauthenticated", message: "No key.", hint: "Send it as a header." };
    const url = serve(() => Response.json({ error }, { status: 401 }));
    await expect(createRemoteFacade({ ...at(url), keyProblem: "chmod 600 it" }).status()).rejects.toMatchObject({ hint: "chmod 600 it" });
    await expect(createRemoteFacade(at(url)).status()).rejects.toMatchObject({ hint: expect.stringContaining("--api-key") });
    await expect(createRemoteFacade(at(url, "ak_x")).status()).rejects.toMatchObject({ hint: "Send it as a header." });
  });

  test("another program's answers are no answers", async () => {
    const url = serve(() => new Response("<html>", { status: 502 }));
    await expect(createRemoteFacade(at(url)).status()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    const other = serve(() => new Response("<html>"));
    await expect(createRemoteFacade(at(other)).status()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
  });

  test("nobody there is SERVER_UNREACHABLE, and the key is not followed to another place", async () => {
    await expect(createRemoteFacade(at("http://127.0.0.1:1")).status()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    const url = serve(() => new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } }));
    await expect(createRemoteFacade(at(url, "ak_x")).status()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
  });
});

async function* chunksOf(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

describe("streams", () => {
  test("events are put together over chunks, whatever ends the lines", async () => {
    const events = [];
    for await (const event of parseEvents(chunksOf(": hi\n\nid: 1\nda", "ta: a\ndata: b\r", "\n\r\nevent: end\rdata:x\r\r", "data: cut")))
      events.push(event);
    expect(events).toEqual([
      { id: "1", event: "message", data: "a\nb" },
      { id: "1", event: "end", data: "x" },
    ]);
  });

  test("a dropped connection goes on after the last id", async () => {
    const asked: (string | null)[] = [];
    const url = serve((request) => {
      const last = request.headers.get("last-event-id");
      asked.push(last);
      if (last !== null) return new Response("id: 3\ndata: c\n\nevent: end\ndata: {}\n\n", { headers: { "content-type": "text/event-stream" } });
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode("id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: half"));
          controller.close();
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    });
    const data = [];
    for await (const event of streamServerEvents(at(url), { method: "GET", path: "/" }, new AbortController().signal)) data.push(event.data);
    expect(data).toEqual(["a", "b", "c"]);
    expect(asked).toEqual([null, "2"]);
  });

  test("a refused stream is an error at once", async () => {
    const url = serve(() => Response.json({ error: { code: "TRACE_NOT_FOUND", kind: "not_found", message: "No." } }, { status: 404 }));
    const stream = createRemoteFacade(at(url)).streamEvents({ traceId: "t" }, new AbortController().signal);
    await expect(Array.fromAsync(stream)).rejects.toMatchObject({ code: "TRACE_NOT_FOUND" });
  });
});

describe("raw items", () => {
  test("are the bytes of the page, not a copy of the values", async () => {
    const events = ['{"10":1,"9":{"events":["no"]},"s":"a]\\"},["}', '{"n":1.0e3}'];
    const url = serve(
      () => new Response(`{ "note": {"events":[0]}, "trace_id":"t", "events" : [${events.join(" , ")}], "total_count":2,"has_more":false}`),
    );
    const page = await createRemoteFacade(at(url)).listEvents({ traceId: "t" });
    expect(page).toEqual({ traceId: "t", events, totalCount: 2, hasMore: false });
  });

  test("an empty or absent list has none", () => {
    expect(rawArrayItems('{"events":[ ]}', "events")).toEqual([]);
    expect(rawArrayItems('{"event":[1]}', "events")).toEqual([]);
  });
});
