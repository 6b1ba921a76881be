// Secrets over HTTP: forms and limits, who may what, a new key for all of them, and values that are nowhere but in their own answer.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApp } from "../../src/app/index.ts";
import type { SecretKeyRotation, SecretList } from "../../src/model/index.ts";
import { createServer } from "../../src/server/index.ts";
import { openTestServer, outcome, requestOf, type TestCall, type TestServer } from "./test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server.close());

const kibibyte = 1024;
const at = (name: string) => `/api/v1/secrets/${encodeURIComponent(name)}`;
const put = (name: string, body: unknown, on = server) => on.call("PUT", at(name), { body });
const json = async <T>(method: string, path: string, how?: TestCall, on = server) => (await (await on.call(method, path, how)).json()) as T;
const show = async (name: string) => await json<{ name: string; value: string; encoding?: string }>("GET", at(name));
const listed = async (query = "") => json<SecretList>("GET", `/api/v1/secrets${query}`);
const events = async (type: string) => {
  const { events: found } = await json<{ events: { event_type: string; payload: Record<string, string>; actor: unknown }[] }>(
    "GET",
    `/v1/traces/${await systemTrace()}/events?event_type=${type}&limit=500`,
  );
  return found;
};
const systemTrace = async () => (await json<{ traces: { trace_id: string }[] }>("GET", "/v1/traces?subject=system")).traces[0]?.trace_id ?? "";

/** Another process on the same store, as far as one can be had here. */
async function openBeside(): Promise<{ call: TestServer["call"]; close(): Promise<void> }> {
  const app = await openApp({ loaded: server.app.loaded, mode: "command" });
  const beside = createServer({ app, clock: server.clock, ids: { next: () => Bun.randomUUIDv7() } });
  return {
    call: (method, path, how = {}) => beside.handle(requestOf(method, path, { key: server.adminKey, ...how })),
    close: () => app.close(),
  };
}

/** Changes the store behind the program's back. */
function tamper(on: TestServer, ...statements: string[]): void {
  const db = new Database(on.app.loaded.storePath);
  for (const statement of statements) db.run(statement);
  db.close();
}

test("[WF-16] a secret is stored, shown, listed without its value, and deleted", async () => {
  expect((await put("FIRST", { value: "correct horse" })).status).toBe(204);
  const shown = await server.call("GET", at("FIRST"));
  expect([shown.status, shown.headers.get("cache-control"), await shown.json()]).toEqual([
    200,
    "no-store",
    { name: "FIRST", value: "correct horse" },
  ]);
  const { secrets, nextCursor } = await listed();
  expect(nextCursor).toBeNull();
  const [item] = secrets;
  expect(Object.keys(item ?? {})).toEqual(["name", "createdAt", "updatedAt", "by"]);
  expect(item).toMatchObject({ name: "FIRST", by: "service:test" });
  expect((await server.call("DELETE", at("FIRST"))).status).toBe(204);
  expect(await outcome(server.call("GET", at("FIRST")))).toBe("404 SECRET_NOT_FOUND");
  expect(await outcome(server.call("DELETE", at("FIRST")))).toBe("404 SECRET_NOT_FOUND");
  expect((await listed()).secrets).toEqual([]);
});

test("[WF-16] a value is replaced; when it was first stored is kept", async () => {
  await put("KEPT", { value: "one value" });
  const [before] = (await listed()).secrets;
  // The next millisecond, so that the two times can differ.
  while (Date.now() <= Date.parse(before?.updatedAt ?? "")) await Bun.sleep(1);
  await put("KEPT", { value: "another value" });
  const [after] = (await listed()).secrets;
  expect((await show("KEPT")).value).toBe("another value");
  expect(after?.createdAt).toBe(before?.createdAt ?? "");
  expect(Date.parse(after?.updatedAt ?? "")).toBeGreaterThan(Date.parse(before?.updatedAt ?? ""));
  await server.call("DELETE", at("KEPT"));
});

test.each([
  ["text beyond ASCII", "påss wörd 🦊\n\t\u0000\u202e"],
  ["a byte order mark", "\uFEFFmarked"],
  ["JSON", '{"a":"\\"b"}'],
])("[WF-16] %s comes back as it was", async (_, value) => {
  await put("TEXT", { value });
  expect(await show("TEXT")).toEqual({ name: "TEXT", value });
});

test("[WF-16] bytes go as base64, and come back so only when they are no text", async () => {
  const bytes = new Uint8Array([0xff, 0xfe, 0x00, 0x0a, 0x80]);
  expect((await put("BYTES", { value: bytes.toBase64(), encoding: "base64" })).status).toBe(204);
  expect(await show("BYTES")).toEqual({ name: "BYTES", value: bytes.toBase64(), encoding: "base64" });
  expect((await put("BYTES", { value: btoa("plain text"), encoding: "base64" })).status).toBe(204);
  expect(await show("BYTES")).toEqual({ name: "BYTES", value: "plain text" });
});

