// API keys: what may be asked for, how they are sent, what is stored of them, and that what they opened ends with them.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Caller, Scope } from "../../src/model/index.ts";
import { KeyWatch } from "../../src/server/streams/key-watch.ts";
import { openTestServer, outcome, type TestServer } from "./test-server.ts";

let server: TestServer;
let url: string;
beforeAll(async () => {
  server = await openTestServer();
  ({ url } = await server.server.listen());
});
afterAll(() => server.close());

const robot = { type: "service", id: "robot" } as const;
const later = (ms: number): string => new Date(Date.now() + ms).toISOString();

type Refused = { status: number; code: string; details?: Record<string, unknown>; hint?: string };
type Made = { id: string; key: string; name: string | null; roles: string[]; scopes: string[]; createdAt: string; expiresAt: string | null };

async function make(body: object, key = server.adminKey): Promise<Made> {
  const answer = await server.call("POST", "/api/v1/keys", { body: { principal: robot, ...body }, key });
  expect(answer.status).toBe(201);
  return (await answer.json()) as Made;
}

async function refused(body: object, key = server.adminKey): Promise<Refused> {
  const answer = await server.call("POST", "/api/v1/keys", { body: { principal: robot, ...body }, key });
  const { error } = (await answer.json()) as { error: Refused };
  return { ...error, status: answer.status };
}

const listing = (key: string | null) => outcome(server.call("GET", "/api/v1/keys", { key }));

