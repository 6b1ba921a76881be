// Brings a database to this version's schema: numbered migrations, append-only, recorded with their digest.
import { closeSync, openSync, rmSync } from "node:fs";
import { fail, sha256Hex } from "../../base/index.ts";
import { Connection } from "./database.ts";
import pluginApprovals from "./migrations/0002_plugin_approvals.sql" with { type: "text" };
import secrets from "./migrations/0003_secrets.sql" with { type: "text" };
import dueRuns from "./migrations/0004_due_runs.sql" with { type: "text" };
import deliveries from "./migrations/0005_deliveries.sql" with { type: "text" };
import removal from "./migrations/0007_removal.sql" with { type: "text" };
import foundation from "./migrations/0001_foundation.sql" with { type: "text" };

export type Migration = { id: number; name: string; sql: string };

/** In order, never changed once released: the digest of each is recorded in the stores that ran it. */
export const migrations: readonly Migration[] = [
  { id: 1, name: "foundation", sql: foundation },
  { id: 2, name: "plugin_approvals", sql: pluginApprovals },
  { id: 3, name: "secrets", sql: secrets },
  { id: 4, name: "due_runs", sql: dueRuns },
  { id: 5, name: "deliveries", sql: deliveries },
  { id: 7, name: "removal", sql: removal },
];

const ledger = `create table if not exists migrations (
  id integer primary key, name text not null, sha256 text not null, applied_at integer not null
) strict`;

/** A migration that older binaries could not live with starts with this mark; the store is copied beside itself first. */
export function isBreaking(migration: Migration): boolean {
  return /^--!\s*breaking\b/m.test(migration.sql);
}

/**
 * Runs what is missing, in one transaction; returns the ids it ran.
 * @throws SCHEMA_TOO_NEW when the store ran migrations that this binary does not know, or knows with another text
 */
export function migrate(db: Connection, options: { now: number; list?: readonly Migration[] }): number[] {
  const list = options.list ?? migrations;
  // Looked at before locking: opening a store that is up to date must not wait for one who writes.
  if (hasLedger(db) && findMissing(db, list).missing.length === 0) return [];
  return db.atomically(() => {
    db.run(ledger);
    const { done, missing } = findMissing(db, list);
    if (done > 0 && missing.some(isBreaking)) backUp(db.path, `${db.path}.before-${missing.map((migration) => migration.id).join("-")}`);
    for (const migration of missing) {
      db.script(migration.sql);
      db.run("insert into migrations values (?, ?, ?, ?)", migration.id, migration.name, sha256Hex(migration.sql), options.now);
    }
    return missing.map((migration) => migration.id);
  });
}

/** Copies the store as it was before the transaction: a second connection sees nothing of it, and the lock keeps all others out. */
function backUp(path: string, target: string): void {
  if (path === ":memory:") return;
  rmSync(target, { force: true });
  closeSync(openSync(target, "wx", 0o600));
  const reader = new Connection(path, "full");
  try {
    reader.run("vacuum into ?", target);
  } finally {
    reader.close();
  }
}

function hasLedger(db: Connection): boolean {
  return db.get("select 1 from sqlite_schema where name = 'migrations'") !== null;
}

function findMissing(db: Connection, list: readonly Migration[]): { done: number; missing: Migration[] } {
  const done = readLedger(db);
  checkKnown(done, list, db.path);
  return { done: done.size, missing: list.filter((migration) => !done.has(migration.id)) };
}

function readLedger(db: Connection): Map<number, string> {
  return new Map(db.all<{ id: number; sha256: string }>("select id, sha256 from migrations").map((row) => [row.id, row.sha256]));
}

function checkKnown(done: Map<number, string>, list: readonly Migration[], path: string): void {
  const known = new Map(list.map((migration) => [migration.id, sha256Hex(migration.sql)]));
  for (const [id, digest] of done) {
    if (known.get(id) === digest) continue;
    throw fail("SCHEMA_TOO_NEW", `Cannot open the store "${path}": migration ${id} is not one that this version knows`, {
      hint: "Use the version of `workflow` that wrote this store, or a newer one.",
    });
  }
}
