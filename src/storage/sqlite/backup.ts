// Copies of a whole database file: made while others write, described, and held so that nobody else has the file open.
import { Database, SQLiteError } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { fail } from "../../base/index.ts";
import { Connection, storeError } from "./database.ts";

/** What a copy holds, for the one who takes it elsewhere. */
export type CopySummary = {
  /** Number of the last migration that it has run. */
  schema: number;
  systemTraceId: string;
  lastSeq: number;
  /** Hash of the last event; null where there is none. */
  lastHash: string | null;
  events: number;
  executions: number;
  /** Blobs of both kinds. */
  blobs: number;
  /** Of the key that its secrets are encrypted with. */
  keyId: string | null;
  /** Where that key comes from: `file`, or a form of the environment's. */
  keySource: string | null;
  /** Blobs that are files beside the database. */
  blobFiles: { sha256: string; size: number }[];
};

/** Of one moment, on a connection of its own: writers are not kept waiting, in this process or others. `target` must not exist. */
export function copyTo(db: Connection, target: string): void {
  closeSync(openSync(target, "wx", 0o600));
  // A store in memory is seen by its own connection alone.
  const reader = db.path === ":memory:" ? db : new Connection(db.path, "full");
  try {
    reader.run("vacuum into ?", target);
  } finally {
    if (reader !== db) reader.close();
  }
}

/** Reads a copy that nobody writes to. @throws STORE_UNAVAILABLE when it is no store */
export function describeSqliteCopy(path: string): CopySummary {
  let db: Database | null = null;
  try {
    const reader = new Database(path, { readonly: true, strict: true });
    db = reader;
    const number = (sql: string) => Object.values(reader.query<Record<string, number>, []>(sql).get() ?? {})[0] ?? 0;
    const state = reader.query<{ last_seq: number; system_trace: string }, []>("select last_seq, system_trace from ledger_state").get();
    const last = reader.query<{ hash: string }, [number]>("select lower(hex(hash)) as hash from events where seq = ?").get(state?.last_seq ?? 0);
    const key = reader.query<{ key_id: string; source: string }, []>("select key_id, source from secret_key").get();
    const files = "select sha256, size from blobs where bytes is null order by sha256";
    return {
      schema: number("select max(id) from migrations"),
      systemTraceId: state?.system_trace ?? "",
      lastSeq: state?.last_seq ?? 0,
      lastHash: last?.hash ?? null,
      events: number("select count(*) from events"),
      executions: number("select count(*) from executions"),
      blobs: number("select count(*) from blobs"),
      keyId: key?.key_id ?? null,
      keySource: key?.source ?? null,
      blobFiles: reader.query<{ sha256: string; size: number }, []>(files).all(),
    };
  } catch (cause) {
    throw storeError(`Cannot read the store "${path}"`, cause);
  } finally {
    db?.close();
  }
}

/**
 * Keeps a database file for this process alone until `release`, its log written into it: every connection of whichever process
 * holds a lock on the file for as long as it is open. A file that is no database cannot be held, nor used by anybody.
 * @throws STORE_IN_USE after `waitMs`
 */
export function holdSqlite(path: string, { waitMs }: { waitMs: number }): { release(): void } {
  let db: Database | null = null;
  try {
    db = new Database(path, { readwrite: true, create: true, strict: true });
    db.run(`pragma busy_timeout = ${waitMs}`);
    const answer = db.query<{ journal_mode: string }, []>("pragma journal_mode = delete").get();
    if (answer?.journal_mode === "wal") throw inUse(path, null);
    db.run("begin exclusive");
    const held = db;
    return { release: () => held.close() };
  } catch (cause) {
    db?.close();
    if (cause instanceof SQLiteError && !(cause.code ?? "").startsWith("SQLITE_BUSY")) return { release: () => undefined };
    throw cause instanceof SQLiteError ? inUse(path, cause) : cause;
  }
}

function inUse(path: string, cause: unknown) {
  return fail("STORE_IN_USE", `Cannot have the store "${path}" alone: another process has it open`, {
    cause,
    hint: "Stop the servers and runs that use this store, then try again.",
  });
}
