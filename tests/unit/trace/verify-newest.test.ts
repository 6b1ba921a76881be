// Verification of the newest events alone: they follow those before them, and older damage is not theirs to find.
import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../../../src/storage/index.ts";
import { type VerifyReport, verifyStore } from "../../../src/trace/index.ts";
import { startedAt } from "../../contract/requests.ts";
import { openMemory, writeHistory } from "./history.ts";

const folder = mkdtempSync(join(tmpdir(), "verify-newest-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
/** A store with the recorded history; the change is made behind its back. */
async function write(change: string | null): Promise<{ path: string; last: number }> {
  count += 1;
  const path = join(folder, `${count}.db`);
  const store = openSqliteStore({ path, durability: "normal", now: startedAt });
  await writeHistory(store);
  const last = await store.lastSeq();
  await store.close();
  if (change === null) return { path, last };
  const raw = new Database(path);
  const guards = raw.query<{ name: string; sql: string }, []>("select name, sql from sqlite_schema where type = 'trigger'").all();
  for (const { name } of guards) raw.run(`drop trigger ${name}`);
  raw.run(change.replaceAll("LAST", String(last)));
  for (const { sql } of guards) raw.run(sql);
  raw.close();
  return { path, last };
}

async function verifyNewest(path: string, newest: number): Promise<VerifyReport> {
  const store = openSqliteStore({ path, durability: "normal", now: startedAt });
  const report = await verifyStore(store, { traceId: null, state: false, newest }, openMemory);
  await store.close();
  return report;
}

test("any number of the newest events of a sound store", async () => {
  const { path, last } = await write(null);
  for (let newest = 1; newest <= last + 1; newest += 1) {
    expect([newest, await verifyNewest(path, newest)]).toMatchObject([newest, { ok: true, events: Math.min(newest, last), problem: null }]);
  }
});

test("a changed event is found among them, and not before them", async () => {
  const { path, last } = await write("update events set body = replace(body, ',', ', ') where seq = LAST - 2");
  expect((await verifyNewest(path, 3)).problem?.seq).toBe(last - 2);
  expect((await verifyNewest(path, 2)).ok).toBe(true);
});

test("an event taken out just before them breaks what follows in its trace", async () => {
  const { path, last } = await write("delete from events where seq = LAST - 1");
  expect((await verifyNewest(path, 2)).problem?.seq).toBe(last);
});
