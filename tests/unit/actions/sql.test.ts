// core/sql.query on real SQLite files and a real PostgreSQL server.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { queryDatabase } from "../../../src/actions/sql/query.ts";
import { readStatement } from "../../../src/actions/sql/statement.ts";
import type { JsonObject } from "../../../src/base/index.ts";
import { findCoreAction } from "../../../src/model/index.ts";
import { directContext, rejection } from "./direct-context.ts";
import { type Cluster, postgresPrograms, startCluster } from "./postgres-cluster.ts";

const context = directContext();
const run = (input: JsonObject) => queryDatabase(input, context);

describe("statements", () => {
  test("names become numbers, but not within texts, comments, casts, slices and other words", () => {
    const read = (query: string, params: JsonObject) => readStatement("postgres", query, params);
    expect(read("select :a::text, ':a', \":a\", $x$ :a $x$, E'\\':a', x[1:a] -- :a\n, :b, :a /* :a */", { a: 1, b: [2] })).toEqual({
      query: "select $1::text, ':a', \":a\", $x$ :a $x$, E'\\':a', x[1:a] -- :a\n, $2, $1 /* :a */",
      params: [1, [2]],
    });
    expect(readStatement("sqlite", "select :n, `:n`, [:n]", { n: null })).toEqual({ query: "select ?1, `:n`, [:n]", params: [null] });
    expect(readStatement("sqlite", "select ':x', ?", [1])).toEqual({ query: "select ':x', ?", params: [1] });
    expect(() => read("select :missing", {})).toThrow(/params has no "missing"/);
    expect(() => read("select :toString", {})).toThrow(/toString/);
  });

  test("one statement only, whatever stands behind it as a comment", () => {
    expect(readStatement("sqlite", "select ';'; -- done\n /* ; */ ;", undefined).params).toEqual([]);
    expect(() => readStatement("sqlite", "select 1; delete from t", undefined)).toThrow(/more than one/);
    // The driver would run the first of them, and say nothing.
    for (const driver of ["sqlite", "postgres"] as const)
      expect(() => readStatement(driver, "create table t (a); insert into t values (1)", undefined)).toThrow(/more than one/);
    expect(readStatement("postgres", "-- x\ncreate or replace rule r as on insert to t do (select 1; select 2)", undefined).query).toContain("2");
    expect(readStatement("sqlite", "create trigger x after insert on t begin select 1; select 2; end", undefined).query).toContain("select 2");
  });
});

