// One SQLite connection with its settings and its prepared statements. bun:sqlite is synchronous: no call here waits.
import { Database, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { chmodSync } from "node:fs";
import { fail, isCoded } from "../../base/index.ts";

export type Bindings = SQLQueryBindings[] | [Record<string, SQLQueryBindings>];

/** A connection. Statements are prepared once and kept; errors of SQLite become coded errors where they enter. */
export class Connection {
  readonly path: string;
  readonly #db: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(path: string, durability: "full" | "normal") {
    this.path = path;
    try {
      this.#db = new Database(path, { strict: true, create: true });
      if (path !== ":memory:") chmodSync(path, 0o600);
      this.#db.run("pragma busy_timeout = 10000");
      this.#db.run("pragma journal_mode = wal");
      this.#db.run(`pragma synchronous = ${durability}`);
      this.#db.run("pragma foreign_keys = on");
      this.#db.run("pragma trusted_schema = off");
      this.#db.run("pragma wal_autocheckpoint = 2000");
      this.#db.run("pragma cache_size = -16000");
    } catch (cause) {
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

export function storeError(what: string, cause: unknown) {
  const text = cause instanceof Error ? cause.message : String(cause);
  const busy = text.includes("database is locked");
  return fail("STORE_UNAVAILABLE", `${what}: ${text}`, {
    cause,
    hint: busy ? "Another process holds the store for long; try again." : "Check the path, the free disk space and the file's owner and mode.",
  });
}
