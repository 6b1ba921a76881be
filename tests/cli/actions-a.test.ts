// Built-in actions through the compiled binary, sandboxed: each reaches what is granted, and is refused without the grant.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home } from "../product/binary.ts";
import { type Cluster, postgresPrograms, startCluster } from "../unit/actions/postgres-cluster.ts";
import { type SmtpServer, startSmtp } from "../unit/actions/smtp-server.ts";
import { hasSshd, type SshServer, startSshd } from "../unit/actions/ssh-server.ts";

const home = new Home();
// A folder that every user can reach: tasks have one of their own.
chmodSync(home.dir, 0o755);

type Task = { type: string; inputs: Record<string, unknown> };
type TaskEnd = { output: unknown; error: { code: string } | null };

let count = 0;
/** Runs one task with the permissions, as a file of its own, and gives its end as `--json` tells it. */
async function run(task: Task, permissions: Record<string, unknown> = {}): Promise<TaskEnd> {
  const id = `one-${(count += 1)}`;
  const path = home.path(`${id}.json`);
  writeFileSync(path, JSON.stringify({ apiVersion: "v1", id, permissions, tasks: [{ id: "it", ...task }] }));
  const { stdout, stderr } = await home.run(["run", path, "--json"]);
  const [end] = stdout === "" ? [] : (JSON.parse(stdout) as { tasks: TaskEnd[] }).tasks;
  if (end === undefined) throw new Error(stderr);
  return end;
}

/** The output, or why there is none. */
const outputOf = ({ output, error }: TaskEnd): unknown => error ?? output;
const codeOf = ({ error }: TaskEnd): unknown => error?.code ?? null;

describe("core/http.request", () => {
  let body = "";
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request): Promise<Response> {
      body = await request.text();
      const { pathname } = new URL(request.url);
      if (pathname === "/away") return Response.redirect(`http://localhost:${new URL(request.url).port}/there`);
      if (pathname === "/binary") return new Response(new Uint8Array([0, 1, 2]), { headers: { "content-type": "application/octet-stream" } });
      return Response.json({ method: request.method, pathname });
    },
  });
  afterAll(() => server.stop(true));
  const url = `http://127.0.0.1:${server.port}`;
  const grant = { network: [`127.0.0.1:${server.port}`] };

  test("[WF-14] reaches a granted host, and no other", async () => {
    const task = { type: "core/http.request", inputs: { url: `${url}/x`, method: "PUT", json: { a: 1 } } };
    expect(outputOf(await run(task, grant))).toMatchObject({ status: 200, body: { method: "PUT", pathname: "/x" } });
    expect(body).toBe('{"a":1}');
    body = "";
    expect(codeOf(await run(task))).toBe("PERMISSION_DENIED");
    expect(body).toBe("");
    const nobody = { type: "core/http.request", inputs: { url: "http://127.0.0.1:1/", failOnStatus: false } };
    expect(codeOf(await run(nobody, { network: ["127.0.0.1:1"] }))).toBe("HTTP_UNREACHABLE");
  });

  test("[WF-14] a redirect to another host needs that host named and granted", async () => {
    const inputs = { url: `${url}/away` };
    const both = { network: [...grant.network, `localhost:${server.port}`] };
    expect(codeOf(await run({ type: "core/http.request", inputs }, both))).toBe("PERMISSION_DENIED");
    const named = { ...inputs, redirectHosts: [`localhost:${server.port}`] };
    expect(codeOf(await run({ type: "core/http.request", inputs: named }, grant))).toBe("PERMISSION_DENIED");
    expect(outputOf(await run({ type: "core/http.request", inputs: named }, both))).toMatchObject({ body: { pathname: "/there" } });
  });

  test("a file is sent with its grant, and a binary body is an artifact of the task", async () => {
    mkdirSync(home.path("files"), { recursive: true });
    writeFileSync(home.path("files/up.txt"), "content");
    const inputs = { url, method: "POST", file: "./files/up.txt" };
    expect(outputOf(await run({ type: "core/http.request", inputs }, { ...grant, filesystem: { read: ["./files"] } }))).toMatchObject({
      status: 200,
    });
    expect(body).toBe("content");
    expect(codeOf(await run({ type: "core/http.request", inputs }, grant))).toBe("PERMISSION_DENIED");
    const sha256 = new Bun.CryptoHasher("sha256").update(new Uint8Array([0, 1, 2])).digest("hex");
    const output = outputOf(await run({ type: "core/http.request", inputs: { url: `${url}/binary` } }, grant));
    expect(output).toMatchObject({
      body: { name: "binary", uri: `artifact:${sha256}`, size: 3 },
      artifacts: [{ name: "binary", uri: `artifact:${sha256}` }],
    });
  });
});

