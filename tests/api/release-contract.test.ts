// The release contract in process, without a network: the real store, engine and routes, and real task processes.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, openApp, systemClock, systemIds } from "../../src/app/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import { createServer, type Server } from "../../src/server/index.ts";

const home = mkdtempSync(join(tmpdir(), "autokestra-contract-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Opened = {
  app: App;
  call: (method: string, path: string, body?: unknown) => Promise<{ status: number; body: Record<string, unknown> }>;
  close: () => Promise<void>;
};

async function open(name: string): Promise<Opened> {
  const loaded = loadConfig({ flags: { data: join(home, name) }, env: {}, cwd: home });
  const app = await openApp({ loaded, mode: "server" });
  await app.ensureAdminKey();
  const key = readFileSync(join(loaded.dataDir, "admin.key"), "utf8").trim();
  const server: Server = createServer({ app, clock: systemClock, ids: systemIds });
  const call: Opened["call"] = async (method, path, body) => {
    const headers: Record<string, string> = { authorization: `Bearer ${key}` };
    if (body !== undefined) headers["content-type"] = typeof body === "string" ? "application/yaml" : "application/json";
    const text = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
    const response = await server.handle(new Request(`http://localhost${path}`, { method, headers, ...(text === null ? {} : { body: text }) }));
    const answer = await response.text();
    return { status: response.status, body: answer === "" ? {} : (JSON.parse(answer) as Record<string, unknown>) };
  };
  return { app, call, close: async () => void (await server.stop(), await app.close({ drainMs: 1000 })) };
}

const example = readFileSync(join(import.meta.dir, "../../examples/hello/workflow.yaml"), "utf8");

test("[WF-24] scenario 1: start, apply, list, run to SUCCESS, inspect, logs", async () => {
  const { call, close } = await open("one");
  expect((await call("GET", "/health")).body).toMatchObject({ status: "ok" });
  expect((await call("PUT", "/api/v1/workflows/hello", example)).status).toBe(201);
  expect((await call("GET", "/api/v1/workflows")).body).toMatchObject({ workflows: [{ id: "hello", enabled: true, armed: true }] });
  const run = await call("POST", "/api/v1/workflows/hello/executions?wait=30s", { inputs: { name: "CI" } });
  expect(run.status).toBe(200);
  expect(run.body).toMatchObject({ execution: { state: "SUCCESS", inputs: { name: "CI" } } });
  const id = (run.body["execution"] as { executionId: string }).executionId;
  expect((await call("GET", `/api/v1/executions/${id}/logs?taskId=summary`)).body["items"]).not.toEqual([]);
  await close();
});

test("[WF-24] scenario 2: the same inputs give the same end, a failure tells why, and the store outlives a restart", async () => {
  const first = await open("two");
  await first.call(
    "PUT",
    "/api/v1/workflows/w",
    "id: w\ninputs: [{ id: code, type: integer, required: true }]\ntasks: [{ id: t, run: 'exit $CODE', env: { CODE: '{{ inputs.code }}' } }]\n",
  );
  const digests = [];
  for (const code of [0, 0, 3, 3]) {
    const { body } = await first.call("POST", "/api/v1/workflows/w/executions?wait=30s", { inputs: { code } });
    const execution = body["execution"] as { state: string; digest: string; error: { code: string } | null };
    expect([execution.state, execution.error?.code ?? null]).toEqual(code === 0 ? ["SUCCESS", null] : ["FAILED", "PLUGIN_EXIT"]);
    digests.push(execution.digest);
  }
  expect(digests[0]).toBe(digests[1] ?? "");
  expect(digests[2]).toBe(digests[3] ?? "");
  await first.close();
  const second = await open("two");
  const listed = (await second.call("GET", "/api/v1/executions")).body["executions"] as unknown[];
  expect(listed.length).toBe(4);
  expect((await second.app.verify({ traceId: null, state: true })).ok).toBe(true);
  await second.close();
});

test("[WF-24] scenario 3: refusals have stable codes and change nothing", async () => {
  const { call, close } = await open("three");
  expect((await call("PUT", "/api/v1/workflows/bad", "id: bad\ntasks: [{ id: a, needs: [b], run: x }]\n")).status).toBe(422);
  expect((await call("GET", "/api/v1/workflows/bad")).status).toBe(404);
  await call("PUT", "/api/v1/workflows/off", "id: off\nenabled: false\ntasks: [{ id: a, run: 'true' }]\n");
  expect((await call("POST", "/api/v1/workflows/off/executions", {})).body).toMatchObject({ error: { code: "WORKFLOW_DISABLED" } });
  expect((await call("POST", "/api/v1/workflows/off/executions", { inputs: { a: 1 } })).status).toBe(409);
  expect((await call("PATCH", "/api/v1/workflows/off", { enabled: true })).status).toBe(200);
  expect((await call("POST", "/api/v1/workflows/off/executions", { inputs: { a: 1 } })).body).toMatchObject({ error: { code: "INPUT_INVALID" } });
  expect((await call("GET", "/api/v1/executions")).body["executions"]).toEqual([]);
  await close();
});

test("a page of log lines goes on in its own order only", async () => {
  const { call, close } = await open("cursor");
  await call("PUT", "/api/v1/workflows/lines", "id: lines\ntasks: [{ id: t, run: 'echo one; echo two' }]\n");
  const run = await call("POST", "/api/v1/workflows/lines/executions?wait=30s", {});
  const path = `/api/v1/executions/${(run.body["execution"] as { executionId: string }).executionId}/logs?limit=1&order=`;
  const first = (await call("GET", `${path}asc`)).body as { items: { message: string }[]; nextCursor: string };
  const next = (await call("GET", `${path}asc&cursor=${first.nextCursor}`)).body as typeof first;
  expect([first, next].map(({ items }) => items[0]?.message)).toEqual(["one", "two"]);
  const other = await call("GET", `${path}desc&cursor=${first.nextCursor}`);
  expect([other.status, other.body]).toMatchObject([400, { error: { code: "BAD_REQUEST" } }]);
  await close();
});
