// Backups whose seal and digests fit, and whose store is not what it should be; and restores and backups that a signal ends.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { sha256Hex } from "../../src/base/index.ts";
import { openSqliteStore } from "../../src/storage/index.ts";
import { type Ended, Home, until } from "../product/binary.ts";
import { entryOf, sealed, tarOf } from "../unit/backup/backup-file.ts";

type Manifest = {
  head: { last_seq: number; last_hash: string };
  key_id: string | null;
  counts: { executions: number };
  files: { path: string; size: number; sha256: string }[];
};

function codeOf({ stderr, code }: Ended): [string | null, number | null] {
  return [/error\[([A-Z_]+)\]/.exec(stderr)?.[1] ?? null, code];
}

async function start(): Promise<Home> {
  const home = new Home();
  writeFileSync(home.path("w.yaml"), `id: w\ntasks: [{ id: a, run: 'mkdir -p "$HOME/out"; echo artifact-of-a > "$HOME/out/a.txt"' }]\n`);
  expect((await home.run(["run", "w.yaml"])).code).toBe(0);
  expect((await home.run(["backup", "b.tar.gz"])).code).toBe(0);
  return home;
}

type Change = {
  sql?: string;
  change?: (db: Database) => void;
  manifest?: (manifest: Manifest) => void;
  drop?: (path: string) => boolean;
  bytes?: (database: Buffer) => Buffer;
};

/** The backup with another database or manifest, and digests that fit. */
async function forge(home: Home, { sql, change, manifest: edit, drop, bytes }: Change): Promise<string> {
  const folder = mkdtempSync(home.path("forge-"));
  expect(Bun.spawnSync(["tar", "xzf", home.path("b.tar.gz"), "-C", folder]).exitCode).toBe(0);
  const database = join(folder, "autokestra.db");
  if (sql !== undefined || change !== undefined) {
    const db = new Database(database);
    db.run("pragma journal_mode = delete");
    if (sql !== undefined) db.exec(sql);
    change?.(db);
    db.close();
  }
  if (bytes !== undefined) writeFileSync(database, bytes(readFileSync(database)));
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as Manifest;
  manifest.files = manifest.files.filter(({ path }) => drop?.(path) !== true);
  for (const file of manifest.files) {
    const content = readFileSync(join(folder, file.path));
    Object.assign(file, { size: content.byteLength, sha256: sha256Hex(content) });
  }
  edit?.(manifest);
  const entries = manifest.files.map(({ path }) => entryOf(path, readFileSync(join(folder, path))));
  const target = home.path("forged.tar.gz");
  writeFileSync(target, sealed(gzipSync(await tarOf([entryOf("manifest.json", JSON.stringify(manifest)), ...entries]))));
  return target;
}

/** The guard is taken away for the moment and put back. */
const unguarded = (sql: string) => (db: Database) => {
  const guard = db.query("select sql from sqlite_schema where name = 'events_no_update'").get() as { sql: string };
  db.exec(`drop trigger events_no_update; ${sql}; ${guard.sql}`);
};
const forgeries: Record<string, [Change, string, number]> = {
  "an event of other bytes": [
    { change: unguarded("update events set body = replace(body, 'trace.task.succeeded', 'trace.task.succeedeD')") },
    "TRACE_CHAIN_BROKEN",
    7,
  ],
  "a missing guard": [{ sql: "drop trigger events_no_delete" }, "TRACE_CHAIN_BROKEN", 7],
  "a row that no event tells of": [{ sql: "update executions set state = 'FAILED'" }, "TRACE_CHAIN_BROKEN", 7],
  "a head that the database does not have": [{ manifest: ({ head }) => void (head.last_seq += 1) }, "TRACE_CHAIN_BROKEN", 7],
  "another hash at its head": [{ manifest: ({ head }) => void (head.last_hash = "0".repeat(64)) }, "TRACE_CHAIN_BROKEN", 7],
  "other counts": [{ manifest: ({ counts }) => void (counts.executions += 1) }, "TRACE_CHAIN_BROKEN", 7],
  "another key": [{ manifest: (manifest) => void (manifest.key_id = "0".repeat(32)) }, "TRACE_CHAIN_BROKEN", 7],
  "a blob too few": [{ drop: (path) => path.startsWith("blobs/") }, "TRACE_CHAIN_BROKEN", 7],
  "a database that is none": [{ bytes: () => Buffer.from("text ".repeat(1000)) }, "TRACE_CHAIN_BROKEN", 7],
  "a database of something else": [{ sql: "drop table migrations" }, "TRACE_CHAIN_BROKEN", 7],
  "a damaged page": [{ bytes: (database) => database.fill(0xff, 20 * 4096, 21 * 4096) }, "TRACE_CHAIN_BROKEN", 7],
  "migrations of a later version": [{ sql: "insert into migrations values (999, 'later', 'x', 0)" }, "SCHEMA_TOO_NEW", 8],
};

test("a store that is not what was recorded is not restored, and nothing is changed", async () => {
  const home = await start();
  const target = home.path("target");
  mkdirSync(target, { mode: 0o700 });
  for (const [what, [change, code, exit]] of Object.entries(forgeries)) {
    await forge(home, change);
    expect([what, ...codeOf(await home.run(["restore", "forged.tar.gz", "--data", target]))]).toEqual([what, code, exit]);
    expect(readdirSync(target)).toEqual([]);
  }
  // The forger changes nothing by himself.
  await forge(home, {});
  expect(codeOf(await home.run(["restore", "forged.tar.gz", "--data", target]))).toEqual([null, 0]);
}, 120_000);

test("a signal ends a backup or a restore, and leaves nothing of it", async () => {
  const home = await start();
  const store = openSqliteStore({ path: join(home.data, "autokestra.db"), durability: "normal", now: 0 });
  const bytes = new Uint8Array(96 * 1024 * 1024);
  for (let at = 0; at < bytes.byteLength; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  const blob = { sha256: sha256Hex(bytes), bytes, contentType: "application/octet-stream" };
  await store.writeBlobFile(blob);
  await store.commit([{ events: [], opens: new Map(), changes: [], blobs: [blob] }]);
  await store.close();
  const partOf = (folder: string, prefix: string) => existsSync(folder) && readdirSync(folder).some((name) => name.startsWith(prefix));
  for (const [signal, exit] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    const backup = home.start(["backup", "large.tar.gz"]);
    await until(() => (partOf(home.dir, ".large.tar.gz.") ? true : null));
    backup.child.kill(signal);
    expect((await backup.ended).code).toBe(exit);
    expect(partOf(home.dir, ".large.tar.gz.")).toBe(false);
    expect(existsSync(home.path("large.tar.gz"))).toBe(false);
  }
  expect((await home.run(["backup", "large.tar.gz"])).code).toBe(0);
  const target = home.path("target");
  const restore = home.start(["restore", "large.tar.gz", "--data", target]);
  await until(() => (partOf(target, ".restore-") ? true : null));
  restore.child.kill("SIGINT");
  expect((await restore.ended).code).toBe(130);
  expect(readdirSync(target)).toEqual([]);
}, 120_000);
