// Verification finds every change that a stranger with a raw connection, or a hex editor, can make, and names the first bad event.
import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { canonicalJson, sha256Hex, version } from "../../../src/base/index.ts";
import { openSqliteStore, projectionNames } from "../../../src/storage/index.ts";
import { brokenChain, Ledger, type VerifyProblem, type VerifyReport, verifyStore } from "../../../src/trace/index.ts";
import { codeOf, draftOf, nextId, openTrace, startedAt } from "../../contract/requests.ts";
import { historyFolder, openMemory, writeHistory } from "./history.ts";

const folder = mkdtempSync(join(tmpdir(), "verify-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Events of the history; five of ours come after: an opening, two with blobs, one with the odd character, and the last. */
const known = readFileSync(join(historyFolder, `${version}.jsonl`), "utf8")
  .trimEnd()
  .split("\n").length;
const [withRow, withFile, withOdd, last] = [known + 2, known + 3, known + 4, known + 5] as const;

const large = "x".repeat(2 * 1024 * 1024);
const medium = `${"ab".repeat(20_000)}\uFFFD`;
let original: Promise<string> | null = null;

/** The recorded history in a file, then a trace with blobs as row and as file, and a character that invalid bytes would read as. */
async function writeOriginal(): Promise<string> {
  const path = join(folder, "original", "store.db");
  const store = openSqliteStore({ path, durability: "normal", now: startedAt });
  await writeHistory(store);
  const trace = await openTrace(store, "system");
  const ledger = new Ledger({ store, schedule: (work) => void setImmediate(work) });
  for (const message of [medium, large, "a \uFFFD in it", "the last"])
    await ledger.commit({ events: [draftOf(trace, { payload: { code: "X", message } })] });
  await store.close();
  return path;
}

let count = 0;
async function copyOriginal(): Promise<string> {
  original ??= writeOriginal();
  const from = await original;
  count += 1;
  const path = join(folder, `copy${count}`, "store.db");
  mkdirSync(dirname(path));
  copyFileSync(from, path);
  for (const blob of [large]) {
    const sha256 = sha256Hex(canonicalJson(blob));
    mkdirSync(join(dirname(path), "blobs", sha256.slice(0, 2)), { recursive: true });
    copyFileSync(join(dirname(from), "blobs", sha256.slice(0, 2), sha256), blobFile(path));
  }
  return path;
}

const blobFile = (path: string) => {
  const sha256 = sha256Hex(canonicalJson(large));
  return join(dirname(path), "blobs", sha256.slice(0, 2), sha256);
};

async function verify(path: string, over: { traceId?: string; state?: boolean } = {}): Promise<VerifyReport> {
  const store = openSqliteStore({ path, durability: "normal", now: startedAt });
  const report = await verifyStore(store, { traceId: over.traceId ?? null, state: over.state ?? false }, openMemory);
  await store.close();
  return report;
}

const dropGuards = "drop trigger events_no_update; drop trigger events_no_delete; drop trigger events_no_replace;";

/** Changes a copy as one who knows SQLite would: the guards away, the change, the guards back as they were. */
async function tampered(change: (raw: Database) => void): Promise<string> {
  const path = await copyOriginal();
  const raw = new Database(path);
  const guards = raw.query<{ sql: string }, []>("select sql from sqlite_schema where type = 'trigger'").all();
  raw.exec(dropGuards);
  change(raw);
  for (const { sql } of guards) raw.run(sql);
  raw.close();
  return path;
}

type Row = { seq: number; trace: number; sequence: number; hash: Uint8Array; body: string };
const rowOf = (raw: Database, seq: number): Row => {
  const row = raw.query<Row, [number]>("select seq, trace, sequence, hash, body from events where seq = ?").get(seq);
  if (row === null) throw new Error("no such event");
  return row;
};
const put = (raw: Database, seq: number, body: string) =>
  raw.run("update events set body = ?, hash = ? where seq = ?", [body, Buffer.from(sha256Hex(body), "hex"), seq]);

async function problemOf(path: string, over: { traceId?: string; state?: boolean } = {}): Promise<VerifyProblem> {
  const report = await verify(path, over);
  expect(report.ok).toBe(false);
  if (report.problem === null) throw new Error("nothing was found");
  expect(brokenChain(report.problem).code).toBe("TRACE_CHAIN_BROKEN");
  return report.problem;
}

describe("[CRA-X01] verification", () => {
  test("passes what was written, with its tables and blobs", async () => {
    const report = await verify(await copyOriginal(), { state: true });
    expect(report).toMatchObject({ ok: true, problem: null, events: last, tables: projectionNames.length, blobs: 2 });
  });

  test("finds a changed byte in any event, and names it", async () => {
    const path = await tampered(() => undefined);
    const raw = new Database(path);
    raw.exec(dropGuards);
    for (let seq = 1; seq <= last; seq += 3) {
      const { body } = rowOf(raw, seq);
      const at = (seq * 37) % body.length;
      const changed = body.slice(0, at) + (body[at] === "1" ? "2" : "1") + body.slice(at + 1);
      raw.run("update events set body = ? where seq = ?", [changed, seq]);
      const problem = await problemOf(path);
      expect([problem.seq, problem.schema?.length]).toEqual([seq, 3]);
      raw.run("update events set body = ? where seq = ?", [body, seq]);
    }
    raw.close();
  });

  for (const seq of [1, 30, last])
    test(`finds a byte changed in the file itself, in event ${seq}`, async () => {
      const path = await copyOriginal();
      const raw = new Database(path, { readonly: true });
      const { body } = rowOf(raw, seq);
      raw.close();
      const bytes = readFileSync(path);
      const at = bytes.indexOf(body);
      expect(at).toBeGreaterThan(0);
      const target = at + body.indexOf('"event_type":"') + 20;
      bytes[target] = (bytes[target] ?? 0) ^ 1;
      writeFileSync(path, bytes);
      expect((await problemOf(path)).seq).toBe(seq);
    });

  test("finds invalid bytes that read as the character that stood there", async () => {
    const path = await copyOriginal();
    const bytes = readFileSync(path);
    const at = bytes.indexOf("a \uFFFD in it") + 2;
    expect([...bytes.subarray(at, at + 3)]).toEqual([0xef, 0xbf, 0xbd]);
    bytes[at] = 0xf0;
    writeFileSync(path, bytes);
    const store = openSqliteStore({ path, durability: "normal", now: startedAt });
    const event = (await store.listEvents({ afterSeq: withOdd - 1, limit: 1 }))[0];
    expect(event?.body).toContain("a \uFFFD in it");
    await store.close();
    expect((await problemOf(path)).seq).toBe(withOdd);
  });

  const columns: [string, string][] = [
    ["its time", "update events set time = time + 1 where seq = 20"],
    ["an impossible time", "update events set time = 9000000000000000000 where seq = 20"],
    ["its severity", "update events set severity = (severity + 1) % 4 where seq = 20"],
    ["its type", "update events set type = (type % 3) + 1 where seq = 20"],
    ["its id", "update events set event_id = randomblob(16) where seq = 20"],
    ["its hash", "update events set hash = randomblob(32) where seq = 20"],
    ["its trace", "update events set trace = 1, sequence = 90 where seq = 20"],
    ["its sequence", "update events set sequence = 90 where seq = 20"],
  ];
  for (const [name, sql] of columns)
    test(`finds an event of which ${name} was changed beside the bytes`, async () => {
      expect((await problemOf(await tampered((raw) => raw.run(sql)))).seq).toBe(20);
    });

  test("finds a dropped event by the one after it, in the store and in its trace", async () => {
    let traceId = "";
    let sequence = 0;
    const path = await tampered((raw) => {
      const { trace } = rowOf(raw, 20);
      traceId = raw.query<{ trace_id: string }, [number]>("select trace_id from traces where ordinal = ?").get(trace)?.trace_id ?? "";
      sequence = rowOf(raw, 20).sequence;
      raw.run("delete from events where seq = 20");
    });
    expect((await problemOf(path)).seq).toBe(21);
    expect(await problemOf(path, { traceId })).toMatchObject({ trace_id: traceId, sequence: sequence + 1 });
  });

  test("finds two events swapped", async () => {
    const path = await tampered((raw) => {
      const [first, second] = [rowOf(raw, 20), rowOf(raw, 21)];
      const values = (row: Row, seq: number) => raw.run("update events set seq = ? where seq = ?", [seq, row.seq]);
      values(first, 1000);
      values(second, 20);
      raw.run("update events set seq = 21 where seq = 1000");
    });
    expect((await problemOf(path)).seq).toBe(20);
  });

  test("finds a tail cut off the store, and off a trace, also when all of it is gone", async () => {
    const cutAfter = (seq: number) => `delete from events where seq > ${seq}; update ledger_state set last_seq = ${seq};`;
    const cut = await tampered((raw) => raw.run("delete from events where seq > ?", [withFile]));
    expect(await problemOf(cut)).toMatchObject({ seq: withOdd });
    const hidden = await tampered((raw) => raw.exec(cutAfter(withFile)));
    const found = await problemOf(hidden);
    expect(found).toMatchObject({ sequence: 3 });
    expect(await problemOf(hidden, { traceId: found.trace_id ?? "" })).toMatchObject({ trace_id: found.trace_id, sequence: 3 });
    const gone = await tampered((raw) => raw.exec(cutAfter(known)));
    expect(await problemOf(gone)).toMatchObject({ sequence: 0 });
    expect(await problemOf(gone, { traceId: found.trace_id ?? "" })).toMatchObject({ sequence: 0 });
  });

  test("finds an event that was rewritten and hashed again by the one after it, or by its trace's head", async () => {
    const rewrite = (seq: number) =>
      tampered((raw) => put(raw, seq, rowOf(raw, seq).body.replace('"actor":{"id":"engine"', '"actor":{"id":"someone"')));
    const inside = await problemOf(await rewrite(18));
    expect(inside.seq).toBe(19);
    expect(await problemOf(await rewrite(last))).toMatchObject({ sequence: 5 });
  });

  test("finds an event made to look like another type by members of its payload", async () => {
    const path = await tampered((raw) => {
      const { body } = rowOf(raw, last);
      raw.run("insert into event_types values (900, 'trace.fake.type')");
      put(raw, last, body.replace('"payload":{', '"payload":{"a":{"event_type":"trace.fake.type","payload":0},'));
      raw.run("update events set type = 900 where seq = ?", [last]);
      raw.run("update traces set last_hash = (select hash from events where seq = ?1) where ordinal = (select trace from events where seq = ?1)", [
        last,
      ]);
    });
    expect((await problemOf(path)).seq).toBe(last);
  });

  const rows: [string, string, string][] = [
    ["a changed row", "update executions set reason = 'X' where state = 'FAILED'", "executions"],
    ["a row too many", "insert into revisions values ('x', 1, '', null, 0, 'me')", "revisions"],
    ["a missing row", "delete from task_runs where task = 'b'", "task_runs"],
    ["a changed key", "update api_keys set scopes = '[\"admin\"]' where name = 'ci'", "api_keys"],
  ];
  for (const [name, sql, table] of rows)
    test(`of the state finds ${name}`, async () => {
      const path = await tampered((raw) => raw.run(sql));
      expect((await verify(path)).ok).toBe(true);
      expect((await problemOf(path, { state: true })).message).toContain(table);
    });

  const blobs: [string, (path: string) => void, number][] = [
    ["a missing row", (path) => new Database(path).run("delete from blobs where bytes is not null"), withRow],
    ["a changed row", (path) => new Database(path).run("update blobs set bytes = x'00' where bytes is not null"), withRow],
    ["a missing file", (path) => rmSync(blobFile(path)), withFile],
    ["a changed file", (path) => writeFileSync(blobFile(path), large), withFile],
  ];
  for (const [name, change, seq] of blobs)
    test(`of the state finds a blob with ${name}`, async () => {
      const path = await copyOriginal();
      change(path);
      expect((await verify(path)).ok).toBe(true);
      expect((await problemOf(path, { state: true })).seq).toBe(seq);
    });

  test("of the state names an event that cannot be folded", async () => {
    const path = join(folder, "unfoldable", "store.db");
    const store = openSqliteStore({ path, durability: "normal", now: startedAt });
    const trace = await openTrace(store, "system");
    await store.commit([
      { events: [draftOf(trace, { type: "trace.workflow.enabled", payload: { workflow: "none" } })], opens: new Map(), changes: [] },
    ]);
    await store.close();
    expect((await problemOf(path, { state: true })).seq).toBe(2);
  });

  test("finds a trace whose subject was changed", async () => {
    const path = await tampered((raw) => raw.run("update traces set subject_id = 'somebody' where subject = 'execution'"));
    expect(await problemOf(path)).toMatchObject({ sequence: 0, seq: null });
  });

  test("finds that a guard is missing, and says so beside a changed event too", async () => {
    const path = await copyOriginal();
    const raw = new Database(path);
    raw.run("drop trigger events_no_update");
    expect(await problemOf(path)).toMatchObject({ seq: null, schema: ["events_no_update"] });
    raw.run("update events set body = '{}' where seq = 7");
    raw.close();
    expect(await problemOf(path)).toMatchObject({ seq: 7, schema: ["events_no_update"] });
  });

  test("of one trace looks at that one", async () => {
    const path = await tampered((raw) => raw.run("update events set body = '{}' where seq = 20"));
    const store = openSqliteStore({ path, durability: "normal", now: startedAt });
    const [good, bad] = [(await store.listEvents({ limit: 1 }))[0]?.traceId, (await store.listEvents({ afterSeq: 19, limit: 1 }))[0]?.traceId];
    await store.close();
    expect((await verify(path, { traceId: good ?? "" })).ok).toBe(true);
    expect((await problemOf(path, { traceId: bad ?? "" })).seq).toBe(20);
    expect(await codeOf(verify(path, { traceId: nextId() }))).toBe("TRACE_NOT_FOUND");
  });

  test("stands on one moment while others write", async () => {
    const path = await copyOriginal();
    const [ours, theirs] = [1, 2].map(() => openSqliteStore({ path, durability: "normal", now: startedAt }));
    if (ours === undefined || theirs === undefined) throw new Error("two stores are needed");
    const trace = await openTrace(theirs, "system");
    const busy = { ...ours, missingGuards: ours.missingGuards, snapshot: async () => spied(await ours.snapshot()) };
    const spied = (view: typeof ours) => ({
      ...view,
      listEvents: async (selection: Parameters<typeof ours.listEvents>[0]) => {
        const page = await view.listEvents(selection);
        await theirs.commit([
          {
            events: [draftOf(trace)],
            opens: new Map(),
            changes: [{ table: "workflows", op: "update", key: { id: "hello" }, set: { name: "changed" } }],
          },
        ]);
        return page;
      },
    });
    const report = await verifyStore(busy, { traceId: null, state: true }, openMemory);
    expect(report.problem).toBeNull();
    expect(await ours.lastSeq()).toBeGreaterThan(report.events);
    await ours.close();
    await theirs.close();
  });
});
