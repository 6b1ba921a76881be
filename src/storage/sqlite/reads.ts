// Typed reads of the projections and side tables. Pages go by key, never by OFFSET, except where the API offers it.
import type { ExecutionSelection } from "../ports.ts";
import { keyColumns, type Cell, type KeyOf, type ProjectionName, type RowOf } from "../changes.ts";
import type { Connection } from "./database.ts";

type Filter = { parts: string[]; bindings: (string | number)[] };

function filter(): Filter & { add(sql: string, ...values: (string | number)[]): void } {
  const parts: string[] = ["1 = 1"];
  const bindings: (string | number)[] = [];
  return {
    parts,
    bindings,
    add: (sql, ...values) => {
      parts.push(sql);
      bindings.push(...values);
    },
  };
}

function addLabel(where: ReturnType<typeof filter>, label: { name: string; value: string | null } | undefined): void {
  if (label === undefined) return;
  const path = `$."${label.name.replaceAll('"', "")}"`;
  if (label.value === null) where.add("json_extract(labels, ?) is not null", path);
  else where.add("json_extract(labels, ?) = ?", path, label.value);
}

export function selectWorkflows(
  db: Connection,
  selection: { enabled?: boolean; label?: { name: string; value: string | null }; afterId?: string; limit: number },
): RowOf<"workflows">[] {
  const where = filter();
  if (selection.enabled !== undefined) where.add("enabled = ?", selection.enabled ? 1 : 0);
  if (selection.afterId !== undefined) where.add("id > ?", selection.afterId);
  addLabel(where, selection.label);
  return db.all(`select * from workflows where ${where.parts.join(" and ")} order by id limit ?`, ...where.bindings, selection.limit);
}

export function selectExecutions(db: Connection, selection: ExecutionSelection): RowOf<"executions">[] {
  const where = filter();
  if (selection.workflow !== undefined) where.add("workflow = ?", selection.workflow);
  if (selection.states !== undefined) where.add(`state in (${selection.states.map(() => "?").join(", ")})`, ...selection.states);
  if (selection.trigger !== undefined) where.add("(trigger_type = ? or trigger_id = ?)", selection.trigger, selection.trigger);
  if (selection.since !== undefined) where.add("created_at >= ?", selection.since);
  if (selection.until !== undefined) where.add("created_at < ?", selection.until);
  addLabel(where, selection.label);
  if (selection.before !== undefined) where.add("(created_at, execution_id) < (?, ?)", selection.before.createdAt, selection.before.executionId);
  const page = selection.offset === undefined ? "" : ` offset ${Math.trunc(selection.offset)}`;
  const sql = `select * from executions where ${where.parts.join(" and ")} order by created_at desc, execution_id desc limit ?${page}`;
  return db.all(sql, ...where.bindings, selection.limit);
}

export function selectUnfinished(db: Connection, selection: { states?: readonly string[]; limit: number }): RowOf<"executions">[] {
  const where = filter();
  where.add("ended_at is null");
  if (selection.states !== undefined) where.add(`state in (${selection.states.map(() => "?").join(", ")})`, ...selection.states);
  return db.all(
    `select * from executions where ${where.parts.join(" and ")} order by created_at, execution_id limit ?`,
    ...where.bindings,
    selection.limit,
  );
}

export function countByState(db: Connection): Record<string, number> {
  return Object.fromEntries(
    db.all<{ state: string; n: number }>("select state, count(*) as n from executions group by state").map((row) => [row.state, row.n]),
  );
}

export function selectOfTasks<T extends "task_runs" | "attempts">(
  db: Connection,
  table: T,
  executionId: string,
  tasks?: readonly string[],
): RowOf<T>[] {
  const names = tasks === undefined ? "" : ` and task in (${tasks.map(() => "?").join(", ")})`;
  const order = table === "attempts" ? "task, item_index, attempt" : "task, item_index";
  return db.all(`select * from ${table} where execution_id = ?${names} order by ${order}`, executionId, ...(tasks ?? []));
}

export function dumpTable<T extends ProjectionName>(db: Connection, table: T, after: KeyOf<T> | null, limit: number): RowOf<T>[] {
  const keys = keyColumns[table];
  const columns = keys.join(", ");
  const cells = after === null ? [] : keys.map((column) => (after as Record<string, Cell>)[column] ?? null);
  const where = after === null ? "" : ` where (${columns}) > (${keys.map(() => "?").join(", ")})`;
  return db.all(`select * from ${table}${where} order by ${columns} limit ?`, ...cells, limit);
}