describe("[WF-17] making a key", () => {
  test("the key is 32 random bytes, shown once, and the form has every member", async () => {
    const made = await make({ name: "ci", roles: ["viewer", "viewer"], scopes: ["workflow:run"] });
    expect(made).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      key: expect.stringMatching(/^ak_[A-Za-z0-9_-]{43}$/),
      name: "ci",
      principal: robot,
      roles: ["viewer"],
      scopes: ["workflow:run"],
      createdAt: expect.stringMatching(/Z$/),
      expiresAt: null,
    } as unknown as Made);
    expect(Buffer.from(made.key.slice(3), "base64url").length).toBe(32);
    const { keys } = (await (await server.call("GET", "/api/v1/keys?limit=500")).json()) as { keys: Made[] };
    const { key: _, ...listed } = made;
    expect(keys.find(({ id }) => id === made.id) as object).toEqual(listed);
    const again = await make({ roles: ["viewer"] });
    expect(again.key).not.toBe(made.key);
  });

  test("[CRA-Q02] neither the key nor its random part is in any file of the store", async () => {
    const { key } = await make({ roles: ["viewer"] });
    const dir = server.app.loaded.dataDir;
    const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const texts = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
    expect(texts.length).toBeGreaterThan(1);
    // What is looked for in vain has to be findable: the digest is there.
    const digest = new Bun.CryptoHasher("sha256").update(key).digest("hex");
    expect(texts.some((text) => text.includes(digest))).toBe(true);
    expect(texts.filter((text) => text.includes(key.slice(3)))).toEqual([]);
  });

  test("an unknown role or scope is 422 and names what there is", async () => {
    expect(await refused({ roles: ["viewer", "king"] })).toMatchObject({
      status: 422,
      code: "KEY_INVALID",
      details: { role: "king" },
      hint: "Known roles: viewer, auditor, operator, developer, agent, admin.",
    });
    const scope = await refused({ scopes: ["workflow:everything"] });
    expect(scope).toMatchObject({ status: 422, code: "KEY_INVALID", details: { scope: "workflow:everything" } });
    expect(scope.hint).toContain("workflow:read, workflow:write");
    // No name of the language's own objects is a role.
    for (const name of ["constructor", "__proto__", "toString"])
      expect(await refused({ roles: [name] })).toMatchObject({ status: 422, details: { role: name } });
  });

  test("nothing at all, a time that is over, and a body that does not fit are 422", async () => {
    for (const body of [{}, { roles: [], scopes: [] }, { roles: ["viewer"], expiresAt: later(-1) }, { roles: ["viewer"], expiresAt: later(0) }])
      expect(await refused(body)).toMatchObject({ status: 422, code: "KEY_INVALID" });
    const bodies = [
      { roles: ["viewer"], expiresAt: "tomorrow" },
      { roles: ["viewer"], expiresAt: "2999-02-30T00:00:00Z" },
      { roles: ["viewer"], expiresAt: 99_999_999_999_999 },
      { roles: "viewer" },
      { roles: ["viewer"], id: "mine" },
      { roles: ["viewer"], key: `ak_${"A".repeat(43)}` },
      { roles: ["viewer"], principal: { type: "robot", id: "a" } },
      { roles: ["viewer"], principal: { type: "user", id: "" } },
      { roles: ["viewer"], principal: { type: "user", id: "x".repeat(201) } },
      { roles: ["viewer"], name: "" },
    ];
    for (const body of bodies) expect([body, (await refused(body)).code]).toEqual([body, "BODY_INVALID"]);
    expect(await make({ roles: ["viewer"], name: null, expiresAt: null })).toMatchObject({ name: null, expiresAt: null });
  });

  test("limits to atlases and capabilities are not there yet", async () => {
    for (const more of [{ atlases: ["a*"] }, { atlases: [] }, { capabilities: ["c*"] }])
      expect(await refused({ roles: ["viewer"], ...more })).toMatchObject({ status: 422, code: "NOT_AVAILABLE_YET" });
  });

  test("nobody grants what he lacks, as a scope or within a role", async () => {
    const own: Scope[] = ["workflow:read", "execution:read", "trace:read", "atlas:read", "objective:read"];
    const caller: Caller = { ...server.app.localCaller(), scopes: new Set(own) };
    const facade = server.app.facade(caller);
    const wish = (roles: string[], scopes: string[]) => facade.createKey({ principal: robot, roles, scopes });
    expect(await wish(["viewer"], ["trace:read"])).toMatchObject({ roles: ["viewer"] });
    await expect(wish([], ["secret:read"])).rejects.toMatchObject({ code: "FORBIDDEN", details: { scope: "secret:read" } });
    await expect(wish(["auditor"], [])).rejects.toMatchObject({ code: "FORBIDDEN", details: { scope: "trace:export" } });
    await expect(wish(["admin"], [])).rejects.toMatchObject({ code: "FORBIDDEN", details: { scope: "admin" } });
    // An admin has them all, so over HTTP only the lifetime is left to be lacking.
    const { key: viewer } = await make({ roles: ["viewer"] });
    expect(await refused({ roles: ["viewer"] }, viewer)).toMatchObject({ status: 403, code: "FORBIDDEN", details: { scope: "admin" } });
  });

  test("a key that ends makes none that ends later", async () => {
    const expiresAt = later(60_000);
    const { key } = await make({ roles: ["admin"], expiresAt });
    expect(await refused({ roles: ["viewer"] }, key)).toMatchObject({ status: 403, code: "FORBIDDEN", details: { expiresAt } });
    expect(await refused({ roles: ["viewer"], expiresAt: later(120_000) }, key)).toMatchObject({ status: 403, code: "FORBIDDEN" });
    expect((await make({ roles: ["viewer"], expiresAt }, key)).expiresAt).toBe(expiresAt);
  });
});

describe("[WF-17] ending a key", () => {
  test("revoking answers 204 without a body, and 404 from then on", async () => {
    const { id, key } = await make({ name: "gone", roles: ["viewer"] });
    const answer = await server.call("DELETE", `/api/v1/keys/${id}`);
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([204, null, ""]);
    expect(await outcome(server.call("GET", "/api/v1/workflows", { key }))).toBe("401 UNAUTHORIZED");
    expect(await outcome(server.call("DELETE", `/api/v1/keys/${id}`))).toBe("404 KEY_NOT_FOUND");
    expect(await (await server.call("GET", "/api/v1/keys?limit=500")).text()).not.toContain(id);
  });

  test("one's own can be revoked, and is of no use at once", async () => {
    const { id, key } = await make({ roles: ["admin"] });
    expect(await listing(key)).toBe("200");
    expect(await outcome(server.call("DELETE", `/api/v1/keys/${id}`, { key }))).toBe("204");
    expect(await listing(key)).toBe("401 UNAUTHORIZED");
  });

  test("an expired key is refused on time although it was used just before, stays listed, and can be revoked", async () => {
    const { id, key, expiresAt } = await make({ roles: ["admin"], expiresAt: later(400) });
    while (Date.now() < Date.parse(expiresAt ?? "") - 30) expect(await listing(key)).toBe("200");
    while (Date.now() < Date.parse(expiresAt ?? "")) await Bun.sleep(1);
    expect(await listing(key)).toBe("401 UNAUTHORIZED");
    expect(await (await server.call("GET", "/api/v1/keys?limit=500")).text()).toContain(id);
    expect(await outcome(server.call("DELETE", `/api/v1/keys/${id}`))).toBe("204");
  });
});

