// The routes of triggers: forms, pages, refusals.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openTestServer, type TestServer } from "./test-server.ts";

let at: TestServer;
const yaml = (id: string) =>
  `id: ${id}\ntriggers:\n  - { id: b, type: cron, cron: "0 2 * * *" }\n  - { id: a, type: cron, cron: "*/5 * * * *", catchUp: all }\ntasks:\n  - { id: t, type: core/log.write, inputs: { message: hi } }\n`;

beforeAll(async () => {
  at = await openTestServer();
  for (const id of ["one", "two"])
    expect((await at.call("PUT", `/api/v1/workflows/${id}`, { body: yaml(id), headers: { "content-type": "application/yaml" } })).status).toBe(201);
});
afterAll(() => at.close());

const get = async (path: string) => (await (await at.call("GET", path)).json()) as { triggers: Record<string, unknown>[]; nextCursor: string | null };
const post = (path: string, body: unknown) => at.call("POST", path, { body });
const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { error: { code: string } }).error.code];

describe("GET /api/v1/triggers", () => {
  test("lists all, by workflow and id, in pages", async () => {
    const all = await get("/api/v1/triggers");
    expect(all.triggers.map((one) => `${String(one["workflowId"])}/${String(one["id"])}`)).toEqual(["one/a", "one/b", "two/a", "two/b"]);
    expect(all.triggers[0]).toEqual({
      workflowId: "one",
      id: "a",
      type: "cron",
      enabled: true,
      cron: "*/5 * * * *",
      timezone: "UTC",
      catchUp: "all",
      method: null,
      path: null,
      paths: null,
      next: expect.stringMatching(/:\d[05]:00\.000Z$/) as unknown as string,
      last: null,
    });
    const first = await get("/api/v1/triggers?limit=3");
    const rest = await get(`/api/v1/triggers?limit=3&cursor=${first.nextCursor ?? ""}`);
    expect([first.triggers.length, rest.triggers.map((one) => one["id"]), rest.nextCursor]).toEqual([3, ["b"], null]);
    expect((await get("/api/v1/triggers?workflow=two")).triggers).toHaveLength(2);
    expect(await codeOf(await at.call("GET", "/api/v1/triggers?cursor=x"))).toEqual([400, "BAD_REQUEST"]);
  });

  test("a workflow shows the next time of each", async () => {
    const { triggers } = (await (await at.call("GET", "/api/v1/workflows/one")).json()) as { triggers: { id: string; next: string | null }[] };
    expect(triggers.map((one) => [one.id, one.next?.endsWith(":00.000Z")])).toEqual([
      ["b", true],
      ["a", true],
    ]);
  });
});

describe("POST /api/v1/triggers", () => {
  test("backfill says what it would start, and what is wrong with its range", async () => {
    const now = Date.now();
    const body = { workflow: "one", trigger: "a", from: new Date(now - 3_600_000).toISOString(), to: new Date(now - 1000).toISOString() };
    const answer = await post("/api/v1/triggers/backfill", { ...body, dryRun: true });
    const backfill = (await answer.json()) as { workflowId: string; trigger: string; dryRun: boolean; started: unknown[]; skipped: unknown[] };
    expect([answer.status, backfill.workflowId, backfill.trigger, backfill.dryRun, backfill.skipped]).toEqual([200, "one", "a", true, []]);
    expect([11, 12]).toContain(backfill.started.length);
    expect(await codeOf(await post("/api/v1/triggers/backfill", { ...body, to: new Date(now + 60_000).toISOString() }))).toEqual([
      422,
      "INPUT_INVALID",
    ]);
    expect(await codeOf(await post("/api/v1/triggers/backfill", { ...body, from: "yesterday" }))).toEqual([422, "BODY_INVALID"]);
    expect(await codeOf(await post("/api/v1/triggers/backfill", { ...body, workflow: "none" }))).toEqual([404, "WORKFLOW_NOT_FOUND"]);
    expect(await codeOf(await post("/api/v1/triggers/backfill", { ...body, trigger: "none" }))).toEqual([404, "TRIGGER_NOT_FOUND"]);
  });

  test("fire needs a trigger to be named where there are several, and an enabled workflow", async () => {
    expect(await codeOf(await post("/api/v1/triggers/fire", { workflow: "one" }))).toEqual([422, "INPUT_INVALID"]);
    expect(await codeOf(await post("/api/v1/triggers/fire", { workflow: "one", trigger: "x" }))).toEqual([404, "TRIGGER_NOT_FOUND"]);
    await at.call("PATCH", "/api/v1/workflows/two", { body: { enabled: false } });
    expect(await codeOf(await post("/api/v1/triggers/fire", { workflow: "two", trigger: "a" }))).toEqual([409, "WORKFLOW_DISABLED"]);
    expect((await get("/api/v1/triggers?workflow=two")).triggers.map((one) => [one["enabled"], one["next"]])).toEqual([
      [false, null],
      [false, null],
    ]);
  });

  test("reading takes workflow:read, starting workflow:run", async () => {
    const { key } = await at.keyWith("workflow:read");
    expect((await at.call("GET", "/api/v1/triggers", { key })).status).toBe(200);
    expect((await at.call("GET", "/api/v1/triggers/health", { key })).status).toBe(200);
    for (const path of ["fire", "backfill"]) expect((await at.call("POST", `/api/v1/triggers/${path}`, { key, body: {} })).status).toBe(403);
  });
});
