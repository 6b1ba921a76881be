// Every route asked with a real key of every role, over a socket; the tables are the route table's and the roles' own.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { renderRoles } from "../../.ci/docs/roles.ts";
import { type Role, roleNames, roles, rolesWith, type Scope, scopes } from "../../src/model/index.ts";
import { createRouter, type Route, routes } from "../../src/server/index.ts";
import { openTestServer, outcome, type TestServer } from "./test-server.ts";

const absent = "00000000-0000-7000-8000-0000000000ff";
const title = (route: Route): string => `${route.method} ${route.path}`;
const sample = (route: Route): string =>
  route.path.replace(/:([a-zA-Z]+)/g, (_, name: string) =>
    route.params[name]?.schema["format"] === "uuid" ? absent : name === "revision" ? "1" : "absent",
  );
/** The query is looked at right after the scope, so 400 says that the scope was enough, and nothing happens. */
const probe = (route: Route): string => `${sample(route)}?no-such-parameter=1`;

const guarded = routes.filter(({ scope }) => scope !== null).map((route) => [title(route), route] as const);
const open = routes.filter(({ scope, isRaw }) => scope === null && isRaw !== true).map((route) => [title(route), route] as const);
/** They take no key, but a proof of their own: hooks.test.ts. */
const hooks = routes.filter(({ isRaw }) => isRaw === true);

let server: TestServer;
let url: string;
const keys = new Map<Role, string>();
/** No key, and keys that are none (any more). */
const bad = new Map<string, string | null>([
  ["none", null],
  ["unknown", `ak_${"A".repeat(43)}`],
]);

beforeAll(async () => {
  server = await openTestServer();
  ({ url } = await server.server.listen());
  const facade = server.app.facade(server.app.localCaller());
  const principal = { type: "service", id: "roles" } as const;
  for (const role of roleNames) keys.set(role, (await facade.createKey({ principal, roles: [role], scopes: [] })).key);
  const revoked = await facade.createKey({ principal, roles: ["admin"], scopes: [] });
  await facade.revokeKey(revoked.id);
  bad.set("revoked", revoked.key);
  const soon = new Date(Date.now() + 300).toISOString();
  const { key } = await facade.createKey({ principal, roles: ["admin"], scopes: [], expiresAt: soon });
  bad.set("expired", key);
  expect(await outcome(ask("GET", "/api/v1/keys", key))).toBe("200");
  while ((await server.app.authenticate(key)) !== null) await Bun.sleep(10);
});
afterAll(() => server.close());

async function ask(method: string, path: string, key: string | null): Promise<Response> {
  const stop = new AbortController();
  const answer = await fetch(url + path, { method, headers: key === null ? {} : { authorization: `Bearer ${key}` }, signal: stop.signal });
  const isStream = answer.headers.get("content-type") === "text/event-stream";
  const text = isStream ? "" : await answer.text();
  // A stream goes on until its client goes.
  if (isStream) stop.abort();
  return new Response(text === "" ? null : text, { status: answer.status, headers: answer.headers });
}

async function refusal(method: string, path: string, key: string | null): Promise<unknown> {
  const answer = await ask(method, path, key);
  const { error } = (await answer.json()) as { error: { code: string; details?: unknown } };
  return { status: answer.status, code: error.code, details: error.details };
}

describe("the table", () => {
  test("[WF-17] public are exactly these", () => {
    expect(open.map(([name]) => name)).toEqual(["GET /health", "GET /health/ready", "GET /v1/health", "GET /openapi.json", "GET /docs"]);
    expect(hooks.map(title)).toEqual(["POST", "PUT", "GET"].map((method) => `${method} /hooks/:workflow/*`));
    for (const route of routes) if (route.path.startsWith("/api/")) expect([title(route), route.scope]).toEqual([title(route), expect.any(String)]);
  });

  test("[WF-17] the router knows the table's routes, the one that catches the rest, and nothing else", () => {
    const reached: string[] = [];
    const pipeline = {
      dispatch: async (route: Route) => Response.json(reached.push(title(route))),
      dispatchUnknown: async () => Response.json(reached.push("none")),
    };
    const { registered } = createRouter(routes, pipeline as unknown as Parameters<typeof createRouter>[1]);
    const known = registered.map(({ method, path }) => `${method} ${path}`);
    expect(known.filter((name) => !name.endsWith(" /*")).toSorted()).toEqual(routes.map(title).toSorted());
    expect(known.filter((name) => name.endsWith(" /*"))).toEqual(["ALL /*"]);
  });

  test("[WF-17] what is not in the table reaches no handler, whatever it looks like", async () => {
    const reached: string[] = [];
    const pipeline = {
      dispatch: async (route: Route) => Response.json(reached.push(title(route))),
      dispatchUnknown: async () => Response.json({}, { status: 404 }),
    };
    const router = createRouter(routes, pipeline as unknown as Parameters<typeof createRouter>[1]);
    const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    for (const route of routes) {
      const path = sample(route).replace(/\*$/, "absent");
      const odd = [`${path}/`, `/${path}`, `${path}//`, `${path}/x-x/y-y/z-z`, path.toUpperCase(), `/x${path}`, path.replaceAll("a", "%61")];
      // Texts without an "a", and those with it in a variable part, stay honest paths when it is escaped.
      const isHonest = (one: string): boolean =>
        one === path || (one.includes("%61") && route.path.includes(":")) || (route.isRaw === true && one.startsWith("/hooks/absent/"));
      for (const one of odd.filter((text) => !isHonest(text))) {
        for (const method of methods) await router(new Request(`http://odd.test${one}`, { method }));
      }
    }
    expect(reached).toEqual([]);
  });

  test("[WF-17] docs/reference/roles.md is this table", () => {
    expect(readFileSync(join(import.meta.dir, "../../docs/reference/roles.md"), "utf8")).toBe(renderRoles());
  });

  test("roles hold what the specification says", () => {
    const viewer: Scope[] = ["workflow:read", "execution:read", "trace:read", "atlas:read", "objective:read"];
    expect(roles as Record<string, readonly Scope[]>).toEqual({
      viewer,
      auditor: [...viewer, "trace:export"],
      operator: [...viewer, "workflow:run", "execution:write", "approval:decide", "objective:write", "objective:promote"],
      developer: [...viewer, "workflow:write", "workflow:run", "execution:write", "atlas:write", "deploy:apply", "objective:write"],
      agent: ["session:create", "carp:resolve", "carp:execute", "execution:read", "trace:read", "atlas:read"],
      admin: ["admin"],
    });
    expect(scopes.filter((scope) => !rolesWith(scope).includes("admin"))).toEqual([]);
    expect(rolesWith("secret:read")).toEqual(["admin"]);
  });
});

