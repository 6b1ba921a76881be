// POST /api/v1/executions/cleanup: what it refuses, what it counts, what it removes, and that nothing of that is found afterwards.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openSqliteStore, type Store } from "../../src/storage/index.ts";
import { Ledger } from "../../src/trace/index.ts";
import { draftOf, logOf, newTrace } from "../contract/requests.ts";
import { openTestServer, outcome, type TestServer } from "./test-server.ts";

let server: TestServer;
let store: Store;
const digest = "a".repeat(64);
const text = "id: hello\ntasks:\n  - id: a\n    run: echo hi\n";

beforeAll(async () => {
  server = await openTestServer();
  const { storePath } = server.app.loaded;
  store = openSqliteStore({ path: storePath, durability: "normal", now: 0 });
  await server.call("PUT", "/api/v1/workflows/hello", { body: text, headers: { "content-type": "application/yaml" } });
});
afterAll(async () => {
  await store.close();
  await server.close();
});

type State = "succeeded" | "failed" | "cancelled" | "started";

/** An execution in the store as an engine leaves it, that ended (or began) so long ago. */
async function execution(state: State, agoMs: number): Promise<string> {
  const trace = newTrace();
  const execution_id = trace.traceId;
  const time = Date.now() - agoMs;
  const error = { code: "PLUGIN_EXIT", kind: "failed", message: "It exited with 1" };
  const ends = {
    succeeded: { outputs: {}, digest },
    failed: { error, failed_task: "a", reason: "TASK_FAILED", digest },
    cancelled: { by: "user:alice", reason: "USER_CANCELLED", digest },
    started: {},
  };
  const trigger = { type: "manual", id: null, scheduled_at: null, by: null };
  const created = { execution_id, workflow: "hello", revision: 1, sha256: digest, trigger, inputs: {} };
  const ledger = new Ledger({ store, schedule: (work) => work() });
  const ids = () => ({ eventId: Bun.randomUUIDv7() });
  await ledger.commit({
    opens: new Map([[execution_id, { subject: "execution", subjectId: execution_id }]]),
    events: [
      draftOf(trace, { ...ids(), type: "trace.execution.created", payload: created, time }),
      draftOf(trace, { ...ids(), type: `trace.execution.${state}`, payload: { execution_id, ...ends[state] }, time }),
    ],
    logs: [logOf(trace)],
  });
  return execution_id;
}

const cleanup = (body: unknown, key?: string) => server.call("POST", "/api/v1/executions/cleanup", { body, ...(key === undefined ? {} : { key }) });
const found = (id: string) => outcome(server.call("GET", `/api/v1/executions/${id}`));
const day = 86_400_000;