describe("SQLite", () => {
  test("is told by sqlite:, a path alone or :memory:; what has another scheme is not a path", async () => {
    const plain = join(context.workdir, "plain.db");
    await run({ url: plain, statements: ["create table t (a)", "insert into t values (1)"] });
    expect(await run({ url: `sqlite:${plain}`, query: "select a from t" })).toMatchObject({ rows: [{ a: 1 }] });
    for (const url of [":memory:", "sqlite::memory:"]) expect(await run({ url, query: "select 1 as n" })).toMatchObject({ rows: [{ n: 1 }] });
    for (const url of ["mysql://h/x.db", "localhost:5432", "nothing", "{{ vars.db }}/x.db"])
      expect([url, (await rejection(run({ url, query: "select 1" }))).code]).toEqual([url, "TASK_INPUT_INVALID"]);
  });

  const file = join(context.workdir, "data/x y.db");
  const url = `sqlite:${file}`;
  beforeAll(() => mkdirSync(join(context.workdir, "data")));

  test("makes, changes and reads, with rows, counts and columns", async () => {
    expect(await run({ url, query: "create table t (id integer primary key, v, n real, b blob)" })).toEqual({
      rows: [],
      rowCount: 0,
      columns: [],
      truncated: false,
    });
    expect(await run({ url, query: "insert into t (v, n, b) values (?, ?, x'00ff'), (?, 2, null)", params: ["a", 1.5, true] })).toMatchObject({
      rowCount: 2,
    });
    expect(await run({ url, query: "update t set v = :v where id = :id", params: { id: 2, v: { a: [1] } } })).toMatchObject({ rowCount: 1 });
    expect(await run({ url, query: "select *, 9007199254740993 as big, null as none from t order by id" })).toEqual({
      rows: [
        { id: 1, v: "a", n: 1.5, b: "AP8=", big: "9007199254740993", none: null },
        { id: 2, v: '{"a":[1]}', n: 2, b: null, big: "9007199254740993", none: null },
      ],
      rowCount: 2,
      columns: ["id", "v", "n", "b", "big", "none"],
      truncated: false,
    });
    expect(await run({ url, query: "select typeof(?) as t", params: [2 ** 40] })).toMatchObject({ rows: [{ t: "integer" }] });
  });

  test("statements are one transaction: all or nothing", async () => {
    const done = await run({
      url,
      statements: ["delete from t where id = 2", { query: "select count(*) as n from t where id < :max", params: { max: 100 } }],
    });
    expect(done).toMatchObject({ rows: [{ n: 1 }], results: [{ rowCount: 1 }, { rows: [{ n: 1 }] }] });
    const error = await rejection(run({ url, statements: ["insert into t (id) values (50)", "insert into t (id) values (1)"] }));
    expect(error).toMatchObject({ code: "SQL_FAILED", retryable: false, details: { statement: 1, cause: "SQLITE_CONSTRAINT_PRIMARYKEY" } });
    expect(await run({ url, query: "select id from t" })).toMatchObject({ rows: [{ id: 1 }] });
  });

  test("readOnly changes nothing, makes no file, and reads a WAL database in a folder that cannot be written", async () => {
    expect((await rejection(run({ url, query: "delete from t", readOnly: true }))).code).toBe("SQL_FAILED");
    expect((await rejection(run({ url: `sqlite:${context.workdir}/none.db`, query: "select 1", readOnly: true }))).code).toBe("FILE_NOT_FOUND");
    const folder = join(context.workdir, "fixed");
    mkdirSync(folder);
    const database = new Database(join(folder, "wal.db"), { create: true });
    database.run("pragma journal_mode = wal");
    database.run("create table t (a)");
    database.run("insert into t values (7)");
    database.close();
    chmodSync(folder, 0o555);
    const script = `
      const { queryDatabase } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/actions/sql/query.ts"))});
      console.log(JSON.stringify(await queryDatabase({ url: "sqlite:${folder}/wal.db", query: "select a from t", readOnly: true }, {})));`;
    // Root's capabilities would let it write.
    const asPlain = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
    const child = Bun.spawnSync([...asPlain, process.execPath, "-e", script]);
    chmodSync(folder, 0o755);
    expect(child.stderr.toString()).toBe("");
    expect(JSON.parse(child.stdout.toString())).toMatchObject({ rows: [{ a: 7 }] });
  });

  test("rows beyond maxRows are left out, yet changed by returning; saveAs keeps them; too much for an output is refused", async () => {
    const many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select i from n";
    const few = await run({ url: "sqlite::memory:", query: many, maxRows: 3 });
    expect(few).toEqual({ rows: [{ i: 1 }, { i: 2 }, { i: 3 }], rowCount: 3, columns: ["i"], truncated: true });
    await run({ url, query: "create table r as select 1 as a union all select 2" });
    expect(await run({ url, query: "update r set a = a + 10 returning a", maxRows: 1 })).toMatchObject({ rowCount: 1, truncated: true });
    expect(await run({ url, query: "select min(a) as a from r" })).toMatchObject({ rows: [{ a: 11 }] });
    const kept = await run({ url: "sqlite::memory:", query: many, saveAs: "n.json" });
    expect(kept).toMatchObject({ rows: [], rowCount: 5000, file: { name: "n.json" } });
    expect((JSON.parse(readFileSync(join(context.workdir, "out/n.json"), "utf8")) as unknown[]).length).toBe(5000);
    const wide = `select printf('%.*c', 500, 'x') as x from (${many})`;
    expect((await rejection(run({ url: "sqlite::memory:", query: wide }))).code).toBe("TOO_LARGE");
  });

  test("inputs that say too little or too much", async () => {
    for (const input of [
      { url: "mysql://h/d", query: "x" },
      { url },
      { url, query: "select 1", statements: ["select 1"] },
      { url, statements: ["select 1"], params: [1] },
    ] as JsonObject[])
      expect((await rejection(run(input))).code).toBe("TASK_INPUT_INVALID");
    expect((await rejection(run({ url, query: "selec 1" }))).code).toBe("SQL_FAILED");
    expect((await rejection(run({ url: "sqlite:/nonexistent/x.db", query: "select 1" }))).code).toBe("SQL_UNREACHABLE");
  });
});

