// Each noun's routes on a real store: statuses, forms and what is passed through.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTestServer, outcome, type TestCall, type TestServer } from "./test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server.close());

const yaml = { "content-type": "application/yaml" };
const workflow = (id: string, script = "true") => `id: ${id}\ninputs: [{ id: n, type: integer, default: 1 }]\ntasks: [{ id: a, run: "${script}" }]\n`;
const apply = (id: string, body = workflow(id), query = "") => server.call("PUT", `/api/v1/workflows/${id}${query}`, { body, headers: yaml });
const json = async <T>(method: string, path: string, how?: TestCall) => (await (await server.call(method, path, how)).json()) as T;

test("apply is 201, then 200 unchanged, then 200 with a new revision", async () => {
  const first = await apply("steps");
  expect(first.status).toBe(201);
  expect(await first.json()).toMatchObject({ id: "steps", revision: 1, changed: true, enabled: true, warnings: [] });
  const same = await apply("steps");
  expect([same.status, await same.json()]).toMatchObject([200, { revision: 1, changed: false }]);
  const other = await apply("steps", workflow("steps", "echo 2"));
  expect([other.status, await other.json()]).toMatchObject([200, { revision: 2, changed: true }]);
  const { revisions } = await json<{ revisions: { revision: number; current: boolean }[] }>("GET", "/api/v1/workflows/steps/revisions");
  expect(revisions.map(({ revision, current }) => [revision, current])).toEqual([
    [2, true],
    [1, false],
  ]);
  expect(await json<object>("GET", "/api/v1/workflows/steps/revisions/1")).toMatchObject({ source: workflow("steps"), current: false });
  expect(await outcome(server.call("GET", "/api/v1/workflows/steps/revisions/3"))).toBe("404 WORKFLOW_NOT_FOUND");
});

test("an apply keeps its folder, takes enabled, and writes nothing on a dry run", async () => {
  const placed = await apply("placed", workflow("placed"), "?folder=%2Fsrv%2Fflows&enabled=false");
  expect(await placed.json()).toMatchObject({ folder: "/srv/flows", enabled: false });
  expect(await outcome(apply("dry", workflow("dry"), "?dryRun=true"))).toBe("200");
  expect(await outcome(server.call("GET", "/api/v1/workflows/dry"))).toBe("404 WORKFLOW_NOT_FOUND");
});

test("what says that it is JSON has to be; YAML that looks like it is YAML", async () => {
  const put = (body: string, type: string) => outcome(server.call("PUT", "/api/v1/workflows/form", { body, headers: { "content-type": type } }));
  const flow = "{id: form, tasks: [{id: a, run: 'true'}]}";
  expect(await put(flow, "application/json; charset=utf-8")).toBe("400 BAD_REQUEST");
  expect(await put(flow, "application/yaml")).toBe("201");
  expect(await put('{"id":"form","tasks":[{"id":"a","run":"true"}]}', "application/json")).toBe("200");
  expect(await put('{"id":"form"}', "application/json")).toBe("422 WORKFLOW_INVALID");
});

test("a workflow with errors, or of another id, is 422", async () => {
  expect(await outcome(apply("wrong", "id: wrong\ntasks: []\nnope: 1\n"))).toBe("422 WORKFLOW_INVALID");
  expect(await outcome(apply("wrong", workflow("right")))).toBe("422 WORKFLOW_INVALID");
});

test("validate answers 200 whatever it finds", async () => {
  const check = (body: string) =>
    json<{ valid: boolean; diagnostics: { code: string }[] }>("POST", "/api/v1/workflows/validate", { body, headers: yaml });
  expect(await check(workflow("fine"))).toEqual({ valid: true, diagnostics: [] });
  const found = await check("id: x\ntaks: []\n");
  expect(found.valid).toBe(false);
  expect(found.diagnostics.map(({ code }) => code)).toContain("UNKNOWN_KEY");
});

