// Webhooks over a real store: who gets in, what is taken of a request, and that a delivery starts once.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { gzipSync } from "node:zlib";
import { openTestServer, outcome, type TestServer } from "./test-server.ts";

const secret = `hook-${crypto.randomUUID()}`;
const other = `other-${crypto.randomUUID()}`;
const sign = (body: string | Uint8Array, key = secret) => `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;

const workflow = (id: string, more: object = {}) => ({
  id,
  secrets: ["HOOK_KEY", "OTHER_KEY"],
  inputs: [
    { id: "day", type: "string", pattern: "^[a-z]+$", default: "none" },
    { id: "token", type: "string", sensitive: true, default: "nothing" },
    { id: "all", type: "object", default: {} },
  ],
  triggers: [
    { id: "push", type: "webhook", path: "report", secret: "HOOK_KEY", inputs: { day: "{{ trigger.body.day }}" } },
    { id: "deep", type: "webhook", path: "a/b.c/~d", method: "PUT", secret: "HOOK_KEY" },
    { id: "get", type: "webhook", path: "a/b.c/~d", method: "GET", secret: "HOOK_KEY", inputs: { all: { q: "{{ trigger.query }}" } } },
    {
      id: "raw",
      type: "webhook",
      path: "raw",
      secret: "HOOK_KEY",
      inputs: { all: { body: "{{ trigger.body }}", headers: "{{ trigger.headers }}", query: "{{ trigger.query }}" } },
    },
  ],
  tasks: [{ id: "a", type: "core/log.write", inputs: { message: "{{ inputs.day }}" } }],
  ...more,
});

type Sent = { method?: string; body?: string | Uint8Array; headers?: Record<string, string>; proof?: Record<string, string> | null };

let server: TestServer;

async function apply(definition: { id: string }): Promise<void> {
  const body = JSON.stringify(definition);
  const answer = await server.call("PUT", `/api/v1/workflows/${definition.id}`, { body, headers: { "content-type": "application/yaml" } });
  expect([200, 201]).toContain(answer.status);
}

/** Signed, unless it has another proof or none. */
function send(path: string, { method = "POST", body, headers = {}, proof }: Sent = {}): Promise<Response> {
  const own = proof === null ? {} : (proof ?? { "X-Hub-Signature-256": sign(body ?? "") });
  return server.call(method, `/hooks/${path}`, { key: null, headers: { ...own, ...headers }, ...(body === undefined ? {} : { body }) });
}

async function executionOf(answer: Response): Promise<string> {
  expect(answer.status).toBe(202);
  const body = (await answer.json()) as Record<string, string>;
  expect(Object.keys(body)).toEqual(["execution_id"]);
  return body["execution_id"] ?? "";
}

async function read(id: string): Promise<{ execution: { state: string; reasonCode: string; inputs: Record<string, unknown> }; trace: unknown[] }> {
  return (await (await server.call("GET", `/api/v1/executions/${id}?include=inputs,trace`)).json()) as Awaited<ReturnType<typeof read>>;
}

async function count(workflow: string): Promise<number> {
  const answer = await server.call("GET", `/api/v1/executions?workflow=${workflow}&limit=500`);
  return ((await answer.json()) as { executions: unknown[] }).executions.length;
}

beforeAll(async () => {
  server = await openTestServer();
  await server.call("PUT", "/api/v1/secrets/HOOK_KEY", { body: { value: secret } });
  await server.call("PUT", "/api/v1/secrets/OTHER_KEY", { body: { value: other } });
  await apply(workflow("wf"));
});
afterAll(() => server.close());

const day = JSON.stringify({ day: "monday" });

describe("[CRA-Q02] who gets in", () => {
  const good: [string, Record<string, string>][] = [
    ["a signature", { "X-Hub-Signature-256": sign(day) }],
    ["a signature in capitals", { "x-hub-signature-256": sign(day).replace(/[a-f]/g, (letter) => letter.toUpperCase()) }],
    ["a bearer", { Authorization: `Bearer ${secret}` }],
    ["a signature beside somebody else's Authorization", { "X-Hub-Signature-256": sign(day), Authorization: "Basic Zm9vOmJhcg==" }],
  ];
  for (const [what, proof] of good) test(`${what} does`, async () => void (await executionOf(await send("wf/report", { body: day, proof }))));

  const bad: [string, Record<string, string> | null][] = [
    ["nothing", null],
    ["a signature of another body", { "X-Hub-Signature-256": sign(`${day} `) }],
    ["a signature by another secret", { "X-Hub-Signature-256": sign(day, other) }],
    ["a signature of no form", { "X-Hub-Signature-256": sign(day).slice(7) }],
    ["a signature that is too short", { "X-Hub-Signature-256": sign(day).slice(0, -2) }],
    ["an older kind of signature", { "X-Hub-Signature": `sha1=${createHmac("sha1", secret).update(day).digest("hex")}` }],
    ["a wrong signature beside the right bearer", { "X-Hub-Signature-256": sign(day, other), Authorization: `Bearer ${secret}` }],
    ["a bearer that is a part", { Authorization: `Bearer ${secret.slice(0, -1)}` }],
    ["an empty bearer", { Authorization: "Bearer " }],
    ["the secret as an API key", { "X-API-Key": secret }],
    ["another secret of the workflow", { Authorization: `Bearer ${other}` }],
  ];
  for (const [what, proof] of bad) {
    test(`${what} does not`, async () => {
      const before = await count("wf");
      expect(await outcome(await send("wf/report", { body: day, proof }))).toBe("401 UNAUTHORIZED");
      expect(await count("wf")).toBe(before);
    });
  }

  test("an API key of any scope does not", async () => {
    expect(await outcome(await send("wf/report", { body: day, proof: { authorization: `Bearer ${server.adminKey}` } }))).toBe("401 UNAUTHORIZED");
  });

  test("a secret that does not exist looks like a wrong proof, and shows in health; a new value counts at once", async () => {
    const definition = workflow("late", { secrets: ["LATE"], triggers: [{ id: "push", type: "webhook", path: "p", secret: "LATE" }] });
    await apply(definition);
    const refused = await send("late/p", { body: day });
    const text = await refused.text();
    const same = await send("wf/report", { body: day, proof: null });
    const strip = (shown: string) => shown.replace(/"request_id":"[^"]*"/, "").replace(/\/hooks\/[a-z/]+/, "");
    expect([refused.status, strip(text)]).toEqual([same.status, strip(await same.text())]);
    const health = async () => ((await (await server.call("GET", "/api/v1/triggers/health")).json()) as { triggers: object[] }).triggers;
    expect(await health()).toEqual([{ workflowId: "late", id: "push", expectedAt: null, lastFiredAt: null, reason: "SECRETS_MISSING" }]);
    for (const value of ["first-value", "second-value"]) {
      await server.call("PUT", "/api/v1/secrets/LATE", { body: { value } });
      await executionOf(await send("late/p", { body: day, proof: { authorization: `Bearer ${value}` } }));
    }
    expect(await outcome(await send("late/p", { body: day, proof: { authorization: "Bearer first-value" } }))).toBe("401 UNAUTHORIZED");
    expect(await health()).toEqual([]);
  });
});

describe("where", () => {
  test("paths of several parts, and each method its own trigger", async () => {
    await executionOf(await send("wf/a/b.c/~d", { method: "PUT", body: "{}" }));
    const id = await executionOf(await send("wf/a/b.c/~d?x=1&y=a%20b&x=2", { method: "GET" }));
    expect((await read(id)).execution.inputs["all"]).toEqual({ q: { x: "2", y: "a b" } });
    const wrong = await send("wf/a/b.c/~d", { body: "{}" });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, PUT"]);
    expect(await outcome(await send("wf/report", { method: "PUT", body: day }))).toBe("405 METHOD_NOT_ALLOWED");
    const before = await count("wf");
    expect((await send("wf/a/b.c/~d", { method: "HEAD" })).status).toBe(405);
    expect(await outcome(await send("wf/report", { method: "DELETE" }))).toBe("405 METHOD_NOT_ALLOWED");
    expect(await count("wf")).toBe(before);
  });

  test("what is no hook is 404, with a proof and without", async () => {
    for (const path of ["wf/nothing", "nothing/report", "wf", "wf/", "wf/report/", "wf/report/x", "wf//report", "wf/%2e%2e/x", "", "wf/a/b.c"])
      for (const proof of [null, { authorization: `Bearer ${secret}` }])
        expect([path, await outcome(await send(path, { body: day, proof }))]).toEqual([path, "404 NOT_FOUND"]);
  });

  test("one of a disabled workflow is 404 until it is enabled again", async () => {
    await apply(workflow("off"));
    await executionOf(await send("off/report", { body: day }));
    await server.call("PATCH", "/api/v1/workflows/off", { body: { enabled: false } });
    expect(await outcome(await send("off/report", { body: day }))).toBe("404 NOT_FOUND");
    expect(await outcome(await send("off/report", { body: day, proof: null }))).toBe("404 NOT_FOUND");
    expect(await outcome(await send("off/report", { method: "PUT", body: day }))).toBe("404 NOT_FOUND");
    await server.call("PATCH", "/api/v1/workflows/off", { body: { enabled: true } });
    await executionOf(await send("off/report", { body: day }));
  });
});

describe("what is taken", () => {
  const json = "application/json";
  const bodies: [string, string | null, unknown][] = [
    ['{"a":[1,"ü"]}', json, { a: [1, "ü"] }],
    ["[1]", "application/vnd.github+json; charset=utf-8", [1]],
    ['"text"', json, "text"],
    ["a=1&b=x+y&a=2", "application/x-www-form-urlencoded", { a: "2", b: "x y" }],
    ['{"a":1}', "application/x-www-form-urlencoded", { a: 1 }],
    ['{"a":1}', "text/plain;charset=UTF-8", { a: 1 }],
    ["[info] hello", "text/plain", "[info] hello"],
    ["<a/>", "application/xml", "<a/>"],
    ['{"a":1}', "application/xml", '{"a":1}'],
    ["", json, null],
  ];
  for (const [body, type, expected] of bodies) {
    test(`${JSON.stringify(body)} as ${type}`, async () => {
      const headers: Record<string, string> = type === null ? {} : { "content-type": type };
      const id = await executionOf(await send("wf/raw", { body, headers }));
      expect((await read(id)).execution.inputs["all"]).toMatchObject({ body: expected });
    });
  }

  test("headers by lower-case names, without what proves something", async () => {
    const proofs = { Cookie: "a=b", "X-Gitlab-Token": "t", "Webhook-Signature": "v1,x", "X-Api-Key": "k", Authorization: `Bearer ${secret}` };
    const id = await executionOf(await send("wf/raw?q=1", { body: "{}", headers: { "X-GitHub-Event": "push", ...proofs } }));
    const { execution, trace } = await read(id);
    const { headers, query } = execution.inputs["all"] as { headers: Record<string, string>; query: object };
    expect(headers).toMatchObject({ "x-github-event": "push", "content-type": json });
    expect(Object.keys(headers).filter((name) => /cookie|token|signature|key|authorization/i.test(name))).toEqual([]);
    expect(query).toEqual({ q: "1" });
    const text = JSON.stringify(trace);
    for (const gone of [secret, sign("{}").slice(7), "v1,x"]) expect(text).not.toContain(gone);
    expect(text).toContain('"trigger_data"');
  });

  test("a large body is whole", async () => {
    const body = JSON.stringify({ text: "x".repeat(900_000) });
    const id = await executionOf(await send("wf/raw", { body }));
    expect((await read(id)).execution.inputs["all"]).toMatchObject({ body: JSON.parse(body) as object });
  });

  const refused: [string, Sent, string][] = [
    ["bad JSON", { body: "{not json" }, "400 BAD_REQUEST"],
    ["bad JSON that fetch calls text", { body: '{"a":', headers: { "content-type": "text/plain;charset=UTF-8" } }, "400 BAD_REQUEST"],
    ["JSON that is not UTF-8", { body: new Uint8Array([0x22, 0xff, 0x22]) }, "400 BAD_REQUEST"],
    ["a delivery id of no form", { body: day, headers: { "webhook-id": "a b" } }, "400 BAD_REQUEST"],
    ["inputs that do not fit", { body: '{"day":"MONDAY"}' }, "422 INPUT_INVALID"],
    ["a body without what the inputs need", { body: "{}" }, "422 INPUT_INVALID"],
    ["a number that JSON cannot keep", { body: '{"day":"monday","n":12345678901234567890}' }, "422 INPUT_INVALID"],
    ["deep nesting", { body: `${"[".repeat(100_000)}${"]".repeat(100_000)}` }, "422 INPUT_INVALID"],
    ["a body that is too large", { body: `"${"x".repeat(1024 * 1024)}"` }, "413 TOO_LARGE"],
    ["a packed body", { body: gzipSync(day), headers: { "content-encoding": "gzip" } }, "415 UNSUPPORTED_MEDIA_TYPE"],
  ];
  for (const [what, sent, expected] of refused) {
    test(`${what} is refused, and starts nothing`, async () => {
      const before = await count("wf");
      expect(await outcome(await send("wf/report", sent))).toBe(expected);
      expect(await count("wf")).toBe(before);
    });
  }

  test("a body is not looked into before its proof", async () => {
    expect(await outcome(await send("wf/report", { body: "{not json", proof: null }))).toBe("401 UNAUTHORIZED");
  });

  test("[WF-09] refusals show no secret that they were sent", async () => {
    const body = JSON.stringify({ day: `X${other}`, more: secret });
    const answer = await send("wf/report", { body });
    const text = await answer.text();
    expect(answer.status).toBe(422);
    expect([text.includes(other), text.includes(secret)]).toEqual([false, false]);
  });

  test("a secret that the workflow lacks makes an execution that fails, with nothing of the others in it", async () => {
    await apply(workflow("lacking", { secrets: ["HOOK_KEY", "OTHER_KEY", "ABSENT"] }));
    const body = JSON.stringify({ day: "monday", text: `see ${other}` });
    const { execution, trace } = await read(await executionOf(await send("lacking/report", { body })));
    expect(execution).toMatchObject({ state: "FAILED", reasonCode: "INVALID_INPUT", error: { code: "SECRETS_MISSING" }, inputs: { day: "monday" } });
    expect(JSON.stringify(trace)).not.toContain(other);
    // The sender is at fault for this one, so no execution tells of it.
    expect(await outcome(await send("lacking/report", { body: "{}" }))).toBe("422 INPUT_INVALID");
    expect(await count("lacking")).toBe(1);
  });
});

describe("once", () => {
  for (const header of ["X-GitHub-Delivery", "webhook-id", "Idempotency-Key"]) {
    test(`a repeat by ${header} gets the first one's execution`, async () => {
      const headers = { [header]: crypto.randomUUID() };
      const first = await executionOf(await send("wf/report", { body: day, headers }));
      const before = await count("wf");
      expect(await executionOf(await send("wf/report", { body: day, headers }))).toBe(first);
      expect(await count("wf")).toBe(before);
      // The id is one of this trigger, and no proof.
      expect(await executionOf(await send("wf/raw", { body: day, headers }))).not.toBe(first);
      expect(await outcome(await send("wf/report", { body: day, headers, proof: null }))).toBe("401 UNAUTHORIZED");
      const changed = await send("wf/report", { body: '{"day":"sunday"}', headers });
      if (header === "Idempotency-Key") expect(await outcome(changed)).toBe("409 IDEMPOTENCY_MISMATCH");
      else expect(await executionOf(changed)).toBe(first);
    });
  }

  test("of many at the same moment one starts", async () => {
    const headers = { "X-GitHub-Delivery": crypto.randomUUID() };
    const before = await count("wf");
    const answers = await Promise.all(Array.from({ length: 20 }, () => send("wf/report", { body: day, headers })));
    expect(new Set(await Promise.all(answers.map(executionOf))).size).toBe(1);
    expect(await count("wf")).toBe(before + 1);
  });

  test("a delivery that was refused may come again", async () => {
    const headers = { "X-GitHub-Delivery": crypto.randomUUID() };
    expect(await outcome(await send("wf/report", { body: "{}", headers }))).toBe("422 INPUT_INVALID");
    await executionOf(await send("wf/report", { body: day, headers }));
  });

  test("without an id each request starts one", async () => {
    const answers = [await send("wf/report", { body: day }), await send("wf/report", { body: day })];
    expect(new Set(await Promise.all(answers.map(executionOf))).size).toBe(2);
  });
});

test("triggers and events tell of it", async () => {
  const id = await executionOf(await send("wf/report", { body: day }));
  const { triggers } = (await (await server.call("GET", "/api/v1/triggers?workflow=wf")).json()) as { triggers: { id: string }[] };
  expect(triggers.find((one) => one.id === "push")).toMatchObject({
    type: "webhook",
    method: "POST",
    path: "report",
    last: { scheduledAt: null, executionId: id, state: "started" },
  });
  const events = await server.call("GET", `/v1/traces/${await systemTrace()}/events?event_type=trigger.fired&limit=500`);
  const fired = ((await events.json()) as { events: { payload: object }[] }).events.map(({ payload }) => payload);
  expect(fired).toContainEqual({ workflow: "wf", trigger: "push", scheduled_at: null, execution_id: id });
  const { execution } = await read(id);
  expect(execution).toMatchObject({ trigger: { type: "webhook", id: "push", scheduledAt: null } });
  expect(server.troubles).toEqual([]);
});

async function systemTrace(): Promise<string> {
  const { traces } = (await (await server.call("GET", "/v1/traces?subject=system")).json()) as { traces: { trace_id: string }[] };
  return traces[0]?.trace_id ?? "";
}