describe("[WF-17] sending a key", () => {
  const status = async (path: string, headers: Record<string, string>): Promise<number> => (await fetch(url + path, { headers })).status;
  const get = (headers: Record<string, string>) => status("/api/v1/keys", headers);

  test("in either header, in any case of the scheme, blanks around it ignored", async () => {
    const key = server.adminKey;
    const good: Record<string, string>[] = [
      { authorization: `Bearer ${key}` },
      { authorization: `bearer ${key}` },
      { authorization: `BEARER   ${key}  ` },
      { "x-api-key": key },
      { "x-api-key": `  ${key} ` },
      { authorization: `Bearer ${key}`, "x-api-key": key },
      { authorization: `Bearer ${key}`, "x-api-key": "" },
      { authorization: "", "x-api-key": key },
    ];
    for (const headers of good) expect([headers, await get(headers)]).toEqual([headers, 200]);
  });

  test("what is not exactly one valid key is 401", async () => {
    const key = server.adminKey;
    const { key: other } = await make({ roles: ["admin"] });
    const bad: Record<string, string>[] = [
      {},
      { authorization: "" },
      { "x-api-key": "" },
      { authorization: "Bearer" },
      { authorization: key },
      { authorization: `Basic ${key}` },
      { authorization: `Bearer ${key} ${key}` },
      { authorization: `Bearer ${key}, Bearer ${key}` },
      { authorization: `Bearer "${key}"` },
      { authorization: `Bearer ${key}`, "x-api-key": other },
      { authorization: "Basic dTpw", "x-api-key": key },
      { "x-api-key": `${key}, ${key}` },
      { "x-api-key": key.toUpperCase() },
      { "x-api-key": key.slice(0, -1) },
      { "x-api-key": `${key}A` },
      { "x-api-key": key.slice(3) },
      { "x-api-key": "ak_" },
      { "x-api-key": "x".repeat(8000) },
      { "x-api-key": "ak_\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9" },
      { cookie: `authorization=Bearer ${key}; x-api-key=${key}` },
    ];
    for (const headers of bad) expect([headers, await get(headers)]).toEqual([headers, 401]);
  });

  test("a key in the URL is none, and does not come back in the answer", async () => {
    const key = server.adminKey;
    for (const name of ["key", "apiKey", "api_key", "x-api-key", "access_token", "token", "authorization"]) {
      const answer = await fetch(`${url}/api/v1/keys?${name}=${key}`);
      expect([name, answer.status]).toEqual([name, 401]);
      expect(await answer.text()).not.toContain(key);
    }
  });

  test("HEAD needs it as GET does, and OPTIONS tells nobody anything", async () => {
    const head = (headers: Record<string, string>) => fetch(`${url}/api/v1/keys`, { method: "HEAD", headers });
    expect((await head({})).status).toBe(401);
    expect((await head({ "x-api-key": server.adminKey })).status).toBe(200);
    const options = await fetch(`${url}/api/v1/keys`, { method: "OPTIONS", headers: { origin: "https://evil.test" } });
    expect([options.status, options.headers.get("access-control-allow-origin"), options.headers.get("allow")]).toEqual([401, null, null]);
  });

  test("the refusals come in their order", async () => {
    const { key: viewer } = await make({ roles: ["viewer"] });
    const post = (path: string, key: string | null, body: string) =>
      outcome(server.call("POST", path, { key, body, headers: { "content-type": "application/json" } }));
    expect(await post(`/api/v1/keys?x=${"9".repeat(9000)}`, null, "{")).toBe("400 BAD_REQUEST");
    expect(await post("/api/v1/keys?x=1", null, "{")).toBe("401 UNAUTHORIZED");
    expect(await post("/api/v1/keys?x=1", viewer, "{")).toBe("403 FORBIDDEN");
    expect(await post("/api/v1/keys?x=1", server.adminKey, "{")).toBe("400 BAD_REQUEST");
    expect(await post("/api/v1/keys", server.adminKey, "{")).toBe("400 BAD_REQUEST");
    expect(await post("/api/v1/keys", server.adminKey, '{"principal":1}')).toBe("422 BODY_INVALID");
    expect(await post("/api/v1/keys", server.adminKey, JSON.stringify({ principal: robot }))).toBe("422 KEY_INVALID");
  });
});