test("disable, refuse to start, enable, delete", async () => {
  await apply("switched");
  expect(await json<object>("PATCH", "/api/v1/workflows/switched", { body: { enabled: false } })).toMatchObject({ id: "switched", enabled: false });
  expect(await outcome(server.call("POST", "/api/v1/workflows/switched/executions"))).toBe("409 WORKFLOW_DISABLED");
  expect(await json<object>("PATCH", "/api/v1/workflows/switched", { body: { enabled: true } })).toMatchObject({ enabled: true });
  const gone = await server.call("DELETE", "/api/v1/workflows/switched");
  expect([gone.status, await gone.text()]).toEqual([204, ""]);
  expect(await outcome(server.call("DELETE", "/api/v1/workflows/switched"))).toBe("404 WORKFLOW_NOT_FOUND");
});

test("lists page by a cursor that nobody can make up", async () => {
  for (const id of ["page-a", "page-b", "page-c"]) await apply(id);
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const next: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { workflows: { id: string }[]; nextCursor: string | null } = await json("GET", `/api/v1/workflows?limit=1${next}`);
    expect(page.workflows.length).toBeLessThanOrEqual(1);
    seen.push(...page.workflows.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== null);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen).toEqual(expect.arrayContaining(["page-a", "page-b", "page-c"]));
  expect(await outcome(server.call("GET", "/api/v1/executions?cursor=AAAA"))).toBe("400 BAD_REQUEST");
});

test("a start is 202 with its place; both names of the route are one", async () => {
  await apply("started");
  for (const verb of ["executions", "trigger"]) {
    const answer = await server.call("POST", `/api/v1/workflows/started/${verb}`, { body: { inputs: { n: 2 }, labels: { why: verb } } });
    const { executionId } = (await answer.json()) as { executionId: string };
    expect(answer.status).toBe(202);
    expect(answer.headers.get("location")).toBe(`/api/v1/executions/${executionId}`);
    const shown = await json<object>("GET", `/api/v1/executions/${executionId}`);
    expect(shown).toMatchObject({ execution: { executionId, workflowId: "started" } });
    const { executions } = await json<{ executions: { executionId: string }[] }>("GET", `/api/v1/executions?workflow=started&label=why%3D${verb}`);
    expect(executions.map((one) => one.executionId)).toEqual([executionId]);
  }
  expect(await outcome(server.call("POST", "/api/v1/workflows/started/executions", { body: { inputs: { n: "many" } } }))).toBe("422 INPUT_INVALID");
});

test("an idempotency key gives the first answer again, and refuses another body", async () => {
  await apply("once");
  const start = (body: object) => server.call("POST", "/api/v1/workflows/once/executions", { body, headers: { "idempotency-key": "k-1" } });
  const first = (await (await start({ inputs: { n: 1 } })).json()) as { executionId: string };
  expect((await (await start({ inputs: { n: 1 } })).json()) as object).toMatchObject({ executionId: first.executionId });
  expect(await outcome(start({ inputs: { n: 2 } }))).toBe("409 IDEMPOTENCY_MISMATCH");
});

test("a chosen execution id is taken once", async () => {
  await apply("chosen");
  const body = { executionId: "01890a5d-ac96-774b-bcce-b302099a8057" };
  expect(await outcome(server.call("POST", "/api/v1/workflows/chosen/executions", { body }))).toBe("202");
  expect(await outcome(server.call("POST", "/api/v1/workflows/chosen/executions", { body }))).toBe("409 ALREADY_EXISTS");
});

