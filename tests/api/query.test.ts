// Queries: taken strictly, refused with the parameter's name.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { routes } from "../../src/server/index.ts";
import { openTestServer, outcome, type TestServer } from "./test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server.close());

const absent = "00000000-0000-7000-8000-0000000000ff";

test.each([
  "/api/v1/workflows?limit=0",
  "/api/v1/workflows?limit=501",
  "/api/v1/workflows?limit=5.0",
  "/api/v1/workflows?limit=",
  "/api/v1/workflows?limit=5&limit=5",
  "/api/v1/workflows?limit=1e2",
  "/api/v1/workflows?limit=%205",
  "/api/v1/workflows?enabled=yes",
  "/api/v1/workflows?enabled=",
  "/api/v1/workflows?enabled=1",
  "/api/v1/workflows?Limit=5",
  "/api/v1/workflows?cursor=",
  "/api/v1/workflows?cursor=nonsense",
  "/api/v1/workflows?__proto__=1",
  "/api/v1/workflows?offset=1",
  "/api/v1/executions?state=DONE",
  "/api/v1/executions?state=FAILED,",
  "/api/v1/executions?since=yesterday",
  "/api/v1/executions?since=2026-02-30T00:00:00Z",
  "/api/v1/executions?offset=-1",
  `/api/v1/executions/${absent}?include=everything`,
  `/api/v1/executions/${absent}/tasks?state=DONE`,
  `/api/v1/executions/${absent}/logs?level=LOUD`,
  `/api/v1/executions/${absent}/logs?level=WARN,ERROR%2B`,
  `/api/v1/executions/${absent}/logs?source=stdin`,
  `/api/v1/executions/${absent}/logs?order=up`,
  `/v1/traces/${absent}/events?severity=loud`,
  `/v1/traces/${absent}/events?since_sequence=-1`,
  `/v1/traces/${absent}/events?limit=501`,
  `/v1/traces/${absent}/events?since_seq=1`,
  `/v1/traces/${absent}/stream?since_seq=1&since_sequence=1`,
  "/v1/traces/events?before_seq=x",
  "/v1/traces/events?since_sequence=1",
  "/v1/traces/events?limit=501",
  "/v1/traces/stream?since_sequence=1",
  "/v1/traces/stream?since_seq=x",
  "/v1/traces?subject=all",
  "/api/v1/status?x",
  "/health?x=1",
])("GET %s is BAD_REQUEST", async (path) => {
  expect(await outcome(server.call("GET", path))).toBe("400 BAD_REQUEST");
});

test.each(["?wait=61s", "?wait=PT2M", "?wait=30", "?wait=", "?wait=1s&wait=1s", "?timeout=1s"])("a start with %s is BAD_REQUEST", async (query) => {
  expect(await outcome(server.call("POST", `/api/v1/workflows/absent/executions${query}`))).toBe("400 BAD_REQUEST");
});

test.each([["relative/path"], ["%00/x"], [""]])("an apply with the folder %j is BAD_REQUEST", async (folder) => {
  const call = server.call("PUT", `/api/v1/workflows/a?folder=${folder}`, { body: "x", headers: { "content-type": "text/yaml" } });
  expect(await outcome(call)).toBe("400 BAD_REQUEST");
});

test.each([
  "/api/v1/workflows?limit=500&enabled=true&label=a%3Db",
  "/api/v1/workflows?",
  "/api/v1/executions?state=FAILED,RUNNING&offset=3",
  "/api/v1/executions?since=2026-01-01T00:00:00%2B02:00&until=2026-01-01T00:00:00+02:00",
  "/v1/traces?subject=system&limit=1",
])("GET %s is taken", async (path) => {
  expect(await outcome(server.call("GET", path))).toBe("200");
});

test.each(["WARN+", "warn%2B", "WARN,error", "info"])("the log level %s is taken, and then the execution is missed", async (level) => {
  expect(await outcome(server.call("GET", `/api/v1/executions/${absent}/logs?level=${level}`))).toBe("404 EXECUTION_NOT_FOUND");
});

test("no route takes a key that its schema does not name", async () => {
  // The query of a hook is its sender's own.
  for (const route of routes.filter(({ isRaw }) => isRaw !== true)) {
    const path = route.path.replace(/:revision/, "1").replace(/:id/, absent);
    expect(await outcome(server.call(route.method, `${path}?surprise=1`))).toBe("400 BAD_REQUEST");
  }
});

test("the refusal names the parameter, and a near one", async () => {
  const answer = await server.call("GET", "/api/v1/workflows?limti=5");
  const { error } = (await answer.json()) as { error: { details: { parameter: string }; hint: string } };
  expect(error.details.parameter).toBe("limti");
  expect(error.hint).toContain('"limit"');
});

test.each([["\u0007"], ["a".repeat(256)], ["a b"]])("the idempotency key %j is BAD_REQUEST", async (key) => {
  const call = server.call("POST", "/api/v1/workflows/absent/executions", { headers: { "idempotency-key": key } });
  expect(await outcome(call)).toBe("400 BAD_REQUEST");
});

test("Last-Event-ID must be a number", async () => {
  expect(await outcome(server.call("GET", "/v1/traces/stream", { headers: { "last-event-id": "abc" } }))).toBe("400 BAD_REQUEST");
});