describe("core/script.run and core/json.transform", () => {
  test("scripts in each language, in the workspace when it is granted", async () => {
    const script = (inputs: Record<string, unknown>, permissions = {}) => run({ type: "core/script.run", inputs }, permissions);
    const ts = "const n: number = (await Bun.stdin.json()).n;\nconsole.log(JSON.stringify({ n: n + 1 }));";
    expect(outputOf(await script({ code: ts, input: { n: 1 } }))).toMatchObject({ exitCode: 0, result: { n: 2 } });
    const python = "import os\nopen('made', 'w').write('x')\nprint(len(os.listdir('.')))";
    expect(outputOf(await script({ language: "python", code: python }, { filesystem: { write: ["$workspace"] } }))).toMatchObject({ result: 1 });
    expect(codeOf(await script({ language: "python", code: "open('/etc/shadow')" }))).toBe("PERMISSION_DENIED");
    expect(codeOf(await script({ language: "js", code: "process.exit(4)" }))).toBe("PLUGIN_EXIT");
  });

  test("CEL over a value", async () => {
    const inputs = { input: { a: [1, 2, 3] }, expressions: { sum: "input.a[0] + input.a[2]", big: "input.a.filter(x, x > 1)" } };
    expect(outputOf(await run({ type: "core/json.transform", inputs }))).toMatchObject({ result: { sum: 4, big: [2, 3] } });
    const bad = await run({ type: "core/json.transform", inputs: { input: 1, expression: "input.a.b" } });
    expect(codeOf(bad)).toBe("EXPRESSION_ERROR");
  });
});

describe("core/sql.query", () => {
  test("[WF-14] a SQLite file in a granted folder, and none without the grant", async () => {
    mkdirSync(home.path("db"), { recursive: true });
    const sql = (inputs: Record<string, unknown>, permissions = {}) =>
      run({ type: "core/sql.query", inputs: { url: "sqlite:./db/x.db", ...inputs } }, permissions);
    const write = { filesystem: { write: ["./db"] } };
    const made = await sql(
      { statements: ["create table t (a)", { query: "insert into t values (:a)", params: { a: "x" } }, "select * from t"] },
      write,
    );
    expect(outputOf(made)).toMatchObject({ rows: [{ a: "x" }], columns: ["a"] });
    const read = { filesystem: { read: ["./db"] } };
    expect(outputOf(await sql({ query: "select count(*) as n from t", readOnly: true }, read))).toMatchObject({ rows: [{ n: 1 }] });
    expect(codeOf(await sql({ query: "delete from t" }, read))).toBe("PERMISSION_DENIED");
    expect(codeOf(await sql({ query: "select 1" }))).toBe("PERMISSION_DENIED");
  });

  const programs = postgresPrograms();
  // PostgreSQL is not installed on this machine.
  describe.skipIf(programs === null)("PostgreSQL", () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await startCluster(programs ?? "");
    }, 60_000);
    afterAll(() => cluster.stop());

    test("[WF-14] through the forwarder of its grant, and that server alone", async () => {
      const ask = (query: string, permissions: Record<string, unknown>) =>
        run(
          { type: "core/sql.query", inputs: { url: `postgres://me@127.0.0.1:${cluster.port}/postgres`, password: cluster.password, query } },
          permissions,
        );
      const granted = { network: [`127.0.0.1:${cluster.port}`] };
      expect(outputOf(await ask("select 6 * 7 as n", granted))).toMatchObject({ rows: [{ n: 42 }] });
      expect(codeOf(await ask("selec 1", granted))).toBe("SQL_FAILED");
      expect(codeOf(await ask("select 1", {}))).toBe("PERMISSION_DENIED");
      expect(codeOf(await ask("select 1", { network: ["127.0.0.1:1"] }))).toBe("PERMISSION_DENIED");
    });

    test("TLS verifies the real name behind the forwarder", async () => {
      const url = `postgres://me@localhost:${cluster.port}/postgres?sslmode=verify-full`;
      const ask = (tls: Record<string, unknown>) =>
        run(
          { type: "core/sql.query", inputs: { url, password: cluster.password, query: "select 1 as n", tls } },
          { network: [`localhost:${cluster.port}`] },
        );
      expect(codeOf(await ask({ ca: cluster.ca }))).toBe("SQL_UNREACHABLE");
      expect(outputOf(await ask({ ca: cluster.ca, serverName: "db.example.test" }))).toMatchObject({ rows: [{ n: 1 }] });
    });
  });
});

