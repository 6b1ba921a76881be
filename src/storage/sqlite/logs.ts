// Log lines of task runs: appended in order, read newest or oldest first by keyset.
import { fail } from "../../base/index.ts";
import type { LogLevel, LogLine, LogSelection, LogSource, StoredLog } from "../ports.ts";
import type { Connection } from "./database.ts";

const levels: readonly LogLevel[] = ["DEBUG", "INFO", "WARN", "ERROR"];
const sources: readonly LogSource[] = ["stdout", "stderr", "engine"];
const insertLog =
  "insert into logs (trace, task, item_index, attempt, time, level, source, message, metadata) values (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/** Inside the caller's transaction. @throws EXECUTION_NOT_FOUND */
export function insertLogs(db: Connection, lines: readonly LogLine[]): number[] {
  const ordinals = new Map<string, number>();
  const statement = db.statement(insertLog);
  return lines.map((line) => {
    const trace = ordinals.get(line.executionId) ?? traceOf(db, line.executionId);
    ordinals.set(line.executionId, trace);
    const result = statement.run(
      trace, line.task, line.itemIndex, line.attempt, line.time, levels.indexOf(line.level), sources.indexOf(line.source), line.message, line.metadata,
    );
    return Number(result.lastInsertRowid);
  });
}

function traceOf(db: Connection, executionId: string): number {
  const row = db.get<{ ordinal: number }>("select ordinal from traces where trace_id = ?", executionId);
  if (row === null) throw fail("EXECUTION_NOT_FOUND", `Cannot log for execution "${executionId}": no such execution`);
  return row.ordinal;
}

type LogRow = {
  id: number; task: string | null; item_index: number | null; attempt: number | null; time: number; level: number; source: number; message: string; metadata: string | null;
};

export function selectLogs(db: Connection, selection: LogSelection): StoredLog[] {
  const row = db.get<{ ordinal: number }>("select ordinal from traces where trace_id = ?", selection.executionId);
  if (row === null) return [];
  const parts = ["trace = ?"];
  const bindings: (string | number)[] = [row.ordinal];
  const add = (sql: string, value: string | number) => {
    parts.push(sql);
    bindings.push(value);
  };
  if (selection.task !== undefined) add("task = ?", selection.task);
  if (selection.levels !== undefined) parts.push(`level in (${selection.levels.map((level) => levels.indexOf(level)).join(", ")})`);
  if (selection.sources !== undefined) parts.push(`source in (${selection.sources.map((source) => sources.indexOf(source)).join(", ")})`);
  if (selection.since !== undefined) add("time >= ?", selection.since);
  if (selection.search !== undefined) add("instr(message, ?) > 0", selection.search);
  if (selection.afterId !== undefined) add(selection.order === "asc" ? "id > ?" : "id < ?", selection.afterId);
  const offset = selection.offset === undefined ? "" : ` offset ${Math.trunc(selection.offset)}`;
  const sql = `select id, task, item_index, attempt, time, level, source, message, metadata from logs where ${parts.join(" and ")} order by id ${selection.order} limit ${Math.trunc(selection.limit)}${offset}`;
  return db.all<LogRow>(sql, ...bindings).map((found) => ({
    id: found.id, executionId: selection.executionId, task: found.task, itemIndex: found.item_index, attempt: found.attempt, time: found.time,
    level: levels[found.level] ?? "INFO", source: sources[found.source] ?? "engine", message: found.message, metadata: found.metadata,
  }));
}
