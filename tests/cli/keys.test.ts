// Keys through the built binary: the commands with and without a server, the data folder's own key, keys of the configuration, and
// what one process does to the keys of another.
import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ended, Home, type Server, until } from "../product/binary.ts";

type Envelope = { error: { code: string; message: string; hint?: string; details?: Record<string, unknown> } };
type Made = { id: string; key: string; name: string | null; principal: { type: string; id: string }; expiresAt: string | null };

const refusalOf = ({ code, stdout, stderr }: Ended) => {
  expect(stdout).toBe("");
  const { error } = JSON.parse(stderr.split("\n").at(-2) ?? "") as Envelope;
  return { exit: code, code: error.code, hint: error.hint };
};
const jsonOf = <T>({ code, stdout, stderr }: Ended): T => {
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as T;
};
const statusWith = async (server: Server, key: string, path = "/api/v1/workflows"): Promise<number> =>
  (await fetch(server.url + path, { headers: { "x-api-key": key } })).status;
const osUser = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();

for (const where of ["in process", "on a server"] as const) {
  describe(`key commands ${where}`, () => {
    const home = new Home();
    const start = async (): Promise<void> => void (where === "on a server" && (await home.startServer()));

    test("[WF-17] create prints the key and nothing else, list hides it, revoke ends it", async () => {
      await start();
      const made = await home.run(["key", "create", "--role", "viewer", "--name", "ci", "--principal", "service:ci", "--expires", "30d"]);
      expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^ak_[A-Za-z0-9_-]{43}\n$/)]);
      expect(made.stderr).toMatch(/^Key \S{36} of service:ci, until \S+Z\. It is shown this once\.\n$/);
      expect((await home.run(["key", "create", "--role", "viewer", "--quiet"])).stderr).toBe("");
      const id = made.stderr.split(" ")[1] ?? "";
      const { keys } = jsonOf<{ keys: Made[] }>(await home.run(["key", "list", "--json"]));
      const listed = keys.find((key) => key.id === id);
      expect(listed as object).toMatchObject({ name: "ci", principal: { type: "service", id: "ci" }, roles: ["viewer"], scopes: [] });
      const days = (Date.parse(listed?.expiresAt ?? "") - Date.now()) / 86_400_000;
      expect(Math.abs(days - 30)).toBeLessThan(0.01);
      expect(JSON.stringify(keys)).not.toContain(made.stdout.trim());
      expect(await home.run(["key", "revoke", id, "--json"])).toMatchObject({ code: 0, stdout: "", stderr: "" });
      expect(refusalOf(await home.run(["key", "revoke", id, "--json"]))).toMatchObject({ exit: 4, code: "KEY_NOT_FOUND" });
      expect((await home.run(["key", "list"])).stdout).not.toContain(id);
    });

    test("--json is the route's body; the principal is who runs it unless it is named; a time may end it", async () => {
      const at = "2999-01-02T03:04:05.000Z";
      const made = jsonOf<object>(await home.run(["key", "create", "--scope", "workflow:run", "--scope", "trace:read", "--expires", at, "--json"]));
      expect(made).toEqual({
        id: expect.any(String),
        key: expect.stringMatching(/^ak_/),
        name: null,
        principal: { type: "user", id: osUser },
        roles: [],
        scopes: ["workflow:run", "trace:read"],
        createdAt: expect.any(String),
        expiresAt: at,
      });
      const named = await home.run(["key", "create", "--role", "agent", "--principal", "agent:a:b", "--json"]);
      expect(jsonOf<Made>(named).principal).toEqual({ type: "agent", id: "a:b" });
    });

    test("what is unknown is named with what is known, and what was meant", async () => {
      const create = async (...args: string[]) => refusalOf(await home.run(["key", "create", ...args, "--json"]));
      const roles = "Known roles: viewer, auditor, operator, developer, agent, admin.";
      expect(await create("--role", "opertor")).toEqual({ exit: 3, code: "KEY_INVALID", hint: `Did you mean "operator"? ${roles}` });
      expect(await create("--role", "king")).toEqual({ exit: 3, code: "KEY_INVALID", hint: roles });
      const scope = await create("--scope", "workflows:read");
      expect(scope).toMatchObject({ exit: 3, code: "KEY_INVALID", hint: expect.stringContaining('Did you mean "workflow:read"?') });
      expect(await create()).toMatchObject({ exit: 2, code: "USAGE" });
      expect(await create("--role", "viewer", "--principal", "alice")).toMatchObject({ exit: 2, code: "USAGE" });
      expect(await create("--role", "viewer", "--principal", "robot:alice")).toMatchObject({ exit: 2, code: "USAGE" });
      for (const expires of ["soon", "-1d", "30", "9999999999d"])
        expect(await create("--role", "viewer", "--expires", expires)).toMatchObject({ exit: 2, code: "USAGE" });
      for (const expires of ["0s", "2001-01-01"])
        expect(await create("--role", "viewer", "--expires", expires)).toMatchObject({ exit: 3, code: "KEY_INVALID" });
      expect(await create("--role", "viewer", "--name", "")).toMatchObject({ exit: 3 });
    });

    test("list says which keys have expired", async () => {
      const { id } = jsonOf<Made>(await home.run(["key", "create", "--role", "viewer", "--expires", "2s", "--json"]));
      const fresh = (await home.run(["key", "list"])).stdout.split("\n").find((row) => row.startsWith(id));
      expect(fresh).toMatch(/Z$/);
      const line = await until(async () => {
        const table = (await home.run(["key", "list"])).stdout.split("\n");
        return table.find((row) => row.startsWith(id) && row.includes("(expired)"));
      });
      expect(line).toMatch(/Z \(expired\)$/);
      expect((await home.run(["key", "revoke", id])).code).toBe(0);
    });
  });
}