describe("core/email.send", () => {
  let server: SmtpServer;
  beforeAll(async () => {
    server = await startSmtp({ security: "none", cert: "", key: "" });
  });
  afterAll(() => server.stop());

  test("[WF-14] a mail with an attachment leaves through the forwarder of its grant only", async () => {
    writeFileSync(home.path("note.txt"), "attached");
    const inputs = {
      host: "127.0.0.1",
      port: server.port,
      security: "none",
      from: "a@example.test",
      to: "b@example.test",
      subject: "s",
      text: "t",
      attachments: [{ path: "./note.txt" }],
    };
    const task = { type: "core/email.send", inputs };
    const granted = { network: [`127.0.0.1:${server.port}`], filesystem: { read: ["./note.txt"] } };
    expect(outputOf(await run(task, granted))).toMatchObject({ accepted: ["b@example.test"], rejected: [] });
    expect(server.mails[0]?.data).toContain(Buffer.from("attached").toString("base64"));
    expect(codeOf(await run(task, { filesystem: granted.filesystem }))).toBe("PERMISSION_DENIED");
    expect(server.mails.length).toBe(1);
  });
});

// sshd logs in whoever runs it as root only, and is not installed everywhere.
describe.skipIf(!hasSshd)("core/ssh.run", () => {
  let server: SshServer;
  beforeAll(async () => {
    server = await startSshd();
  }, 30_000);
  afterAll(() => server.stop());

  test("[WF-14] a command through the forwarder, with strict host keys, and none without the grant", async () => {
    // The key's file is its owner's alone, so the task keeps that user, whom ssh has to find in the list of users.
    const knownHosts = `[127.0.0.1]:${server.port} ${server.hostKey}`;
    const task = (command: string, more = {}) => ({
      type: "core/ssh.run",
      inputs: { host: "127.0.0.1", port: server.port, user: server.user, identityFile: server.key, knownHosts, command, ...more },
    });
    const own = { filesystem: { read: [server.key] }, run: true };
    const granted = { ...own, network: [`127.0.0.1:${server.port}`] };
    expect(outputOf(await run(task("echo hello; echo no >&2"), granted))).toMatchObject({ exitCode: 0, stdout: "hello\n", stderr: "no\n" });
    expect(codeOf(await run(task("exit 5"), granted))).toBe("SSH_EXIT");
    expect(codeOf(await run(task("true", { knownHosts: `example.test ${server.hostKey}` }), granted))).toBe("SSH_HOST_KEY");
    expect(codeOf(await run(task(`touch ${join(server.folder, "never")}`), own))).toBe("PERMISSION_DENIED");
    expect(await Bun.file(join(server.folder, "never")).exists()).toBe(false);
  });
});
