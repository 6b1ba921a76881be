// What removing traces does to the file: every table of an execution is known, blobs' files go and come back, pages are given back.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sha256Hex } from "../../../src/base/index.ts";
import type { CommitRequest, Store } from "../../../src/storage/index.ts";
import { Connection } from "../../../src/storage/sqlite/database.ts";
import { migrate } from "../../../src/storage/sqlite/migrate.ts";
import { selectEnded, tablesOfExecution } from "../../../src/storage/sqlite/prune.ts";
import { draftOf, executionRow, insertOf, newTrace, openingOf, outcomeOf, startedAt, type TestTrace } from "../../contract/requests.ts";
import { temporaryStores } from "./temporary.ts";

const { open, path } = temporaryStores();
const large = new Uint8Array(2 * 1024 * 1024).fill(7);
const sha256 = sha256Hex(large);
const fileOf = (at: string) => join(dirname(at), "blobs", sha256.slice(0, 2), sha256);
const artifacts = [{ name: "large", uri: `artifact:${sha256}`, sha256, content_type: "text/plain" }];

async function execution(store: Store, over: Partial<CommitRequest> = {}, messages = 0): Promise<TestTrace> {
  const trace = newTrace();
  const row = executionRow({ execution_id: trace.traceId, state: "SUCCESS", ended_at: startedAt });
  const more = Array.from({ length: messages }, () => draftOf(trace, { payload: { code: "X", message: "x".repeat(4000) } }));
  const opening = openingOf(
    trace,
    { changes: [insertOf(row)], ...over },
    over.blobs === undefined && over.blobFiles === undefined ? {} : { artifacts },
  );
  expect(outcomeOf(await store.commit([{ ...opening, events: [...opening.events, ...more] }]))).toBe("ok");
  return trace;
}

async function bury(store: Store): Promise<void> {
  const system = { ...newTrace("system"), traceId: await store.systemTraceId() };
  for (const one of await store.listEnded({ state: "SUCCESS", until: startedAt, limit: 100 })) {
    const payload = { trace_id: one.executionId, count: one.events };
    const changes = [{ table: "executions" as const, op: "delete" as const, key: { execution_id: one.executionId } }];
    const request = openingOf(system, { changes, buries: one.executionId }, { type: "trace.ledger.pruned", payload });
    expect(outcomeOf(await store.commit([request]))).toBe("ok");
  }
}

describe("removing traces", () => {
  test("knows every table that has rows of an execution", () => {
    const db = new Connection(":memory:", "normal");
    migrate(db, { now: 0 });
    const named = db.all<{ name: string }>(
      "select t.name from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table' and c.name = 'execution_id' order by 1",
    );
    db.close();
    // `executions` leaves with the tombstone. What outlives an execution, since it says that a start was made, stands here.
    const kept: string[] = ["executions", "due_runs", "deliveries"];
    expect(named.map(({ name }) => name).filter((name) => !kept.includes(name))).toEqual([...tablesOfExecution].toSorted());
  });

  test("[CRA-0.23] finds what has ended by an index, in order", () => {
    const db = new Connection(":memory:", "normal");
    migrate(db, { now: 0 });
    let plan = "";
    const explaining = {
      all: (sql: string, ...bindings: []) => {
        plan = db
          .all<{ detail: string }>(`explain query plan ${sql}`, ...bindings)
          .map(({ detail }) => detail)
          .join("\n");
        return [];
      },
    };
    selectEnded(explaining as unknown as Connection, { state: "SUCCESS", until: 1, after: { endedAt: 0, executionId: "x" }, limit: 5 });
    db.close();
    expect(plan).toContain("SEARCH e USING INDEX executions_by_end (state=?");
    expect(plan).not.toMatch(/SCAN|TEMP B-TREE/);
  });

  test("takes the file of a blob, unless somebody is about to name it again", async () => {
    for (const isTouched of [false, true]) {
      const at = path();
      const store = open(at);
      await store.writeBlobFile({ sha256, bytes: large, contentType: "text/plain" });
      utimesSync(fileOf(at), new Date(startedAt), new Date(startedAt));
      await execution(store, { blobs: [{ sha256, bytes: large, contentType: "text/plain" }] });
      const source = join(dirname(at), "copy");
      writeFileSync(source, large);
      if (isTouched) await store.importBlob({ path: source, bytesMax: 1e9 });
      await bury(store);
      expect(await store.removeBuried(1000)).toMatchObject({ blobs: 1, isDone: true });
      expect(existsSync(fileOf(at))).toBe(isTouched);
      if (isTouched) await execution(store, { blobFiles: [{ sha256, size: large.byteLength, contentType: "text/plain" }] });
      expect((await store.findBlob(sha256))?.bytes.byteLength).toBe(isTouched ? large.byteLength : undefined);
    }
  });

  test("whose blob is written again meanwhile, has its file again", async () => {
    const at = path();
    const store = open(at);
    const blob = { sha256, bytes: large, contentType: "text/plain" };
    await store.writeBlobFile(blob);
    utimesSync(fileOf(at), new Date(startedAt), new Date(startedAt));
    await execution(store, { blobs: [blob] });
    // The second one finds the file named, and the trace that names it leaves before its commit.
    await store.writeBlobFile(blob);
    await bury(store);
    await store.removeBuried(1000);
    expect(existsSync(fileOf(at))).toBe(false);
    await execution(store, { blobs: [blob] });
    expect((await store.findBlob(sha256))?.bytes).toEqual(large);
  });

  test("gives pages back in portions, and keeps some for what comes", async () => {
    const at = path();
    const store = open(at);
    for (let count = 0; count < 60; count += 1) await execution(store, {}, 200);
    await bury(store);
    expect(await store.releasePages(100)).toBe(0);
    while (!(await store.removeBuried(1000)).isDone);
    expect(await store.releasePages(100)).toBe(100);
    while ((await store.releasePages(1000)) > 0);
    const db = new Database(at);
    const [unused, pages] = ["freelist_count", "page_count"].map(
      (name) => Object.values(db.query<Record<string, number>, []>(`pragma ${name}`).get() ?? {})[0] ?? 0,
    );
    db.close();
    expect(unused).toBe(4096);
    await store.close();
    expect(statSync(at).size).toBe((pages ?? 0) * 4096);
  });

  test("gives nothing back of an older file, whose pages cannot move", async () => {
    const at = path();
    mkdirSync(dirname(at), { recursive: true });
    const raw = new Database(at, { create: true });
    raw.run("create table older (id integer primary key) strict");
    raw.close();
    const store = open(at);
    for (let count = 0; count < 60; count += 1) await execution(store, {}, 200);
    await bury(store);
    while (!(await store.removeBuried(1000)).isDone);
    expect(await store.releasePages(100)).toBe(0);
  });
});