test("[WF-16] 1 byte to 64 KiB are taken, counted once the value is decoded", async () => {
  const max = 64 * kibibyte;
  const sized = (body: unknown) => outcome(put("SIZED", body));
  expect(await sized({ value: "x".repeat(max) })).toBe("204");
  expect(await sized({ value: "x".repeat(max + 1) })).toBe("422 SECRET_INVALID");
  expect(await sized({ value: "ü".repeat(max / 2) })).toBe("204");
  expect(await sized({ value: "ü".repeat(max / 2) + "x" })).toBe("422 SECRET_INVALID");
  // The longest that JSON can make of it: each byte as an escape of six.
  expect(await sized({ value: "\u0001".repeat(max) })).toBe("204");
  const random = new Uint8Array(max + 1).fill(0xfe);
  expect(await sized({ value: random.subarray(1).toBase64(), encoding: "base64" })).toBe("204");
  expect((await show("SIZED")).value).toBe(random.subarray(1).toBase64());
  expect(await sized({ value: random.toBase64(), encoding: "base64" })).toBe("422 SECRET_INVALID");
  expect(await sized({ value: "" })).toBe("422 SECRET_INVALID");
  expect(await sized({ value: "", encoding: "base64" })).toBe("422 SECRET_INVALID");
  expect(await sized({ value: "x".repeat(kibibyte * kibibyte) })).toBe("413 TOO_LARGE");
});

test("a value that is too short to be masked is stored, and a header says so", async () => {
  expect((await put("SHORT", { value: "üx" })).headers.get("warning")).toStartWith("199 - ");
  expect((await put("SHORT", { value: "ünx" })).headers.get("warning")).toBeNull();
  expect((await put("SHORT", { value: btoa("abc"), encoding: "base64" })).headers.get("warning")).toStartWith("199 - ");
});

test("[WF-16] names are letters, digits and _: others cannot be stored, and are not there", async () => {
  for (const name of ["_", "a1", "A".repeat(128)]) {
    expect((await put(name, { value: "some value" })).status).toBe(204);
    expect((await show(name)).name).toBe(name);
    expect((await server.call("DELETE", at(name))).status).toBe(204);
  }
  for (const name of ["1A", "a-b", "a.b", "a b", "ä", "A".repeat(129), "rotate-key", "a/b", "a\n"]) {
    expect(await outcome(put(name, { value: "some value" }))).toBe("422 SECRET_INVALID");
    expect(await outcome(server.call("GET", at(name)))).toBe("404 SECRET_NOT_FOUND");
    expect(await outcome(server.call("DELETE", at(name)))).toBe("404 SECRET_NOT_FOUND");
  }
  type Refused = { error: { message: string; hint: string } };
  for (const [method, verb] of [
    ["GET", "show"],
    ["DELETE", "delete"],
  ] as const) {
    const [missing, impossible] = await Promise.all(["MISSING", "no-name"].map((name) => json<Refused>(method, at(name))));
    expect(missing?.error.message).toStartWith(`Cannot ${verb} secret`);
    expect(impossible?.error.message).toBe(missing?.error.message.replace("MISSING", "no-name") ?? "");
    expect(impossible?.error.hint).toBe(missing?.error.hint ?? "");
  }
});

test("[WF-16] pages go by name, and stay in place when others come in between", async () => {
  const paged = await openTestServer();
  try {
    for (const name of ["C", "a", "B", "_x", "A"]) await put(name, { value: "some value" }, paged);
    const page = (query: string) => json<SecretList>("GET", `/api/v1/secrets${query}`, {}, paged);
    const first = await page("?limit=2");
    expect(first.secrets.map(({ name }) => name)).toEqual(["A", "B"]);
    await put("AA", { value: "some value" }, paged);
    const second = await page(`?limit=2&cursor=${first.nextCursor}`);
    expect(second.secrets.map(({ name }) => name)).toEqual(["C", "_x"]);
    const third = await page(`?limit=2&cursor=${second.nextCursor}`);
    expect([third.secrets.map(({ name }) => name), third.nextCursor]).toEqual([["a"], null]);
    expect(await outcome(paged.call("GET", "/api/v1/secrets?cursor=nonsense"))).toBe("400 BAD_REQUEST");
    expect(await outcome(paged.call("GET", "/api/v1/secrets?limit=501"))).toBe("400 BAD_REQUEST");
  } finally {
    await paged.close();
  }
});

