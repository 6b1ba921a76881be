// Applies row changes. SQL is built from the table's own column names once per shape and kept prepared.
import { fail } from "../../base/index.ts";
import { type Cell, keyColumns, type RowChange, type TableName } from "../changes.ts";
import type { Connection } from "./database.ts";

const shapes = new Map<string, string>();

/** Applies one change. @throws ALREADY_EXISTS for an insert of a taken key, FOLD_FAILED for an update that hits no row */
export function applyChange(db: Connection, change: RowChange): void {
  switch (change.op) {
    case "insert":
      return insert(db, change.table, change.row as Record<string, Cell>);
    case "put":
      return put(db, change.table, change.row as Record<string, Cell>);
    case "update":
      return update(db, change);
    case "delete":
      db.run(shape("delete", change.table, []), ...keyCells(change.table, change.key));
  }
}

function insert(db: Connection, table: TableName, row: Record<string, Cell>): void {
  const columns = Object.keys(row);
  try {
    db.run(shape("insert", table, columns), ...Object.values(row));
  } catch (cause) {
    if (!String(cause).includes("UNIQUE constraint failed")) throw cause;
    const key = keyColumns[table].map((column) => String(row[column])).join("/");
    throw fail("ALREADY_EXISTS", `Cannot add "${key}" to ${table}: it exists already`, { cause });
  }
}

function put(db: Connection, table: TableName, row: Record<string, Cell>): void {
  db.run(shape("put", table, Object.keys(row)), ...Object.values(row));
}

function update(db: Connection, change: Extract<RowChange, { op: "update" }>): void {
  const columns = Object.keys(change.set);
  const changed = db.run(shape("update", change.table, columns), ...(Object.values(change.set) as Cell[]), ...keyCells(change.table, change.key));
  if (changed !== 1) throw fail("FOLD_FAILED", `Cannot change ${change.table} ${JSON.stringify(change.key)}: ${changed} such rows`);
}

function keyCells(table: TableName, key: object): Cell[] {
  const cells = key as Record<string, Cell>;
  return keyColumns[table].map((column) => cells[column] ?? null);
}

function shape(op: RowChange["op"], table: TableName, columns: readonly string[]): string {
  const name = `${op} ${table} ${columns.join()}`;
  let sql = shapes.get(name);
  if (sql === undefined) {
    sql = build(op, table, columns);
    shapes.set(name, sql);
  }
  return sql;
}

function build(op: RowChange["op"], table: TableName, columns: readonly string[]): string {
  const keys = keyColumns[table];
  const where = keys.map((column) => `"${column}" = ?`).join(" and ");
  const names = columns.map((column) => `"${column}"`).join(", ");
  const insertion = `insert into ${table} (${names}) values (${columns.map(() => "?").join(", ")})`;
  if (op === "insert") return insertion;
  if (op === "put") {
    const rest = columns.filter((column) => !keys.includes(column)).map((column) => `"${column}" = excluded."${column}"`);
    return `${insertion} on conflict (${keys.join(", ")}) do update set ${rest.join(", ")}`;
  }
  if (op === "update") return `update ${table} set ${columns.map((column) => `"${column}" = ?`).join(", ")} where ${where}`;
  return `delete from ${table} where ${where}`;
}
