// One SQLite connection with its settings and its prepared statements. bun:sqlite is synchronous: no call here waits.
import { Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { chmodSync } from "node:fs";
import { fail, isCoded } from "../../base/index.ts";

export type Bindings = SQLQueryBindings[] | [Record<string, SQLQueryBindings>];

const walTriesMax = 100;

/** Processes that open a new store at once get in each other's way here, and SQLite does not wait: taking the write lock does. */
function switchToWal(db: Database): void {
  for (let tries = 1; ; tries += 1) {
    try {
      db.run("pragma journal_mode = wal");
      return;
    } catch (cause) {
      if (tries === walTriesMax || !isBusy(cause)) throw cause;
      db.run("begin immediate");
      db.run("rollback");
    }
  }
}

/**
 * Of a new file, before anything is in it: pages of what is removed can then be given back (docs/cleanup.md). An older file is left
 * as it is: the setting would wait for the write lock, to no effect.
 */
function makeShrinkable(db: Database): void {
  if (db.query<{ page_count: number }, []>("pragma page_count").get()?.page_count === 0) db.run("pragma auto_vacuum = incremental");
}

function isBusy(cause: unknown): boolean {
  return cause instanceof SQLiteError && (cause.code ?? "").startsWith("SQLITE_BUSY");
}

function settingsOf(durability: "full" | "normal"): string[] {
  return [
    `synchronous = ${durability}`,
    "foreign_keys = on",
    "trusted_schema = off",
    "wal_autocheckpoint = 2000",
    "cache_size = -16000",
    // What a statement needs to take itself back would else go through a temporary file.
    "temp_store = memory",
  ];
}

/** A connection. Statements are prepared once and kept; errors of SQLite become coded errors where they enter. */
export class Connection {
  readonly path: string;
  readonly #db: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(path: string, durability: "full" | "normal") {
    this.path = path;
    let db: Database | null = null;
    try {
      db = new Database(path, { strict: true, create: true });
      if (path !== ":memory:") chmodSync(path, 0o600);
      // The wait for a lock comes first, so that all that follows has it.
      db.run("pragma busy_timeout = 10000");
      makeShrinkable(db);
      switchToWal(db);
      for (const setting of settingsOf(durability)) db.run(`pragma ${setting}`);
      this.#db = db;
    } catch (cause) {
      db?.close();
      throw storeError(`Cannot open the store "${path}"`, cause);
    }
  }

  statement(sql: string): Statement {
    let found = this.#statements.get(sql);
    if (found === undefined) {
      found = this.#db.prepare(sql);
      this.#statements.set(sql, found);
    }
    return found;
  }

  run(sql: string, ...bindings: Bindings): number {
    return this.statement(sql).run(...bindings).changes;
  }

  get<R>(sql: string, ...bindings: Bindings): R | null {
    return this.statement(sql).get(...bindings) as R | null;
  }

  all<R>(sql: string, ...bindings: Bindings): R[] {
    return this.statement(sql).all(...bindings) as R[];
  }

  /** Several statements without bindings: migrations. */
  script(sql: string): void {
    this.#db.exec(sql);
  }

  /** Runs work in one immediate transaction; rolls back when it throws. Not for use across an await: work is synchronous. */
  atomically<R>(work: () => R): R {
    this.begin();
    try {
      const result = work();
      this.run("commit");
      return result;
    } catch (cause) {
      if (this.#db.inTransaction) this.run("rollback");
      throw isCoded(cause) ? cause : storeError("Cannot write to the store", cause);
    }
  }

  begin(): void {
    try {
      this.run("begin immediate");
    } catch (cause) {
      throw storeError("Cannot write to the store", cause);
    }
  }

  close(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#statements.clear();
    // Truncates the WAL when this is the last connection, so that the file alone is the store.
    this.#db.close(false);
  }
}

/** Whether SQLite refused a row, as opposed to being unable to write it. */
export function isConstraint(cause: unknown): boolean {
  return cause instanceof SQLiteError && (cause.code ?? "").startsWith("SQLITE_CONSTRAINT");
}

export function storeError(what: string, cause: unknown) {
  const text = cause instanceof Error ? cause.message : String(cause);
  return fail("STORE_UNAVAILABLE", `${what}: ${text}`, {
    cause,
    hint: isBusy(cause)
      ? "Another process holds the store for long; try again."
      : "Check the path, the free disk space and the file's owner and mode.",
  });
}