describe("the data folder's own key", () => {
  test("[WF-17] is a key and a newline, for its owner alone; a start leaves one that works", async () => {
    const home = new Home();
    const path = join(home.data, "admin.key");
    let server = await home.startServer();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).toMatch(/^ak_[A-Za-z0-9_-]{43}\n$/);
    const first = server.key;
    const { keys } = jsonOf<{ keys: Made[] }>(await home.run(["key", "list", "--json"]));
    expect(keys).toMatchObject([{ name: "admin", principal: { type: "user", id: osUser }, roles: ["admin"], scopes: [], expiresAt: null }]);
    expect((await server.stop()).code).toBe(0);

    server = await home.startServer();
    expect(server.key).toBe(first);
    // Its owner may revoke it; then the server knows nobody until it starts again.
    expect((await home.run(["key", "revoke", keys[0]?.id ?? ""])).code).toBe(0);
    const refused = refusalOf(await home.run(["key", "list", "--json"]));
    expect(refused).toMatchObject({ exit: 6, code: "UNAUTHORIZED", hint: expect.stringContaining("Restart the server") });
    expect((await server.stop()).code).toBe(0);

    server = await home.startServer();
    expect(server.key).not.toBe(first);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect([await statusWith(server, first), await statusWith(server, server.key)]).toEqual([401, 200]);
    expect((await home.run(["key", "list"])).code).toBe(0);
    const { stderr } = await server.stop();
    expect(stderr).toContain("admin.key");
    expect(stderr).not.toContain("ak_");
  }, 60_000);

  test("when it is lost, the owner makes a key without one; a file that is not safe is neither used nor replaced", async () => {
    const home = new Home();
    const path = join(home.data, "admin.key");
    const before = await home.startServer();
    rmSync(path);
    expect(refusalOf(await home.run(["key", "list", "--json"]))).toMatchObject({ exit: 6, code: "UNAUTHORIZED" });
    expect((await before.stop()).code).toBe(0);
    const key = (await home.run(["key", "create", "--role", "admin", "--quiet"])).stdout.trim();
    // A pipe in its place is not waited for.
    expect(Bun.spawnSync(["mkfifo", "-m", "600", path]).exitCode).toBe(0);
    const { child, ended } = home.start(["server", "start", "--port", "0"]);
    const url = await until(() => {
      if (child.exitCode !== null) throw new Error("the server ended");
      return readServerUrl(home);
    });
    const own = await home.run(["key", "list", "--json"]);
    expect(refusalOf(own)).toMatchObject({ exit: 6, code: "UNAUTHORIZED", hint: expect.stringContaining("it is no file") });
    expect((await home.run(["key", "list", "--api-key", key])).code).toBe(0);
    expect((await home.run(["key", "list"], { env: { AUTOKESTRA_API_KEY: key } })).code).toBe(0);
    rmSync(path);
    writeFileSync(path, `${key}\n`, { mode: 0o600 });
    expect((await home.run(["key", "list", "--server", url])).code).toBe(0);
    chmodSync(path, 0o640);
    expect(refusalOf(await home.run(["key", "list", "--json"]))).toMatchObject({ exit: 6, hint: expect.stringContaining("chmod 600") });
    writeFileSync(path, "\n");
    chmodSync(path, 0o600);
    expect(refusalOf(await home.run(["key", "list", "--json"]))).toMatchObject({ exit: 6, hint: expect.stringContaining("it holds no key") });
    child.kill("SIGTERM");
    expect((await ended).stderr).toContain("it is no file");
    expect(readFileSync(path, "utf8")).toBe("\n");
  }, 60_000);
});