describe("[WF-17] open streams", () => {
  let paths: string[];
  beforeAll(async () => {
    const { key } = await make({ roles: ["developer"] });
    const source = "id: streamed\ntasks: [{ id: a, run: sleep 600 }]\n";
    await server.call("PUT", "/api/v1/workflows/streamed", { key, body: source, headers: { "content-type": "application/yaml" } });
    // The task outlasts the tests, and with it the stream of its log; closing the server ends it.
    const started = await server.call("POST", "/api/v1/workflows/streamed/executions", { key });
    const { executionId } = (await started.json()) as { executionId: string };
    paths = [`/api/v1/executions/${executionId}/logs/stream`, `/v1/traces/${executionId}/stream`, "/v1/traces/stream"];
  });

  /** Opens all of them over sockets; `ended` is when the last one did, on the wire. */
  async function openAll(key: string): Promise<{ ended: Promise<number>; openCount: () => number }> {
    let openCount = 0;
    const readers = await Promise.all(
      paths.map(async (path) => {
        const answer = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
        expect([path, answer.status, answer.headers.get("content-type")]).toEqual([path, 200, "text/event-stream"]);
        const reader = answer.body?.getReader();
        if (reader === undefined) throw new Error("no body");
        await reader.read();
        openCount += 1;
        return reader;
      }),
    );
    const drain = async (reader: (typeof readers)[number]): Promise<void> => {
      while (!(await reader.read()).done);
      openCount -= 1;
    };
    return { ended: Promise.all(readers.map(drain)).then(() => performance.now()), openCount: () => openCount };
  }

  test("end within a second of the key's revocation, and no other key's do", async () => {
    const { id, key } = await make({ roles: ["viewer"] });
    const bystander = await make({ roles: ["viewer"] });
    const others = await openAll(bystander.key);
    const streams = await openAll(key);
    await server.call("DELETE", `/api/v1/keys/${id}`);
    const revoked = performance.now();
    expect((await streams.ended) - revoked).toBeLessThan(1000);
    expect(others.openCount()).toBe(paths.length);
    await server.call("DELETE", `/api/v1/keys/${bystander.id}`);
    await others.ended;
  });

  test("end within a second of the key's expiry, and not before", async () => {
    const { key, expiresAt } = await make({ roles: ["viewer"], expiresAt: later(800) });
    const streams = await openAll(key);
    const expiry = performance.now() + (Date.parse(expiresAt ?? "") - Date.now());
    const ended = await streams.ended;
    expect(ended).toBeGreaterThan(expiry - 5);
    expect(ended - expiry).toBeLessThan(1000);
  });

  test("one that cannot be ended does not keep the others open", async () => {
    const dead = new Set<string>();
    const app = { isKeyLive: async (id: string) => !dead.has(id) };
    const turns: (() => void)[] = [];
    const watch = new KeyWatch({ app, timers: { after: (_, run) => (turns.push(run), () => undefined) } });
    const ended: string[] = [];
    watch.watch("a", () => {
      throw new Error("stuck");
    });
    watch.watch("b", () => ended.push("b"));
    const turn = async (): Promise<void> => {
      turns.shift()?.();
      for (let step = 0; step < 20; step++) await Promise.resolve();
    };
    dead.add("a");
    await turn();
    dead.add("b");
    await turn();
    expect(ended).toEqual(["b"]);
  });
});