describe("cleaning up", () => {
  for (const body of [
    {},
    { olderThan: "" },
    { olderThan: "yesterday" },
    { olderThan: 30 },
    { olderThan: "-1d" },
    { olderThan: "30d", states: [] },
    { olderThan: "30d", states: ["RUNNING"] },
    { olderThan: "30d", states: ["SUCCESS", "WAITING"] },
    { olderThan: "30d", states: "SUCCESS" },
    { olderThan: "30d", dryRun: "yes" },
    { olderThan: "30d", force: true },
  ])
    test(`refuses ${JSON.stringify(body)}`, async () => {
      expect(await outcome(cleanup(body))).toBe("422 BODY_INVALID");
    });

  test("[WF-17] needs a key with execution:write", async () => {
    const { key } = await server.keyWith("execution:read", "workflow:run");
    expect(await outcome(cleanup({ olderThan: "30d" }, key))).toBe("403 FORBIDDEN");
    expect(await outcome(server.call("POST", "/api/v1/executions/cleanup", { key: null, body: { olderThan: "30d" } }))).toBe("401 UNAUTHORIZED");
  });

  test("removes what ended by then in one of the states, and nothing else", async () => {
    const [old, failed, young, running] = [
      await execution("succeeded", 40 * day),
      await execution("failed", 40 * day),
      await execution("succeeded", 20 * day),
      await execution("started", 40 * day),
    ];
    const order = { olderThan: "30d", states: ["SUCCESS", "CANCELLED"] };
    expect(await (await cleanup({ ...order, dryRun: true })).json()).toMatchObject({
      dryRun: true,
      states: ["SUCCESS", "CANCELLED"],
      executions: 1,
      events: 2,
      complete: true,
    });
    expect(await found(old)).toBe("200");
    const { key, id: keyId } = await server.keyWith("execution:write");
    const done = await cleanup(order, key);
    expect([done.status, await done.json()]).toMatchObject([200, { dryRun: false, executions: 1, events: 2, complete: true }]);
    expect(await Promise.all([old, failed, young, running].map(found))).toEqual(["404 EXECUTION_NOT_FOUND", "200", "200", "200"]);
    for (const path of ["tasks", "logs", "artifacts", "logs/stream"])
      expect(await outcome(server.call("GET", `/api/v1/executions/${old}/${path}`))).toBe("404 EXECUTION_NOT_FOUND");
    for (const path of ["events", "stream"]) expect(await outcome(server.call("GET", `/v1/traces/${old}/${path}`))).toBe("404 TRACE_NOT_FOUND");
    const list = (await (await server.call("GET", "/api/v1/executions")).json()) as { executions: { executionId: string }[] };
    expect(list.executions.map((one) => one.executionId)).not.toContain(old);
    expect(await (await server.call("GET", "/v1/traces?limit=500")).text()).not.toContain(old);
    expect(keyId).not.toBe("");
  });

  test("leaves a tombstone that says what left, and who asked", async () => {
    const id = await execution("cancelled", 40 * day);
    const events = await store.listEvents({ traceId: id, limit: 10 });
    await cleanup({ olderThan: new Date(Date.now() - 35 * day).toISOString() });
    const page = await store.listEvents({ traceId: await store.systemTraceId(), types: ["trace.ledger.pruned"], limit: 100 });
    const { payload, actor } = JSON.parse(page.find((event) => event.body.includes(id))?.body ?? "{}") as Record<string, unknown>;
    expect(actor).toEqual({ type: "runtime", id: "test" });
    expect(payload).toMatchObject({
      trace_id: id,
      subject: "execution",
      subject_id: id,
      count: 2,
      first_seq: events[0]?.seq ?? 0,
      last_seq: events[1]?.seq ?? 0,
      last_hash: events[1]?.hash ?? "",
      reason: "cleanup",
      by: "service:test",
    });
  });

  test("goes on with what a crash left, and an id that was removed stays taken", async () => {
    const id = await execution("succeeded", 40 * day);
    const [one] = await store.listEnded({ state: "SUCCESS", until: Date.now() - 30 * day, limit: 1 });
    if (one === undefined) throw new Error("it has ended");
    const system = { ...newTrace("system"), traceId: await store.systemTraceId() };
    const said = { subject: "execution", subject_id: id, reason: "cleanup", by: "user:alice" };
    const payload = { ...said, trace_id: id, count: 2, first_seq: one.firstSeq, last_seq: one.lastSeq, last_hash: one.lastHash };
    const tombstone = draftOf(system, { eventId: Bun.randomUUIDv7(), type: "trace.ledger.pruned", payload });
    await new Ledger({ store, schedule: (work) => work() }).commit({ events: [tombstone], buries: id });
    expect(await found(id)).toBe("404 EXECUTION_NOT_FOUND");
    expect((await store.listEvents({ limit: 1000 })).some((event) => event.traceId === id)).toBe(true);
    expect(await (await cleanup({ olderThan: "3650d" })).json()).toMatchObject({ executions: 0, complete: true });
    expect((await store.listEvents({ limit: 1000 })).some((event) => event.traceId === id)).toBe(false);
    const start = server.call("POST", "/api/v1/workflows/hello/executions", { body: { executionId: id } });
    expect(await outcome(start)).toBe("409 ALREADY_EXISTS");
  });

  test("two at once remove each thing once", async () => {
    for (let count = 0; count < 120; count += 1) await execution("succeeded", 40 * day);
    const answers = await Promise.all([1, 2, 3].map(async () => (await cleanup({ olderThan: "39d" })).json() as Promise<{ executions: number }>));
    expect(answers.reduce((sum, { executions }) => sum + executions, 0)).toBe(120);
    expect(await server.app.verify({ traceId: null, state: true })).toMatchObject({ ok: true, problem: null });
  });

  test("the first answer of an idempotency key holds on, without waiting", async () => {
    const headers = { "idempotency-key": "once" };
    const start = (query = "") => server.call("POST", `/api/v1/workflows/hello/executions${query}`, { body: {}, headers });
    const { executionId } = (await (await start()).json()) as { executionId: string };
    await server.call("POST", `/api/v1/executions/${executionId}/cancel`);
    expect(await (await cleanup({ olderThan: "0s" })).json()).toMatchObject({ complete: true });
    expect(await found(executionId)).toBe("404 EXECUTION_NOT_FOUND");
    const again = await start("?wait=60s");
    expect([again.status, ((await again.json()) as { executionId: string }).executionId]).toEqual([202, executionId]);
  });
});