function readServerUrl(home: Home): string | null {
  try {
    return (JSON.parse(readFileSync(join(home.data, "server.json"), "utf8")) as { url: string }).url;
  } catch {
    return null;
  }
}

describe("keys of the configuration", () => {
  const strong = "seed-3f9c1d7a52e84b06a1c9d2f7e5b8043a";
  const seed = (roles: string[], more: object = {}) => ({ name: "ci", key: strong, principal: { type: "service", id: "ci" }, roles, ...more });
  const withKeys = (...keys: object[]) => ({ WORKFLOW_SERVER_API_KEYS: JSON.stringify(keys) });

  test("[WF-17] work from the first start, follow the configuration, and a revoked one stays so", async () => {
    const home = new Home();
    let server = await home.startServer([], withKeys(seed(["developer"])));
    expect([await statusWith(server, strong), await statusWith(server, strong, "/api/v1/keys")]).toEqual([200, 403]);
    const list = async () => (await server.call("GET", "/api/v1/keys")).body as { keys: (Made & { roles: string[] })[] };
    const first = (await list()).keys.find(({ name }) => name === "ci");
    expect((await server.stop()).stderr).not.toContain("guessed");

    server = await home.startServer([], withKeys(seed(["developer"])));
    expect((await list()).keys.find(({ name }) => name === "ci")?.id).toBe(first?.id ?? "");
    expect((await server.stop()).code).toBe(0);

    // Fewer rights in the configuration are fewer rights.
    server = await home.startServer([], withKeys(seed(["agent"])));
    expect([await statusWith(server, strong), await statusWith(server, strong, "/api/v1/executions")]).toEqual([403, 200]);
    const changed = (await list()).keys.filter(({ name }) => name === "ci");
    expect(changed).toMatchObject([{ roles: ["agent"] }]);
    expect((await server.stop()).code).toBe(0);

    // One that is listed no more goes on until it is revoked.
    server = await home.startServer();
    expect(await statusWith(server, strong, "/api/v1/executions")).toBe(200);
    expect((await server.call("DELETE", `/api/v1/keys/${changed[0]?.id}`)).status).toBe(204);
    expect(await statusWith(server, strong, "/api/v1/executions")).toBe(401);
    expect((await server.stop()).code).toBe(0);

    server = await home.startServer([], withKeys(seed(["admin"])));
    expect(await statusWith(server, strong, "/api/v1/executions")).toBe(401);
    const { stderr } = await server.stop();
    expect(stderr).toContain('"ci" of server.apiKeys was revoked');
    expect(stderr).not.toContain(strong);
    expect(jsonOf<object>(await home.run(["trace", "verify", "--all", "--state", "--json"]))).toMatchObject({ ok: true });
  }, 90_000);

  test("take scopes and an end too, and need no name; a detached start says what is wrong with them", async () => {
    const home = new Home();
    const { name: _, ...nameless } = seed([]);
    const second = `${strong}-2`;
    const [past, future] = ["2020-01-31T00:00:00Z", "2999-01-31T00:00:00Z"];
    const scoped = { ...nameless, scopes: ["execution:read"], expiresAt: future };
    let server = await home.startServer([], withKeys(scoped, { ...seed(["viewer"]), key: second, expiresAt: past }));
    expect([await statusWith(server, strong), await statusWith(server, strong, "/api/v1/executions")]).toEqual([403, 200]);
    expect(await statusWith(server, second)).toBe(401);
    const list = async () => ((await server.call("GET", "/api/v1/keys")).body as { keys: (Made & { scopes: string[] })[] }).keys;
    expect((await list()).map(({ name }) => name).toSorted()).toEqual(["admin", null]);
    const made = (await list()).find(({ name }) => name === null);
    expect(made).toMatchObject({ scopes: ["execution:read"], expiresAt: "2999-01-31T00:00:00.000Z" });
    await server.stop();
    server = await home.startServer([], withKeys(scoped));
    expect((await list()).find(({ name }) => name === null)?.id).toBe(made?.id ?? "");
    await server.stop();

    // A time that is over ends it, and is said.
    const detached = await home.run(["server", "start", "--detach", "--port", "0"], { env: withKeys({ ...scoped, expiresAt: past }) });
    expect([detached.code, detached.stdout]).toEqual([0, ""]);
    expect(detached.stderr).toMatch(/^The key no\. 1 of server\.apiKeys has expired\nListening on \S+ \(pid \d+\)\n$/);
    expect(readServerUrl(home)).not.toBeNull();
    const status = await fetch(`${readServerUrl(home)}/api/v1/executions`, { headers: { "x-api-key": strong } });
    expect(status.status).toBe(401);
    expect((await home.run(["server", "stop"])).code).toBe(0);
  }, 90_000);

  test("one that can be guessed is told of, and what cannot be one is refused without being shown", async () => {
    const home = new Home();
    const weak = "changeme-changeme-changeme-changeme";
    const server = await home.startServer([], withKeys(seed(["viewer"], { name: "weak", key: weak })));
    expect(await statusWith(server, weak)).toBe(200);
    const { stderr } = await server.stop();
    expect(stderr).toContain('"weak" of server.apiKeys is easily guessed');
    expect(stderr).not.toContain(weak);
    const bad = [
      [seed(["viewer"], { key: "too-short" })],
      [seed(["viewer"], { key: "x".repeat(201) })],
      [seed(["viewer"], { key: "with blanks in it, which no header carries" })],
      [seed(["viewer"], { key: "schlüssel-schlüssel-schlüssel-schlüssel" })],
      [seed([])],
      [seed(["king"])],
      [seed([], { scopes: [] })],
      [seed([], { scopes: ["workflow:everything"] })],
      [seed(["viewer"], { expiresAt: "tomorrow" })],
      [seed(["viewer"]), seed(["admin"], { name: "twin" })],
    ];
    for (const keys of bad) {
      const ended = await home.run(["server", "start", "--port", "0", "--json"], { env: withKeys(...keys) });
      expect([keys, refusalOf(ended)]).toMatchObject([keys, { exit: 3, code: "CONFIG_INVALID" }]);
      for (const { key } of keys) expect(ended.stderr).not.toContain(key);
    }
    expect((await home.run(["config", "show", "--json"], { env: withKeys(seed(["viewer"])) })).stdout).not.toContain(strong);
  }, 60_000);
});

