// Brings a database to this version's schema: numbered migrations, append-only, recorded with their digest.
import { fail, sha256Hex } from "../../base/index.ts";
import type { Connection } from "./database.ts";
import foundation from "./migrations/0001_foundation.sql" with { type: "text" };

export type Migration = { id: number; name: string; sql: string };

/** In order, never changed once released: the digest of each is recorded in the stores that ran it. */
export const migrations: readonly Migration[] = [{ id: 1, name: "foundation", sql: foundation }];

const ledger = `create table if not exists migrations (
  id integer primary key, name text not null, sha256 text not null, applied_at integer not null
) strict`;

/** A migration that older binaries could not live with starts with this mark; the store is copied beside itself first. */
export function isBreaking(migration: Migration): boolean {
  return /^--!\s*breaking\b/m.test(migration.sql);
}

/**
 * Runs what is missing, in one transaction; returns the ids it ran.
 * @throws SCHEMA_TOO_NEW when the store knows migrations that this binary does not; TRACE_CHAIN_BROKEN never: digests that differ are SCHEMA_TOO_NEW too
 */
export function migrate(db: Connection, options: { now: number; list?: readonly Migration[]; backup: (path: string) => void }): number[] {
  const list = options.list ?? migrations;
  db.script(ledger);
  const done = readLedger(db);
  checkKnown(done, list, db.path);
  const missing = list.filter((migration) => !done.has(migration.id));
  if (missing.length === 0) return [];
  if (done.size > 0 && missing.some(isBreaking)) options.backup(`${db.path}.before-${missing.map((m) => m.id).join("-")}`);
  return db.atomically(() => {
    // Another process may have been faster between the look and the lock.
    const now = readLedger(db);
    const run = list.filter((migration) => !now.has(migration.id));
    for (const migration of run) {
      db.script(migration.sql);
      db.run("insert into migrations values (?, ?, ?, ?)", migration.id, migration.name, sha256Hex(migration.sql), options.now);
    }
    return run.map((migration) => migration.id);
  });
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
