// Who is refused, with what, and in which order; the tables are made from the routes themselves.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Route, routes } from "../../src/server/index.ts";
import { openTestServer, outcome, requestOf, type TestServer, withParts } from "./test-server.ts";

let server: TestServer;
let barren: string;
beforeAll(async () => {
  server = await openTestServer();
  // A scope that no route here asks for.
  barren = (await server.keyWith("atlas:publish")).key;
});
afterAll(() => server.close());

const absent = "00000000-0000-7000-8000-0000000000ff";
const sample = (route: Route): string =>
  route.path.replace(/:([a-zA-Z]+)/g, (_, name: string) =>
    route.params[name]?.schema["format"] === "uuid" ? absent : name === "revision" ? "1" : "absent",
  );
const title = (route: Route): string => `${route.method} ${route.path}`;
const guarded = routes.filter(({ scope }) => scope !== null);
const open = routes.filter(({ scope, isRaw }) => scope === null && isRaw !== true);
/** They are for everyone who brings a proof: hooks.test.ts. */
const hooks = routes.filter(({ isRaw }) => isRaw === true);

test("the table has every route that this version promises, each once", () => {
  expect(new Set(routes.map(title)).size).toBe(routes.length);
  expect(open.map(title)).toEqual(["GET /health", "GET /health/ready", "GET /v1/health", "GET /openapi.json", "GET /docs"]);
  expect(hooks.map(title)).toEqual(["POST", "PUT", "GET"].map((method) => `${method} /hooks/:workflow/*`));
  expect(guarded.length).toBeGreaterThan(25);
});

test.each(guarded.map((route) => [title(route), route] as const))("[WF-17] %s needs a key", async (_, route) => {
  const path = sample(route);
  expect(await outcome(server.call(route.method, path, { key: null }))).toBe("401 UNAUTHORIZED");
  expect(await outcome(server.call(route.method, path, { key: `ak_${"A".repeat(43)}` }))).toBe("401 UNAUTHORIZED");
  expect(await outcome(server.call(route.method, path, { key: "short" }))).toBe("401 UNAUTHORIZED");
  expect(await outcome(server.call(route.method, path, { key: "x".repeat(5000) }))).toBe("401 UNAUTHORIZED");
});

test.each(guarded.map((route) => [title(route), route] as const))("%s needs its scope, and the scope suffices", async (_, route) => {
  const path = sample(route);
  expect(await outcome(server.call(route.method, path, { key: barren }))).toBe("403 FORBIDDEN");
  const { key } = await server.keyWith(route.scope ?? "admin");
  const stop = new AbortController();
  const answer = await server.call(route.method, path, { key, signal: stop.signal });
  expect([401, 403]).not.toContain(answer.status);
  stop.abort();
  await answer.body?.cancel();
});

test.each(open.map((route) => [title(route), route] as const))("%s is for everyone, whatever key comes along", async (_, route) => {
  expect(await outcome(server.call(route.method, route.path, { key: null }))).toBe("200");
  expect(await outcome(server.call(route.method, route.path, { key: "wrong" }))).toBe("200");
});

test("a revoked key is refused at once", async () => {
  const { id, key } = await server.keyWith("workflow:read");
  expect(await outcome(server.call("GET", "/api/v1/workflows", { key }))).toBe("200");
  expect(await outcome(server.call("DELETE", `/api/v1/keys/${id}`))).toBe("204");
  expect(await outcome(server.call("GET", "/api/v1/workflows", { key }))).toBe("401 UNAUTHORIZED");
});

