// workflow doctor on sound and on broken installations: every mistake has its line, its hint and exit 1, and nothing is changed.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync, closeSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { type Ended, Home } from "../product/binary.ts";

type Check = { id: string; status: string; message: string; hint: string | null };
type Report = { ended: Ended; ok: boolean; checks: Map<string, Check> };

async function examine(home: Home, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Report> {
  const ended = await home.run(["doctor", "--json", ...args], { env });
  const { ok, checks } = JSON.parse(ended.stdout) as { ok: boolean; checks: Check[] };
  expect(ended.code).toBe(ok ? 0 : 1);
  return { ended, ok, checks: new Map(checks.map((check) => [check.id, check])) };
}

const failedOf = ({ checks }: Report): string[] => [...checks.values()].filter(({ status }) => status === "fail").map(({ id }) => id);
const database = (home: Home): string => join(home.data, "autokestra.db");

/** A home with a store that a server wrote. */
async function makeStore(): Promise<Home> {
  const home = new Home();
  const server = await home.startServer();
  server.child.kill("SIGTERM");
  await server.ended;
  return home;
}

/** Changes the store behind the program's back. */
function tamper(home: Home, ...statements: string[]): void {
  const db = new Database(database(home));
  for (const statement of statements) db.run(statement);
  db.close();
}

describe("[CRA-0.11] a sound installation", () => {
  test("without a server and without data: passes, and makes nothing", async () => {
    const home = new Home();
    const { code, stdout, stderr } = await home.run(["doctor"]);
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.at(-1)).toBe("All checks passed.");
    expect(lines[0]).toStartWith("[WARN] runtime: ");
    expect(lines[1]).toMatch(/^ +hint: /);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^(\[(OK|WARN|FAIL)\] [a-z.]+: .|\s+hint: .)/);
    expect(existsSync(home.data)).toBe(false);
  });

  test("--json is {ok, checks:[{id, status, message, hint}]}, with every check", async () => {
    const { ended, ok, checks } = await examine(new Home());
    expect(ok).toBe(true);
    expect(Object.keys(JSON.parse(ended.stdout) as object)).toEqual(["ok", "checks"]);
    for (const check of checks.values()) expect(Object.keys(check)).toEqual(["id", "status", "message", "hint"]);
    const ids = ["runtime", "version", "trace", "config", "keys", "data", "database", "disk", "clock", "docker", "plugins", "sandbox"];
    expect(ids.filter((id) => !checks.has(id))).toEqual([]);
  });

  test("with a server: it is asked, and the store that it writes is looked at meanwhile", async () => {
    const home = new Home();
    const server = await home.startServer();
    const report = await examine(home);
    expect(failedOf(report)).toEqual([]);
    expect(report.checks.get("runtime")).toMatchObject({ status: "ok", message: `${server.url} is healthy and ready`, hint: null });
    expect(report.checks.get("version")?.message).toContain(manifest.version);
    expect(report.checks.get("trace")?.message).toContain("1.0");
    for (const id of ["keys", "data", "database", "schema", "ledger"]) expect([id, report.checks.get(id)?.status]).toEqual([id, "ok"]);
    expect(report.checks.get("ledger")?.message).toMatch(/head at seq [1-9]/);
  });

  // The sandbox is Linux's.
  test.skipIf(process.platform !== "linux")("the sandbox is attacked, layer by layer", async () => {
    const { checks } = await examine(new Home());
    const layers = [...checks.values()].filter(({ id }) => id.startsWith("sandbox."));
    expect(layers.length).toBeGreaterThan(2);
    for (const { message } of layers) expect(message).toStartWith("held: ");
    expect(checks.get("sandbox.seccomp")?.message).toContain("ptrace");
  });
});

