// Looks at a database file without changing it: whether it is whole, and whose schema it has.
import { Database } from "bun:sqlite";
import { sha256Hex } from "../../base/index.ts";
import { storeError } from "./database.ts";
import { migrations } from "./migrate.ts";

export type StoreInspection = {
  /** What SQLite's own check found, the first few. */
  damage: string[];
  /** Migrations that this version knows and the store has not run. */
  missing: number[];
  /** Migrations that the store has run and this version does not know, or knows otherwise; null: it is no store of ours. */
  unknown: number[] | null;
};

const damageMax = 10;

/** Reads every page of the file; `thorough` also holds every index against its table. @throws STORE_UNAVAILABLE when it cannot be opened at all */
export function inspectSqlite(path: string, { thorough }: { thorough: boolean } = { thorough: false }): StoreInspection {
  let db: Database | null = null;
  try {
    db = new Database(path, { readonly: true });
    db.run("pragma busy_timeout = 10000");
    const check = thorough ? "integrity_check" : "quick_check";
    const found = db.query<Record<string, string>, []>(`pragma ${check}(${damageMax})`).all();
    const damage = found.map((row) => row[check] ?? "").filter((text) => text !== "ok");
    if (db.query("select 1 from sqlite_schema where name = 'migrations'").get() === null) return { damage, missing: [], unknown: null };
    const done = db.query<{ id: number; sha256: string }, []>("select id, sha256 from migrations").all();
    const known = new Map(migrations.map((migration) => [migration.id, sha256Hex(migration.sql)]));
    return {
      damage,
      missing: [...known.keys()].filter((id) => !done.some((row) => row.id === id)),
      unknown: done.filter((row) => known.get(row.id) !== row.sha256).map((row) => row.id),
    };
  } catch (cause) {
    throw storeError(`Cannot read the store "${path}"`, cause);
  } finally {
    db?.close();
  }
}
