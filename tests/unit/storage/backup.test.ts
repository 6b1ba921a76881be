// A database file as a whole: copied while others write, described, and held for one process.
import { expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeSqliteCopy, holdSqlite, inspectSqlite } from "../../../src/storage/index.ts";
import { migrations } from "../../../src/storage/sqlite/migrate.ts";
import { codeOf, draftOf, openTrace, requestOf } from "../../contract/requests.ts";
import { temporaryStores } from "./temporary.ts";

const stores = temporaryStores();

test("a copy holds what was committed when it was made, and is a store of its own", async () => {
  const store = stores.open();
  const trace = await openTrace(store);
  const target = join(stores.folder, "copy.db");
  const large = { sha256: "a".repeat(64), bytes: new Uint8Array(1024 * 1024 + 1), contentType: "text/plain" };
  await store.writeBlobFile(large);
  await store.commit([
    requestOf([draftOf(trace)], { blobs: [large, { sha256: "b".repeat(64), bytes: new Uint8Array(3), contentType: "text/plain" }] }),
  ]);
  await store.copyTo(target);
  await store.commit([requestOf([draftOf(trace)])]);
  expect((statSync(target).mode & 0o777).toString(8)).toBe("600");
  const [, last] = await store.listEvents({ limit: 10 });
  expect(describeSqliteCopy(target)).toEqual({
    schema: migrations.at(-1)?.id ?? 0,
    systemTraceId: await store.systemTraceId(),
    lastSeq: 2,
    lastHash: last?.hash ?? "",
    events: 2,
    executions: 0,
    blobs: 2,
    keyId: null,
    keySource: null,
    blobFiles: [{ sha256: "a".repeat(64), size: large.bytes.byteLength }],
  });
  expect(inspectSqlite(target, { thorough: true })).toEqual({ damage: [], missing: [], unknown: [] });
  const copy = stores.open(target);
  expect(await copy.lastSeq()).toBe(2);
  await copy.commit([requestOf([draftOf(trace)])]);
  expect([await copy.lastSeq(), await store.lastSeq()]).toEqual([3, 3]);
});

test("a copy never overwrites, and a store in memory has one too", async () => {
  const store = stores.open(":memory:");
  await openTrace(store);
  const target = join(stores.folder, "memory.db");
  await store.copyTo(target);
  expect(describeSqliteCopy(target).lastSeq).toBe(1);
  const before = readFileSync(target);
  expect(await codeOf(store.copyTo(target))).toBe("STORE_UNAVAILABLE");
  expect(readFileSync(target).equals(before)).toBe(true);
  writeFileSync(target, "no database");
  expect(() => describeSqliteCopy(target)).toThrow();
});

const holdCode = (path: string) => codeOf((async () => holdSqlite(path, { waitMs: 50 }).release())());

test("a store that any process has open cannot be held, and one that is held cannot be opened", async () => {
  const path = stores.path();
  const store = stores.open(path);
  await openTrace(store);
  expect(await holdCode(path)).toBe("STORE_IN_USE");
  const opener = `
    import { openSqliteStore } from ${JSON.stringify(join(import.meta.dir, "../../../src/storage/index.ts"))};
    const store = openSqliteStore({ path: ${JSON.stringify(path)}, durability: "normal", now: 0 });
    process.stdout.write("open");
    process.stdin.once("data", () => process.exit(0));`;
  const child = Bun.spawn([process.execPath, "-e", opener], { stdin: "pipe", stdout: "pipe" });
  await child.stdout.getReader().read();
  await store.close();
  expect(await holdCode(path)).toBe("STORE_IN_USE");
  child.stdin.write("x");
  child.stdin.end();
  await child.exited;
  const hold = holdSqlite(path, { waitMs: 1000 });
  // What is held is one file: its log is in it, and it may be moved.
  expect(existsSync(`${path}-wal`)).toBe(false);
  expect(await holdCode(path)).toBe("STORE_IN_USE");
  renameSync(path, `${path}.moved`);
  hold.release();
  const again = stores.open(`${path}.moved`);
  expect(await again.lastSeq()).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test("what is no database is used by nobody", async () => {
  const path = join(stores.folder, "text.db");
  writeFileSync(path, "text ".repeat(1000));
  expect(await holdCode(path)).toBe("ok");
  expect(readFileSync(path, "utf8")).toBe("text ".repeat(1000));
});