test("a key may come in either header, but not two different ones", async () => {
  const get = (headers: Record<string, string>) => outcome(server.call("GET", "/api/v1/workflows", { key: null, headers }));
  const key = server.adminKey;
  expect(await get({ "x-api-key": key })).toBe("200");
  expect(await get({ authorization: `bearer ${key}` })).toBe("200");
  expect(await get({ authorization: `Bearer ${key}`, "x-api-key": key })).toBe("200");
  expect(await get({ authorization: `Bearer ${key}`, "x-api-key": barren })).toBe("401 UNAUTHORIZED");
  expect(await get({ authorization: `Basic ${key}` })).toBe("401 UNAUTHORIZED");
  expect(await get({ authorization: `Bearer ${key} ${key}` })).toBe("401 UNAUTHORIZED");
  const refused = await server.call("GET", "/api/v1/workflows", { key: null });
  expect(refused.headers.get("www-authenticate")).toBe("Bearer");
});

test("a request that is wrong in every way learns of it in one order", async () => {
  const source = "id: ordered\nenabled: false\ntasks: [{ id: a, run: 'true' }]\n";
  const applied = await server.call("PUT", "/api/v1/workflows/ordered", { body: source, headers: { "content-type": "text/yaml" } });
  expect(applied.status).toBe(201);
  const { key: runner } = await server.keyWith("workflow:run");
  const path = (id: string, query: string) => `/api/v1/workflows/${id}/executions${query}`;
  const post = (target: string, key: string | null, type: string, body: string) =>
    outcome(server.call("POST", target, { key, body, headers: { "content-type": type } }));
  const long = `?wait=${"9".repeat(9000)}`;
  const huge = "x".repeat(1024 * 1024 + 1);
  const json = "application/json";
  expect(await post(path("absent", long), null, "text/plain", huge)).toBe("400 BAD_REQUEST");
  expect(await post(path("absent", "?no=1"), null, "text/plain", huge)).toBe("401 UNAUTHORIZED");
  expect(await post(path("absent", "?no=1"), barren, "text/plain", huge)).toBe("403 FORBIDDEN");
  expect(await post(path("absent", "?no=1"), runner, "text/plain", huge)).toBe("400 BAD_REQUEST");
  expect(await post(path("absent", ""), runner, "text/plain", huge)).toBe("415 UNSUPPORTED_MEDIA_TYPE");
  expect(await post(path("absent", ""), runner, json, huge)).toBe("413 TOO_LARGE");
  expect(await post(path("absent", ""), runner, json, "{")).toBe("400 BAD_REQUEST");
  expect(await post(path("absent", ""), runner, json, '{"no":1}')).toBe("422 BODY_INVALID");
  expect(await post(path("absent", ""), runner, json, "{}")).toBe("404 WORKFLOW_NOT_FOUND");
  expect(await post(path("ordered", ""), runner, json, "{}")).toBe("409 WORKFLOW_DISABLED");
});

test("unknown paths are 401 without a key and 404 with one, wrong methods 405 with what is allowed", async () => {
  for (const path of ["/", "/nope", "/api/v1", "/api/v1/workflows/", "/api/v1/nope", "/health/", "//health", "/api/v1/secrets/", "/mcp"]) {
    expect(await outcome(server.call("GET", path, { key: null }))).toBe("401 UNAUTHORIZED");
    expect(await outcome(server.call("GET", path))).toBe("404 NOT_FOUND");
  }
  expect(await outcome(server.call("PATCH", "/api/v1/workflows", { key: null }))).toBe("401 UNAUTHORIZED");
  const wrong = await server.call("POST", "/api/v1/workflows/a");
  expect(await outcome(wrong)).toBe("405 METHOD_NOT_ALLOWED");
  expect(wrong.headers.get("allow")).toBe("DELETE, GET, HEAD, PATCH, PUT");
  expect(await outcome(server.call("POST", "/health", { key: null }))).toBe("405 METHOD_NOT_ALLOWED");
  expect(await outcome(server.call("OPTIONS", "/api/v1/workflows"))).toBe("405 METHOD_NOT_ALLOWED");
});

test("a hook that does not exist is 404 without a key", async () => {
  for (const path of ["/hooks/x/y", "/hooks/x/y/z"])
    expect(await outcome(server.call("POST", path, { key: null, body: "{}" }))).toBe("404 NOT_FOUND");
  expect(await outcome(server.call("POST", "/hooks", { key: null }))).toBe("401 UNAUTHORIZED");
});