const programs = postgresPrograms();
// PostgreSQL is not installed on this machine.
describe.skipIf(programs === null)("PostgreSQL", () => {
  let cluster: Cluster;
  let url = "";
  beforeAll(async () => {
    cluster = await startCluster(programs ?? "");
    url = `postgres://me@127.0.0.1:${cluster.port}/postgres`;
  }, 60_000);
  afterAll(() => cluster.stop());
  const ask = (input: JsonObject) => run({ url, password: cluster.password, ...input });

  test("values of every kind are I-JSON", async () => {
    const query = `select 1::int4 a, 5::int8 b, 9007199254740993::int8 c, 1.50::numeric d, 1.25::float8 e, 'NaN'::float8 f, true g, null h,
      '2026-01-02T03:04:05.678+02'::timestamptz i, '2026-01-02 03:04:05'::timestamp j, '2026-01-02'::date k, '03:04:05'::time l, '\\xdead'::bytea m,
      '{"x":[1,"ä"]}'::jsonb n, array[1,2] o, array['a',null] p, array[9007199254740993,1]::int8[] q, '{}'::text[] r, interval '1 day 2 hours' s,
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid t, 'infinity'::timestamptz u, array['2026-01-02'::date] v`;
    const expected = {
      a: 1,
      b: 5,
      c: "9007199254740993",
      d: "1.50",
      e: 1.25,
      f: "NaN",
      g: true,
      h: null,
      i: "2026-01-02T01:04:05.678Z",
      j: "2026-01-02T03:04:05.000",
      k: "2026-01-02",
      l: "03:04:05",
      m: "3q0=",
      n: { x: [1, "ä"] },
      o: [1, 2],
      p: ["a", null],
      q: ["9007199254740993", 1],
      r: [],
      s: "1 day 02:00:00",
      t: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
      u: "Infinity",
      v: ["2026-01-02"],
    };
    expect((await ask({ query }))["rows"]).toEqual([expected]);
    // With parameters the driver speaks another protocol, with other encodings.
    expect((await ask({ query: `${query}, $1::text w`, params: ["p"] }))["rows"]).toEqual([{ ...expected, w: "p" }]);
    expect(await rejection(ask({ query: `select '{"id":12345678901234567890}'::jsonb as j` }))).toMatchObject({ code: "SQL_FAILED" });
  });

  test("parameters by position and name, changes with their count, columns without rows", async () => {
    await ask({ query: "create table t (id int primary key, v jsonb, at timestamptz, tags text[])" });
    const insert = "insert into t values (:id, :v, :at, :tags)";
    expect(await ask({ query: insert, params: { id: 1, v: { a: [1] }, at: "2026-01-01T00:00:00Z", tags: ["x", "y z"] } })).toMatchObject({
      rowCount: 1,
      rows: [],
    });
    expect((await ask({ query: "select * from t where id = $1 and :v = 1".replace(":v", "$2"), params: [1, 1] }))["rows"]).toEqual([
      { id: 1, v: { a: [1] }, at: "2026-01-01T00:00:00.000Z", tags: ["x", "y z"] },
    ]);
    expect(await ask({ query: "select id, v from t where false" })).toEqual({ rows: [], rowCount: 0, columns: ["id", "v"], truncated: false });
    expect(await ask({ query: "select generate_series(1, 10) as n", maxRows: 2 })).toEqual({
      rows: [{ n: 1 }, { n: 2 }],
      rowCount: 2,
      columns: ["n"],
      truncated: true,
    });
  });

  test("statements are one transaction, readOnly one that changes nothing", async () => {
    await ask({ query: "create table u (id int primary key)" });
    expect(
      await ask({ statements: ["insert into u values (1), (2)", { query: "select count(*) as n from u where id < :m", params: { m: 9 } }] }),
    ).toMatchObject({
      rows: [{ n: 2 }],
      results: [{ rowCount: 2 }, { rowCount: 1 }],
    });
    const error = await rejection(ask({ statements: ["insert into u values (3)", "insert into u values (1)"] }));
    expect(error).toMatchObject({ code: "SQL_FAILED", details: { sqlState: "23505", statement: 1, constraint: "u_pkey" }, retryable: false });
    expect(await ask({ query: "select count(*) as n from u" })).toMatchObject({ rows: [{ n: 2 }] });
    expect(await rejection(ask({ query: "delete from u", readOnly: true }))).toMatchObject({ code: "SQL_FAILED", details: { sqlState: "25006" } });
    expect(await ask({ query: "select max(id) as m from u", readOnly: true })).toMatchObject({ rows: [{ m: 2 }] });
  });

  test("TLS verifies the real name through a forwarder", async () => {
    const forwarded = directContext({
      "db.example.test:5432": { host: "127.0.0.1", port: cluster.port },
      "other.test:5432": { host: "127.0.0.1", port: cluster.port },
    });
    const secure = (host: string, more: JsonObject = {}) =>
      queryDatabase(
        {
          url: `postgres://me@${host}:5432/postgres`,
          password: cluster.password,
          query: "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
          ...more,
        },
        forwarded,
      );
    expect(await secure("db.example.test", { tls: { ca: cluster.ca } })).toMatchObject({ rows: [{ ssl: true }] });
    expect(await rejection(secure("db.example.test"))).toMatchObject({ code: "SQL_UNREACHABLE", retryable: false });
    expect(await rejection(secure("other.test", { tls: { ca: cluster.ca } }))).toMatchObject({
      code: "SQL_UNREACHABLE",
      details: { target: "other.test:5432" },
    });
    expect(await secure("other.test", { tls: { ca: cluster.ca, serverName: "db.example.test" } })).toMatchObject({ rows: [{ ssl: true }] });
    const mode = (name: string) => ({ url: `postgres://me@other.test:5432/postgres?sslmode=${name}` });
    expect(await secure("other.test", { ...mode("require") })).toMatchObject({ rows: [{ ssl: true }] });
    expect(await secure("other.test", { ...mode("verify-ca"), tls: { ca: cluster.ca } })).toMatchObject({ rows: [{ ssl: true }] });
    expect((await rejection(secure("other.test", mode("verify-ca")))).code).toBe("SQL_UNREACHABLE");
    expect(await secure("other.test", mode("prefer"))).toMatchObject({ rows: [{ ssl: true }] });
    expect(await secure("other.test", mode("disable"))).toMatchObject({ rows: [{ ssl: false }] });
    expect((await rejection(secure("other.test", mode("nonsense")))).code).toBe("TASK_INPUT_INVALID");
  });

  test("refused logins and connections have codes, and never the password", async () => {
    const wrong = await rejection(ask({ query: "select 1", password: "wr0ng-pw" }));
    expect(wrong).toMatchObject({ code: "SQL_UNREACHABLE", details: { cause: "28P01" }, retryable: false });
    expect(JSON.stringify(wrong)).not.toContain("wr0ng-pw");
    const nobody = await rejection(run({ url: "postgres://me:s3cret@127.0.0.1:1/x", query: "select 1" }));
    expect(nobody).toMatchObject({ code: "SQL_UNREACHABLE", retryable: true });
    expect(JSON.stringify(nobody)).not.toContain("s3cret");
    expect(await rejection(ask({ query: "selec 1" }))).toMatchObject({ code: "SQL_FAILED", details: { sqlState: "42601", position: "1" } });
    expect(
      await run({ url: `postgres://me:${encodeURIComponent(cluster.password)}@127.0.0.1:${cluster.port}/postgres`, query: "select 1 as a" }),
    ).toMatchObject({ rows: [{ a: 1 }] });
  });
});

test("it asks for the server, or for the folder of the file", () => {
  const asks = (inputs: JsonObject) => findCoreAction("core/sql.query")?.asks?.(inputs);
  expect(asks({ url: "postgres://me:{{ secrets.PW }}@DB.example.com/x" })).toEqual({ network: ["db.example.com:5432"], filesystem: { read: [] } });
  expect(asks({ url: "postgresql://[::1]:6543/x", tls: { ca: "./ca.pem" } })).toEqual({
    network: ["[::1]:6543"],
    filesystem: { read: ["./ca.pem"] },
  });
  expect(asks({ url: "sqlite:./data/x.db" })).toEqual({ filesystem: { write: ["./data"] } });
  expect(asks({ url: "sqlite:x.db", readOnly: true })).toEqual({ filesystem: { read: ["$workspace"] } });
  expect(asks({ url: "sqlite:/abs/x.db" })).toEqual({ filesystem: { write: ["/abs"] } });
  for (const url of ["{{ vars.url }}", "postgres://{{ vars.host }}/x", "sqlite::memory:", "nonsense", 5, null]) expect(asks({ url })).toEqual({});
  expect(asks({ url: "sqlite:./{{ inputs.name }}.db" })).toEqual({ filesystem: { write: [] } });
});