describe("two processes on one store", () => {
  test("[WF-17] a key that one revokes is refused by the other within a second, and its streams end", async () => {
    const home = new Home();
    const server = await home.startServer();
    const beside = { env: { AUTOKESTRA_HOME: home.path("other"), WORKFLOW_STORAGE_PATH: join(home.data, "autokestra.db") } };
    // Without a server in its data folder, the command works on the store itself.
    const made = jsonOf<Made>(await home.run(["key", "create", "--role", "viewer", "--json"], beside));
    expect(await statusWith(server, made.key)).toBe(200);
    const stream = await fetch(`${server.url}/v1/traces/stream`, { headers: { "x-api-key": made.key } });
    const reader = stream.body?.getReader();
    let streamEnd = Number.POSITIVE_INFINITY;
    const drained = (async () => {
      while ((await reader?.read())?.done === false);
      streamEnd = performance.now();
    })();
    // Asked all the time, so that whatever the server remembers of the key is fresh.
    let lastGood = 0;
    const stop = new AbortController();
    const asking = (async () => {
      while (!stop.signal.aborted) {
        const sent = performance.now();
        if ((await statusWith(server, made.key)) === 200) lastGood = sent;
      }
    })();
    expect((await home.run(["key", "revoke", made.id], beside)).code).toBe(0);
    const revoked = performance.now();
    await drained;
    expect(streamEnd - revoked).toBeLessThan(1000);
    while (performance.now() - revoked < 1000) await Bun.sleep(20);
    expect(await statusWith(server, made.key)).toBe(401);
    stop.abort();
    await asking;
    expect(lastGood).toBeGreaterThan(0);
    expect(lastGood - revoked).toBeLessThan(1000);
    expect((await server.stop()).code).toBe(0);
  }, 30_000);
});
