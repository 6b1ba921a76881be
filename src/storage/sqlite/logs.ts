// Log lines of task runs: appended in order, read newest or oldest first by keyset.
import { fail } from "../../base/index.ts";
import type { LogLevel, LogLine, LogSelection, LogSource, StoredLog } from "../ports.ts";
import type { Connection } from "./database.ts";

const levels: readonly LogLevel[] = ["DEBUG", "INFO", "WARN", "ERROR"];
const sources: readonly LogSource[] = ["stdout", "stderr", "engine"];
const insertLog = "insert into logs (trace, task, item_index, attempt, time, level, source, message, metadata) values (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/** Inside the caller's transaction. @throws EXECUTION_NOT_FOUND */
export function insertLogs(db: Connection, lines: readonly LogLine[]): number[] {
  const ordinals = new Map<string, number>();
  const statement = db.statement(insertLog);
  return lines.map((line) => {
    const trace = ordinals.get(line.executionId) ?? traceOf(db, line.executionId);
    ordinals.set(line.executionId, trace);
    const result = statement.run(
      trace,
      line.task,
      line.itemIndex,
      line.attempt,
      line.time,
      levels.indexOf(line.level),
      sources.indexOf(line.source),
      line.message,
      line.metadata,
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
  id: number;
  task: string | null;
  item_index: number | null;
  attempt: number | null;
  time: number;
  level: number;
  source: number;
  message: string;
  metadata: string | null;
};

const logColumns = "id, task, item_index, attempt, time, level, source, message, metadata";

/** One search per level, each of which an index answers in order: a search for several at once would walk past all other lines. */
export function selectLogs(db: Connection, selection: LogSelection): StoredLog[] {
  const row = db.get<{ ordinal: number }>("select ordinal from traces where trace_id = ?", selection.executionId);
  if (row === null) return [];
  const wanted = selection.levels === undefined ? [null] : [...new Set(selection.levels)];
  if (wanted.length === 0) return [];
  const skip = Math.trunc(selection.offset ?? 0);
  const take = Math.trunc(selection.limit);
  const { where, bindings } = conditions(row.ordinal, selection);
  const searches = wanted.map((level) => {
    const ofLevel = level === null ? "" : ` and level = ${levels.indexOf(level)}`;
    return `select * from (select ${logColumns} from logs where ${where}${ofLevel} order by id ${selection.order} limit ${skip + take})`;
  });
  const sql = `${searches.join(" union all ")} order by id ${selection.order} limit ${take} offset ${skip}`;
  const found = db.all<LogRow>(sql, ...wanted.flatMap(() => bindings));
  return found.map((line) => toStored(selection.executionId, line));
}

function conditions(trace: number, selection: LogSelection): { where: string; bindings: (string | number)[] } {
  const parts = ["trace = ?"];
  const bindings: (string | number)[] = [trace];
  const add = (sql: string, value: string | number) => {
    parts.push(sql);
    bindings.push(value);
  };
  if (selection.task !== undefined) add("task = ?", selection.task);
  if (selection.sources !== undefined) parts.push(`source in (${selection.sources.map((source) => sources.indexOf(source)).join(", ")})`);
  if (selection.since !== undefined) add("time >= ?", selection.since);
  if (selection.search !== undefined) add("instr(message, ?) > 0", selection.search);
  if (selection.afterId !== undefined) add(selection.order === "asc" ? "id > ?" : "id < ?", selection.afterId);
  return { where: parts.join(" and "), bindings };
}

function toStored(executionId: string, line: LogRow): StoredLog {
  return {
    id: line.id,
    executionId,
    task: line.task,
    itemIndex: line.item_index,
    attempt: line.attempt,
    time: line.time,
    level: levels[line.level] ?? "INFO",
    source: sources[line.source] ?? "engine",
    message: line.message,
    metadata: line.metadata,
  };
}