test("commands are 202, then 200; the wrong state is 409", async () => {
  await apply("cancelled", workflow("cancelled", "sleep 60"));
  const { executionId } = await json<{ executionId: string }>("POST", "/api/v1/workflows/cancelled/executions");
  const command = (verb: string, how: TestCall = {}) => outcome(server.call("POST", `/api/v1/executions/${executionId}/${verb}`, how));
  for (const verb of ["pause", "resume"]) expect([await command(verb), await command(verb)]).toEqual(["202", "200"]);
  expect(await command("restart")).toBe("409 EXECUTION_STATE");
  expect(await command("resolve", { body: { taskId: "nope", as: "failed" } })).toBe("404 TASK_NOT_FOUND");
  expect(await command("resolve", { body: { taskId: "a", as: "maybe" } })).toBe("422 BODY_INVALID");
  expect(await command("cancel", { body: { now: true } })).toBe("422 BODY_INVALID");
  expect(await command("cancel")).toBe("202");
  const deadline = Date.now() + 10_000;
  let again = "202";
  // The running task has to end first.
  while (again === "202" && Date.now() < deadline) again = await command("cancel");
  expect(again).toBe("200");
  for (const verb of ["pause", "resume"]) expect(await command(verb)).toBe("409 EXECUTION_STATE");
  expect(await command("restart", { body: { from: "nope" } })).toBe("404 TASK_NOT_FOUND");
  const restarted = await server.call("POST", `/api/v1/executions/${executionId}/restart`);
  const body = (await restarted.json()) as { executionId: string };
  expect([restarted.status, body]).toEqual([202, expect.objectContaining({ restartedFrom: executionId })]);
  expect(await outcome(server.call("POST", `/api/v1/executions/${body.executionId}/cancel`))).toBe("202");
});

test("keys: shown once, listed without themselves, never beyond the maker's scopes", async () => {
  const made = await server.call("POST", "/api/v1/keys", { body: { name: "ci", principal: { type: "service", id: "ci" }, roles: ["viewer"] } });
  expect(made.status).toBe(201);
  const { id, key } = (await made.json()) as { id: string; key: string };
  expect(key).toMatch(/^ak_[A-Za-z0-9_-]{43}$/);
  expect(await outcome(server.call("GET", "/api/v1/workflows", { key }))).toBe("200");
  expect(await outcome(server.call("GET", "/api/v1/keys", { key }))).toBe("403 FORBIDDEN");
  const listed = await (await server.call("GET", "/api/v1/keys?limit=500")).text();
  expect(listed).toContain(id);
  expect(listed).not.toContain(key);
  const make = (body: object) => outcome(server.call("POST", "/api/v1/keys", { body }));
  expect(await make({ principal: { type: "user", id: "a" }, scopes: ["workflow:everything"] })).toBe("422 KEY_INVALID");
  expect(await make({ principal: { type: "robot", id: "a" } })).toBe("422 BODY_INVALID");
  const revoked = await server.call("DELETE", `/api/v1/keys/${id}`);
  expect([revoked.status, await revoked.text()]).toEqual([204, ""]);
});

test("events leave as the bytes they are stored in, as JSON and as lines", async () => {
  await apply("traced");
  const { executionId } = await json<{ executionId: string }>("POST", "/api/v1/workflows/traced/executions");
  const path = `/v1/traces/${executionId}/events`;
  const raw = await (await server.call("GET", `${path}?limit=1`)).text();
  const page = JSON.parse(raw) as { events: { hash: string }[]; total_count: number; has_more: boolean };
  expect(page).toMatchObject({ trace_id: executionId, events: [{ sequence: 0, event_type: "trace.execution.created" }] });
  expect(page.has_more).toBe(page.total_count > 1);
  const lines = await server.call("GET", `${path}?limit=1`, { headers: { accept: "application/x-ndjson" } });
  expect(lines.headers.get("content-type")).toBe("application/x-ndjson");
  const [line = "", rest] = (await lines.text()).split("\n");
  expect(rest).toBe("");
  expect(raw).toContain(`"events":[${line}]`);
  // Anyone can check it: the hash is over the stored bytes, which are the sent ones without the last two members.
  const stored = line.replace(/,"hash":"[0-9a-f]{64}","seq":\d+\}$/, "}");
  expect(new Bun.CryptoHasher("sha256").update(stored).digest("hex")).toBe(page.events[0]?.hash ?? "");
  const { events } = await json<{ events: { sequence: number }[] }>("GET", `${path}?since_sequence=0`);
  expect(events.every(({ sequence }) => sequence > 0)).toBe(true);
  const { traces } = await json<{ traces: { trace_id: string; subject: string }[] }>("GET", "/v1/traces?subject=execution&limit=1");
  expect(traces).toMatchObject([{ trace_id: executionId, subject: "execution" }]);
});

