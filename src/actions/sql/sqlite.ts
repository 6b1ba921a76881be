// SQLite: the file opened as little as needed, statements in one transaction.
import { constants, Database, SQLiteError } from "bun:sqlite";
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Json } from "../../base/index.ts";
import { failure } from "../shared/failure.ts";
import { resolvePath } from "../shared/paths.ts";
import { floatOf, integerOf, rowOf, type StatementResult } from "./rows.ts";
import type { Statement } from "./statement.ts";

export type SqliteAsk = { path: string; readOnly: boolean; isTransaction: boolean; maxRows: number };

/** Others may hold the file for a moment. */
const busyMs = 5000;

/** @throws SQL_FAILED, SQL_UNREACHABLE, TASK_INPUT_INVALID */
export function runSqlite(ask: SqliteAsk, statements: readonly Statement[]): StatementResult[] {
  const database = open(ask);
  try {
    database.run(`pragma busy_timeout = ${busyMs}`);
    if (ask.readOnly) database.run("pragma query_only = on");
    if (ask.isTransaction) database.run(ask.readOnly ? "begin" : "begin immediate");
    const results = statements.map((statement, index) => runOne(database, statement, { index, maxRows: ask.maxRows }));
    if (ask.isTransaction) database.run("commit");
    return results;
  } catch (cause) {
    if (database.inTransaction) database.run("rollback");
    if (cause instanceof SQLiteError) throw failedStatement(cause, ask.path, null);
    throw cause;
  } finally {
    database.close();
  }
}

function open({ path, readOnly }: SqliteAsk): Database {
  if (path === ":memory:") return new Database(":memory:");
  const file = resolvePath(path);
  if (readOnly && !existsSync(file)) throw failure("FILE_NOT_FOUND", `Cannot open the database "${path}": no such file`, { retryable: false });
  try {
    const database = new Database(file, readOnly ? { readonly: true } : { create: true, readwrite: true });
    if (!readOnly || canRead(database)) return database;
    database.close();
    // A database in WAL mode that nobody has open needs files beside it, which a reader cannot make; then nobody changes it either.
    const { SQLITE_OPEN_READONLY, SQLITE_OPEN_URI } = constants;
    return new Database(`${pathToFileURL(file).href}?immutable=1`, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  } catch (cause) {
    throw failure("SQL_UNREACHABLE", `Cannot open the database "${path}": ${(cause as Error).message}`, {
      details: { path, cause: (cause as { code?: string }).code ?? null },
      hint: readOnly
        ? "Grant its folder: filesystem: { read: […] }."
        : "Grant its folder, where SQLite keeps its journal too: filesystem: { write: […] }.",
      retryable: false,
    });
  }
}

function canRead(database: Database): boolean {
  try {
    database.run("select 1 from sqlite_schema limit 1");
    return true;
  } catch (cause) {
    return !/^SQLITE_(?:CANTOPEN|READONLY)/.test((cause as { code?: string }).code ?? "");
  }
}

function runOne(database: Database, { query, params }: Statement, { index, maxRows }: { index: number; maxRows: number }): StatementResult {
  let statement: ReturnType<Database["prepare"]> | null = null;
  try {
    statement = database.prepare(query).safeIntegers(true);
    const columns = [...statement.columnNames];
    const bound = params.map(toSqlite);
    if (columns.length === 0) return { rows: [], rowCount: statement.run(...bound).changes, columns, truncated: false };
    const result: StatementResult = { rows: [], rowCount: 0, columns, truncated: false };
    // All rows are run through, so that `returning` changes every row that it should.
    for (const row of statement.iterate(...bound)) {
      if (result.rows.length < maxRows) result.rows.push(rowOf(columns, Object.values(row as object).map(fromSqlite)));
      else result.truncated = true;
    }
    result.rowCount = result.rows.length;
    return result;
  } catch (cause) {
    throw cause instanceof SQLiteError || cause instanceof RangeError || cause instanceof TypeError ? failedStatement(cause, null, index) : cause;
  } finally {
    // One that is left open keeps its locks beyond the connection's end.
    statement?.finalize();
  }
}

function toSqlite(value: Json): string | bigint | number | null {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === "boolean") return value ? 1n : 0n;
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

function fromSqlite(value: unknown): Json {
  if (typeof value === "bigint") return integerOf(value);
  if (typeof value === "number") return floatOf(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return typeof value === "string" ? value.toWellFormed() : ((value ?? null) as Json);
}

function failedStatement(cause: Error, path: string | null, index: number | null): Error {
  const code = (cause as { code?: string }).code ?? null;
  const isBusy = code?.startsWith("SQLITE_BUSY") === true || code?.startsWith("SQLITE_LOCKED") === true;
  return failure("SQL_FAILED", `The database refused a statement: ${cause.message}`, {
    details: { cause: code, ...(index === null ? {} : { statement: index }), ...(path === null ? {} : { path }) },
    ...(/^SQLITE_(?:CANTOPEN|READONLY)/.test(code ?? "") ? { hint: "SQLite writes its journal into the database's folder: grant that too." } : {}),
    retryable: isBusy,
  });
}
