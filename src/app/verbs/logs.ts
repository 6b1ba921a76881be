// Verbs on logs: pages newest first, and streams that end with their execution.
import { fail, toIso } from "../../base/index.ts";
import { isTerminal, type LogItem, logLevels, type LogPage, logSources } from "../../model/index.ts";
import type { LogSelection, StoredLog } from "../../storage/index.ts";
import { openBell } from "../../trace/index.ts";
import type { AppContext } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { LogQuery, LogStreamQuery } from "../facade.ts";
import { requireExecution } from "./executions.ts";

const streamPage = 500;

export async function listLogs(context: AppContext, query: LogQuery): Promise<LogPage> {
  await requireExecution(context, query.executionId, "show the logs of");
  const size = pageSize(query.limit);
  const order = query.order ?? "desc";
  const selection: LogSelection = { ...selectionOf(query), order, limit: size + 1 };
  if (query.cursor !== undefined) {
    const [made, id] = readCursor(query.cursor, ["string", "number"]);
    if (made !== order)
      throw fail("BAD_REQUEST", `Cannot continue at cursor "${query.cursor.slice(0, 80)}": it was given out for another order than ${order}`);
    selection.afterId = Number(id);
  }
  if (query.offset !== undefined) selection.offset = query.offset;
  const rows = await context.store.listLogs(selection);
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return { items: page.map(toItem), nextCursor: rows.length > size && last !== undefined ? writeCursor([order, last.id]) : null };
}

export async function* streamLogs(context: AppContext, query: LogStreamQuery, signal: AbortSignal): AsyncGenerator<LogItem> {
  await requireExecution(context, query.executionId, "follow the logs of");
  const base = selectionOf(query);
  let after = query.sinceId ?? 0;
  const bell = openBell(context.ledger, signal);
  try {
    while (!signal.aborted) {
      const ring = bell.next();
      // Looked at before the lines: what was logged before the end is then surely in the page.
      const execution = await context.store.findExecution(query.executionId);
      const rows = await context.store.listLogs({ ...base, order: "asc", afterId: after, limit: streamPage });
      for (const row of rows) {
        if (signal.aborted) return;
        after = row.id;
        yield toItem(row);
      }
      if (rows.length === streamPage) continue;
      if (execution === null || isTerminal(execution.state)) return;
      await ring;
    }
  } finally {
    bell.close();
  }
}

function selectionOf(query: LogStreamQuery): Pick<LogSelection, "executionId" | "task" | "levels" | "sources" | "since" | "search"> {
  const selection: ReturnType<typeof selectionOf> = { executionId: query.executionId };
  if (query.taskId !== undefined) selection.task = query.taskId;
  if (query.level !== undefined) selection.levels = parseLevels(query.level);
  if (query.source !== undefined) selection.sources = query.source.map(parseSource);
  if (query.since !== undefined) selection.since = query.since;
  if (query.search !== undefined) selection.search = query.search;
  return selection;
}

/** `ERROR`, `info,warn`, or a floor `WARN+`. @throws BAD_REQUEST */
function parseLevels(text: string): (typeof logLevels)[number][] {
  return text.split(",").flatMap((part) => {
    const isFloor = part.endsWith("+");
    const at = logLevels.findIndex((level) => level === part.replace(/\+$/, "").trim().toUpperCase());
    if (at < 0) throw fail("BAD_REQUEST", `Cannot filter by level "${part}": it is none of ${logLevels.join(", ")}`);
    return isFloor ? logLevels.slice(at) : logLevels.slice(at, at + 1);
  });
}

function parseSource(text: string): (typeof logSources)[number] {
  const found = logSources.find((source) => source === text.toLowerCase());
  if (found === undefined) throw fail("BAD_REQUEST", `Cannot filter by source "${text}": it is none of ${logSources.join(", ")}`);
  return found;
}

function toItem(row: StoredLog): LogItem {
  return {
    id: row.id,
    time: toIso(row.time),
    level: row.level,
    source: row.source,
    taskId: row.task,
    itemIndex: row.itemIndex,
    attempt: row.attempt,
    message: row.message,
    metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as LogItem["metadata"]),
  };
}