test("[WF-16] reading, writing and rotating are three rights", async () => {
  await put("OWNED", { value: "some value" });
  const calls = [
    ["GET", "/api/v1/secrets", undefined, "secret:read"],
    ["GET", at("OWNED"), undefined, "secret:read"],
    ["PUT", at("OWNED"), { value: "some value" }, "secret:write"],
    ["POST", "/api/v1/secrets/rotate-key", undefined, "admin"],
    ["DELETE", at("OWNED"), undefined, "secret:write"],
  ] as const;
  const scopes = ["secret:read", "secret:write", "workflow:write"] as const;
  for (const scope of scopes) {
    const { key } = await server.keyWith(scope);
    for (const [method, path, body, needed] of calls) {
      const got = await outcome(server.call(method, path, { key, body }));
      if (needed === scope) expect(got).toMatch(/^20[04]$/);
      else expect(got).toBe("403 FORBIDDEN");
    }
    await put("OWNED", { value: "some value" });
  }
});

test("[WF-16] what is refused is not quoted", async () => {
  const value = "S3cretMarker";
  const bodies: [string, unknown][] = [
    ["400 BAD_REQUEST", `{"value": ${value}}`],
    ["400 BAD_REQUEST", value],
    ["400 BAD_REQUEST", `{"value": '${value}'}`],
    ["400 BAD_REQUEST", `{"value": "${value}`],
    ["400 BAD_REQUEST", `{"value": "\\${value}"}`],
    ["400 BAD_REQUEST", `{"value":"x"} ${value}`],
    ["422 BODY_INVALID", { value: [value] }],
    ["422 BODY_INVALID", { value: { [value]: 1 } }],
    ["422 BODY_INVALID", { value, encoding: value }],
    ["422 BODY_INVALID", { value, extra: value }],
    ["422 BODY_INVALID", [value]],
    ["422 BODY_INVALID", JSON.stringify(value)],
    ["422 BODY_INVALID", {}],
    ["422 SECRET_INVALID", { value: `${value}!`, encoding: "base64" }],
    ["422 SECRET_INVALID", `{"value": "${value}\\ud800"}`],
    ["422 SECRET_INVALID", { value: value.repeat(8 * kibibyte) }],
  ];
  for (const [expected, body] of bodies) {
    const answer = await put("REFUSED", body);
    const text = await answer.clone().text();
    expect([body, await outcome(answer)]).toEqual([body, expected]);
    expect(text.toLowerCase()).not.toContain("s3cret");
  }
  const named = await put(`NAME=${value}`, { value: "some value" });
  expect(await named.text()).not.toContain(value);
  expect(await outcome(server.call("GET", at("REFUSED")))).toBe("404 SECRET_NOT_FOUND");
  expect(server.troubles).toEqual([]);
});

test("[WF-16] every change is an event of the system's trace, by whom, and no value is in the store's files", async () => {
  const traced = await openTestServer();
  const call = traced.call;
  const value = `traced-${crypto.randomUUID()}`;
  try {
    await call("PUT", at("TRACED"), { body: { value } });
    await call("GET", at("TRACED"));
    await call("POST", "/api/v1/secrets/rotate-key");
    await call("DELETE", at("TRACED"));
    const [trace] = ((await (await call("GET", "/v1/traces?subject=system")).json()) as { traces: { trace_id: string }[] }).traces;
    const page = await call("GET", `/v1/traces/${trace?.trace_id}/events?event_type=trace.secret.*&limit=100`);
    const text = await page.text();
    const found = (JSON.parse(text) as { events: { event_type: string; payload: object; actor: { id: string } }[] }).events;
    expect(found.map(({ event_type: type, payload }) => [type, Object.keys(payload)])).toEqual([
      ["trace.secret.written", ["name"]],
      ["trace.secret.rotated", ["key_id"]],
      ["trace.secret.deleted", ["name"]],
    ]);
    expect(JSON.stringify(found.map(({ actor }) => actor))).toContain("test");
    const folder = traced.app.loaded.dataDir;
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.map(({ name }) => name)).toContain("autokestra.db");
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      for (const form of [value, btoa(value), encodeURIComponent(value)]) expect([name, bytes.includes(form)]).toEqual([name, false]);
    }
  } finally {
    await traced.close();
  }
});