describe("what is wrong is found", () => {
  test("a changed event: exit 1, its place, and the envelope on stderr", async () => {
    const home = await makeStore();
    expect((await examine(home)).ok).toBe(true);
    const triggers = new Database(database(home), { readonly: true });
    const names = triggers.query<{ name: string }, []>("select name from sqlite_schema where type = 'trigger' and tbl_name = 'events'").all();
    triggers.close();
    tamper(home, ...names.map(({ name }) => `drop trigger ${name}`), "update events set body = replace(body, ',', ', ') where seq = 3");
    const report = await examine(home);
    expect(failedOf(report)).toEqual(["ledger"]);
    expect(report.checks.get("ledger")?.message).toContain("seq 3");
    expect(report.checks.get("ledger")?.hint).toContain("trace verify");
    const envelope = JSON.parse(report.ended.stderr.trimEnd().split("\n").at(-1) ?? "") as { error: { code: string; kind: string } };
    expect(envelope.error).toMatchObject({ code: "DOCTOR_FAILED", kind: "failed", details: { failed: ["ledger"] } });
    const plain = await home.run(["doctor"]);
    expect([plain.code, plain.stdout.includes("All checks passed.")]).toEqual([1, false]);
    expect(plain.stdout).toContain("[FAIL] ledger: ");
    expect(plain.stderr).toStartWith("error[DOCTOR_FAILED]: ");
  });

  test("a damaged database, and a file that is none", async () => {
    const home = await makeStore();
    const size = statSync(database(home)).size;
    const file = openSync(database(home), "r+");
    writeSync(file, new Uint8Array(Math.floor(size / 2)).fill(0xaa), 0, Math.floor(size / 2), 4096);
    closeSync(file);
    expect(failedOf(await examine(home))).toEqual(["database"]);
    writeFileSync(database(home), "no database at all, but long enough to be looked at".repeat(100));
    expect(failedOf(await examine(home))).toEqual(["database"]);
  });

  test("a store of a newer version, and one of another program", async () => {
    const home = await makeStore();
    tamper(home, "insert into migrations values (9999, 'later', 'x', 0)");
    const report = await examine(home);
    expect(failedOf(report)).toEqual(["schema"]);
    expect(report.checks.get("schema")?.message).toContain("9999");
    const other = new Home();
    mkdirSync(other.data, { mode: 0o700 });
    const foreign = new Database(database(other));
    foreign.run("create table x (y)");
    foreign.close();
    expect(failedOf(await examine(other))).toEqual(["database"]);
    expect(new Database(database(other), { readonly: true }).query("select name from sqlite_schema").all()).toEqual([{ name: "x" }]);
  });

  test("modes of the data folder, the database and the key", async () => {
    const home = await makeStore();
    chmodSync(home.data, 0o755);
    expect((await examine(home)).checks.get("data")).toMatchObject({ status: "warn", hint: `Run: chmod 700 "${home.data}"` });
    chmodSync(home.data, 0o777);
    expect(failedOf(await examine(home))).toEqual(["data"]);
    chmodSync(home.data, 0o700);
    chmodSync(join(home.data, "admin.key"), 0o644);
    expect(failedOf(await examine(home))).toEqual(["keys"]);
    chmodSync(join(home.data, "admin.key"), 0o600);
    chmodSync(database(home), 0o644);
    expect(failedOf(await examine(home))).toEqual(["database"]);
    expect(statSync(database(home)).mode & 0o777).toBe(0o644);
    chmodSync(database(home), 0o600);
    expect(failedOf(await examine(home))).toEqual([]);
  });

  test("a data folder that cannot be one", async () => {
    const home = new Home();
    writeFileSync(home.path("file"), "");
    expect(failedOf(await examine(home, ["--data", home.path("file")]))).toContain("data");
  });

  test("a configuration with errors", async () => {
    const home = new Home();
    writeFileSync(home.path("autokestra.yaml"), "server:\n  prot: 1\n");
    const report = await examine(home);
    expect(failedOf(report)).toEqual(["config"]);
    expect(report.checks.get("config")?.message).toContain("prot");
  });

  test("a plugin that cannot be loaded", async () => {
    const home = new Home();
    mkdirSync(join(home.data, "plugins/acme/broken"), { recursive: true, mode: 0o700 });
    writeFileSync(join(home.data, "plugins/acme/broken/plugin.yaml"), "namespace: acme\n");
    const report = await examine(home);
    expect(failedOf(report)).toEqual(["plugins"]);
    expect(report.checks.get("plugins")?.message).toContain("acme/broken");
  });

  test("a sandbox that is switched off", async () => {
    const { checks } = await examine(new Home(), [], { WORKFLOW_PLUGINS_SANDBOX: "off" });
    expect(checks.get("sandbox")?.status).toBe("warn");
    expect([...checks.keys()].filter((id) => id.startsWith("sandbox."))).toEqual([]);
  });

  test("no container engine, where tasks run in containers by configuration", async () => {
    const home = new Home();
    const env = { WORKFLOW_PLUGINS_DOCKER: JSON.stringify({ socket: home.path("none.sock") }) };
    expect((await examine(home, [], env)).checks.get("docker")?.status).toBe("warn");
    expect(failedOf(await examine(home, [], { ...env, WORKFLOW_PLUGINS_RUNTIME: "docker" }))).toEqual(["docker"]);
  });
});

describe("another server", () => {
  test("that does not answer", async () => {
    const report = await examine(new Home(), ["--server", "http://127.0.0.1:1"]);
    expect(failedOf(report)).toEqual(["runtime"]);
  });

  test("of another version", async () => {
    const body = { status: "healthy", version: "99.0.0", carp_version: "1.0", trace_version: "2.0", uptime_seconds: 1 };
    using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(body) });
    expect(failedOf(await examine(new Home(), ["--server", `http://127.0.0.1:${server.port}`]))).toEqual(["version", "trace"]);
  });

  test("that does not take the key", async () => {
    const home = new Home();
    const server = await home.startServer();
    const report = await examine(home, ["--api-key", "wrong"]);
    expect(report.checks.get("runtime")?.status).toBe("warn");
    expect(readFileSync(join(home.data, "admin.key"), "utf8").trim()).toBe(server.key);
  });
});
