// The schema of a fresh store as text, so that a migration shows as a difference. Run this file to write it after one.
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../../../src/storage/index.ts";

export const schemaPath = join(import.meta.dir, "../../../src/storage/sqlite/schema.sql");

export async function renderSchema(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "schema-"));
  const path = join(folder, "store.db");
  await openSqliteStore({ path, durability: "normal", now: 0 }).close();
  const db = new Database(path, { readonly: true });
  const rows = db.query<{ sql: string }, []>("select sql from sqlite_schema where sql is not null order by tbl_name, type desc, name").all();
  db.close();
  rmSync(folder, { recursive: true });
  const texts = rows.map(({ sql }) => `${sql.replace(/^CREATE (TABLE|INDEX|UNIQUE INDEX|TRIGGER)/, (words) => words.toLowerCase())};\n`);
  return ["-- What all migrations together make. Written by tests/unit/storage/schema.ts; change a migration instead.\n", ...texts].join("\n");
}

if (import.meta.main) await Bun.write(schemaPath, await renderSchema());