describe("every route with every role", () => {
  test.each(guarded)("[WF-17] %s", async (_, route) => {
    const scope = route.scope as Scope;
    const allowed = rolesWith(scope);
    for (const role of roleNames) {
      const key = keys.get(role) ?? "";
      if (!allowed.includes(role)) {
        const denied = { status: 403, code: "FORBIDDEN", details: { scope } };
        expect([role, await refusal(route.method, sample(route), key)]).toEqual([role, denied]);
        expect([role, await refusal(route.method, probe(route), key)]).toEqual([role, denied]);
        continue;
      }
      expect([role, await outcome(ask(route.method, probe(route), key))]).toEqual([role, "400 BAD_REQUEST"]);
      if (route.method === "GET") expect([401, 403]).not.toContain((await ask("GET", sample(route), key)).status);
    }
  });

  test.each(guarded)("[WF-17] %s is 401 without a key that is valid, HEAD too", async (_, route) => {
    for (const [kind, key] of bad) {
      expect([kind, await refusal(route.method, sample(route), key)]).toEqual([kind, { status: 401, code: "UNAUTHORIZED", details: undefined }]);
      expect([kind, await outcome(ask(route.method, probe(route), key))]).toEqual([kind, "401 UNAUTHORIZED"]);
      if (route.method === "GET") expect([kind, (await ask("HEAD", sample(route), key)).status]).toEqual([kind, 401]);
    }
  });

  test.each(open)("%s answers everyone", async (_, route) => {
    for (const key of [...bad.values(), ...keys.values()]) {
      expect((await ask("GET", route.path, key)).status).toBe(200);
      expect((await ask("HEAD", route.path, key)).status).toBe(200);
    }
  });
});

test("[WF-17] hooks take no key, and no key makes a hook of what is none", async () => {
  for (const route of hooks)
    for (const key of [...bad.values(), ...keys.values()])
      expect(await outcome(ask(route.method, sample(route).replace("*", "absent"), key))).toBe("404 NOT_FOUND");
});

describe("outside of the table", () => {
  const paths = [
    "/",
    "/api/v1",
    "/api/v1/nope",
    "/api/v1/keys/",
    "/api/v1//keys",
    "/api/v1/%6beys",
    "/health/x",
    "/docs/keys",
    "/hooks",
    "/metrics/x",
  ];

  test.each(paths)("[WF-17] %s is 401 without a key and 404 with one", async (path) => {
    for (const [kind, key] of bad) expect([kind, await outcome(ask("GET", path, key))]).toEqual([kind, "401 UNAUTHORIZED"]);
    for (const key of keys.values()) expect(await outcome(ask("GET", path, key))).toBe("404 NOT_FOUND");
  });

  test("[WF-17] a method that a path does not take is 405, after the key", async () => {
    for (const [, route] of guarded) {
      const unused = (["OPTIONS", "DELETE", "PUT", "PATCH", "POST"] as const).filter(
        (method) => !routes.some((one) => one.method === method && one.path === route.path),
      );
      for (const method of unused) {
        expect([title(route), await outcome(ask(method, sample(route), null))]).toEqual([title(route), "401 UNAUTHORIZED"]);
        const withKey = await outcome(ask(method, sample(route), keys.get("viewer") ?? ""));
        // The sample of one path may be another's pattern: validate is a workflow's id too.
        expect([title(route), withKey]).toEqual([title(route), expect.stringMatching(/^(405 METHOD_NOT_ALLOWED|403 FORBIDDEN)$/)]);
      }
    }
  });
});