test("the events of an execution need their own scope", async () => {
  const path = `/api/v1/executions/${absent}?include=`;
  const { key } = await server.keyWith("execution:read");
  const { key: both } = await server.keyWith("execution:read", "trace:read");
  expect(await outcome(server.call("GET", `${path}inputs,trace`, { key }))).toBe("403 FORBIDDEN");
  expect(await outcome(server.call("GET", `${path}inputs,timeline`, { key }))).toBe("404 EXECUTION_NOT_FOUND");
  expect(await outcome(server.call("GET", `${path}trace`, { key: both }))).toBe("404 EXECUTION_NOT_FOUND");
});

test("what a later version does says so", async () => {
  const wish = { principal: { type: "service", id: "x" }, roles: ["viewer"] };
  for (const more of [{ atlases: ["a*"] }, { capabilities: [] }])
    expect(await outcome(server.call("POST", "/api/v1/keys", { body: { ...wish, ...more } }))).toBe("422 NOT_AVAILABLE_YET");
});

test("an id that cannot be one is as absent as one that nobody has", async () => {
  const ids = ["nope", "00000000-0000-7000-8000-0000000000FF", absent, `${absent}0`];
  const ask = (method: string, path: string) => outcome(server.call(method, path));
  for (const id of ids) {
    for (const rest of ["", "/tasks", "/logs", "/logs/stream"])
      expect(await ask("GET", `/api/v1/executions/${id}${rest}`)).toBe("404 EXECUTION_NOT_FOUND");
    for (const verb of ["cancel", "pause", "resume", "restart"])
      expect(await ask("POST", `/api/v1/executions/${id}/${verb}`)).toBe("404 EXECUTION_NOT_FOUND");
    for (const rest of ["events", "stream"]) expect(await ask("GET", `/v1/traces/${id}/${rest}`)).toBe("404 TRACE_NOT_FOUND");
    expect(await ask("DELETE", `/api/v1/keys/${id}`)).toBe("404 KEY_NOT_FOUND");
  }
  expect(await ask("GET", "/api/v1/workflows/%2e%2e%2fkeys")).toBe("404 WORKFLOW_NOT_FOUND");
  for (const revision of ["0", "-1", "1.5", "x", "01"])
    expect(await ask("GET", `/api/v1/workflows/a/revisions/${revision}`)).toBe("404 WORKFLOW_NOT_FOUND");
});

test("a target that is not percent-encoded UTF-8 is refused before the key", async () => {
  for (const path of ["/api/v1/workflows/%ff", "/api/v1/workflows/%zz", "/api/v1/workflows?label=%c3"]) {
    expect(await outcome(server.call("GET", path, { key: null }))).toBe("400 BAD_REQUEST");
  }
});

test("every refusal is the envelope with the request's id, and nothing of our own mistakes leaks", async () => {
  const secret = "stack of /secret/path";
  const broken = await openTestServer({ wrap: (app) => withParts(app, { status: () => Promise.reject(new Error(secret)) }) });
  const answer = await broken.call("GET", "/api/v1/status", { headers: { "x-request-id": "mine-1" } });
  const text = await answer.text();
  expect(answer.status).toBe(500);
  expect(JSON.parse(text)).toMatchObject({ error: { code: "INTERNAL", kind: "internal", request_id: "mine-1" } });
  expect(text).not.toContain(secret);
  expect(answer.headers.get("x-request-id")).toBe("mine-1");
  expect(broken.troubles.map(String)).toEqual([`Error: ${secret}`]);
  await broken.close();
});

test("one that was authenticated otherwise needs no key, but his scopes count", async () => {
  const caller = { ...server.app.localCaller(), scopes: new Set(["workflow:read"] as const) };
  const ask = async (path: string) => outcome(server.server.handle(requestOf("GET", path, {}), caller));
  expect(await ask("/api/v1/workflows")).toBe("200");
  expect(await ask("/api/v1/executions")).toBe("403 FORBIDDEN");
});