test("[WF-16] rotation re-encrypts all in one step and says how many; values stay", async () => {
  const rotated = await openTestServer();
  try {
    const values = Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`N${index}`, `value ${index}`]));
    for (const [name, value] of Object.entries(values)) await put(name, { value }, rotated);
    const rotate = () => json<SecretKeyRotation>("POST", "/api/v1/secrets/rotate-key", {}, rotated);
    const one = await rotate();
    const two = await rotate();
    expect(one).toEqual({ keyId: expect.stringMatching(/^[0-9a-f]{32}$/), source: "file", secrets: 7, sealedValues: 0 });
    expect(two.keyId).not.toBe(one.keyId);
    for (const [name, value] of Object.entries(values)) expect(await json<object>("GET", at(name), {}, rotated)).toEqual({ name, value });
    const db = new Database(rotated.app.loaded.storePath, { readonly: true });
    expect(db.query<{ key_id: string }, []>("select distinct key_id from secrets").all()).toEqual([{ key_id: two.keyId }]);
    db.close();
    expect(readdirSync(join(rotated.app.loaded.dataDir, "keys"))).toEqual(["secret.key"]);
  } finally {
    await rotated.close();
  }
});

test("[WF-16] writes during rotations, of this process and of another, are neither lost nor refused", async () => {
  const beside = await openBeside();
  try {
    const names = Array.from({ length: 30 }, (_, index) => `RACE${index}`);
    const rotations = [server, beside, server].map(({ call }) => call("POST", "/api/v1/secrets/rotate-key"));
    const writes = names.map((name, index) => (index % 2 === 0 ? server : beside).call("PUT", at(name), { body: { value: `value of ${name}` } }));
    expect((await Promise.all(writes)).map(({ status }) => status)).toEqual(names.map(() => 204));
    expect((await Promise.all(rotations)).map(({ status }) => status)).toEqual([200, 200, 200]);
    for (const name of names) expect((await show(name)).value).toBe(`value of ${name}`);
    expect((await events("trace.secret.rotated")).length).toBeGreaterThanOrEqual(3);
    // Who holds the key of before learns of the new one by itself.
    await server.call("POST", "/api/v1/secrets/rotate-key");
    expect(await outcome(beside.call("PUT", at("RACE0"), { body: { value: "after it" } }))).toBe("204");
    expect((await show("RACE0")).value).toBe("after it");
  } finally {
    await beside.close();
  }
});

test("[WF-16] a changed or swapped row, and a wrong key, are integrity errors, never another value", async () => {
  const broken = await openTestServer();
  try {
    for (const name of ["LEFT", "RIGHT", "FINE", "GONE"]) await put(name, { value: `value of ${name}` }, broken);
    tamper(
      broken,
      "update secrets set ciphertext = (select ciphertext from secrets where name = 'RIGHT'), nonce = (select nonce from secrets where name = 'RIGHT') where name = 'LEFT'",
    );
    expect(await outcome(broken.call("GET", at("LEFT")))).toBe("422 SECRET_TAMPERED");
    expect(await outcome(broken.call("GET", at("FINE")))).toBe("200");
    // Nothing is half done: what cannot be opened keeps all of it from being encrypted again.
    expect(await outcome(broken.call("POST", "/api/v1/secrets/rotate-key"))).toBe("422 SECRET_TAMPERED");
    expect(await outcome(broken.call("GET", at("RIGHT")))).toBe("200");
    expect(await outcome(broken.call("DELETE", at("LEFT")))).toBe("204");
    writeFileSync(join(broken.app.loaded.dataDir, "keys", "secret.key"), `${"ab".repeat(32)}\n`);
    const app = await openApp({ loaded: broken.app.loaded, mode: "command" });
    const fresh = createServer({ app, clock: broken.clock, ids: { next: () => Bun.randomUUIDv7() } });
    const call = (method: string, path: string, body?: unknown) => outcome(fresh.handle(requestOf(method, path, { key: broken.adminKey, body })));
    expect(await call("GET", at("FINE"))).toBe("422 SECRET_KEY_WRONG");
    expect(await call("PUT", at("FINE"), { value: "some value" })).toBe("422 SECRET_KEY_WRONG");
    expect(await call("POST", "/api/v1/secrets/rotate-key")).toBe("422 SECRET_KEY_WRONG");
    expect(await call("GET", "/api/v1/secrets")).toBe("200");
    expect(await call("DELETE", at("GONE"))).toBe("204");
    await app.close();
    expect(broken.troubles).toEqual([]);
  } finally {
    await broken.close();
  }
});

test("[WF-16] the API's description has the routes, their scopes and forms", async () => {
  const { paths } = await json<{ paths: Record<string, Record<string, { "x-scope": string; responses: Record<string, unknown> }>> }>(
    "GET",
    "/openapi.json",
  );
  const one = paths["/api/v1/secrets/{name}"];
  expect(Object.fromEntries(Object.entries(one ?? {}).map(([method, { "x-scope": scope }]) => [method, scope]))).toEqual({
    put: "secret:write",
    get: "secret:read",
    delete: "secret:write",
  });
  expect(paths["/api/v1/secrets/rotate-key"]?.["post"]?.["x-scope"]).toBe("admin");
  expect(Object.keys(one?.["put"]?.responses ?? {})).toContain("204");
});