test("[WF-09] what a repeat is known by tells nothing of masked inputs, and outlives a rotation of the key", async () => {
  await server.call("PUT", "/api/v1/secrets/IDEMPOTENT", { body: { value: "a listed secret" } });
  const inputs = "inputs: [{ id: pin, type: string, sensitive: true, default: '0000' }, { id: open, type: string, default: a }]\n";
  await apply("pins", `id: pins\n${inputs}tasks: [{ id: a, run: "true" }]\n`);
  await apply("listing", `id: listing\nsecrets: [IDEMPOTENT]\ninputs: [{ id: open, type: string }]\ntasks: [{ id: a, run: "true" }]\n`);
  const start = (id: string, key: string, given: object) =>
    server.call("POST", `/api/v1/workflows/${id}/executions`, { body: { inputs: given }, headers: { "idempotency-key": key } });
  const executionOf = async (answer: Response) => ((await answer.json()) as { executionId: string }).executionId;
  const first = await executionOf(await start("pins", "k-pins", { pin: "1234" }));
  const listed = await executionOf(await start("listing", "k-listing", { open: "1234" }));
  const db = new Database(server.app.loaded.storePath, { readonly: true });
  const digestOf = (key: string) => db.query("select body_sha256 from idempotency where key = ?").values(key)[0]?.[0];
  // What anyone who knows the workflow can try.
  const guess = (workflow: string, given: object | null) => {
    const body = { executionId: null, ...(given === null ? {} : { inputs: given }), labels: {}, revision: null, workflow };
    return new Bun.CryptoHasher("sha256").update(JSON.stringify(body)).digest("hex");
  };
  expect([digestOf("k-pins"), digestOf("k-listing")]).toEqual([guess("pins", null), guess("listing", null)]);
  expect(digestOf("k-1")).toBe(guess("once", { n: 1 }));
  db.close();
  for (const rotates of [false, true]) {
    if (rotates) expect(await outcome(server.call("POST", "/api/v1/secrets/rotate-key"))).toBe("200");
    expect(await executionOf(await start("pins", "k-pins", { pin: "1234" }))).toBe(first);
    expect(await executionOf(await start("listing", "k-listing", { open: "1234" }))).toBe(listed);
    for (const other of [{ pin: "1235" }, { pin: "1234", open: "a" }, {}])
      expect(await outcome(start("pins", "k-pins", other))).toBe("409 IDEMPOTENCY_MISMATCH");
    expect(await outcome(start("listing", "k-pins", { pin: "1234" }))).toBe("409 IDEMPOTENCY_MISMATCH");
  }
});

test("the newest events of all traces leave as the same bytes, filtered before they are counted", async () => {
  await apply("early");
  for (const id of ["later", "last"]) await apply(id);
  const { executionId } = await json<{ executionId: string }>("POST", "/api/v1/workflows/early/executions");
  const raw = await (await server.call("GET", "/v1/traces/events?event_type=workflow.*&limit=2")).text();
  const page = JSON.parse(raw) as { events: { seq: number; payload: { workflow: string } }[]; has_more: boolean };
  expect(page).toMatchObject({ events: [{ payload: { workflow: "later" } }, { payload: { workflow: "last" } }], has_more: true });
  const lines = await server.call("GET", "/v1/traces/events?event_type=workflow.*&limit=2", { headers: { accept: "application/x-ndjson" } });
  expect(`[${(await lines.text()).trimEnd().split("\n").join(",")}]`).toBe(raw.slice(raw.indexOf("["), raw.lastIndexOf("]") + 1));
  const before = page.events[0]?.seq ?? 0;
  const earlier = await json<object>("GET", `/v1/traces/events?event_type=workflow.*&limit=1&before_seq=${before}`);
  expect(earlier).toMatchObject({ events: [{ payload: { workflow: "early" } }] });
  const { events } = await json<{ events: { trace: { trace_id: string } }[] }>("GET", "/v1/traces/events?event_type=execution.created&limit=1");
  expect(events.map(({ trace }) => trace.trace_id)).toEqual([executionId]);
});
