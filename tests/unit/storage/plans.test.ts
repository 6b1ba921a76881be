// Hot queries go by an index and sort nothing: their cost must not grow with the store.
import { afterAll, describe, expect, test } from "bun:test";
import { Connection } from "../../../src/storage/sqlite/database.ts";
import { findEvent, findTrace, selectEvents, selectTraces } from "../../../src/storage/sqlite/events.ts";
import { selectLogs } from "../../../src/storage/sqlite/logs.ts";
import { migrate } from "../../../src/storage/sqlite/migrate.ts";
import { selectExecutions, selectOfTasks, selectUnfinished } from "../../../src/storage/sqlite/reads.ts";
import type { Bindings } from "../../../src/storage/sqlite/database.ts";
import type { LogSelection } from "../../../src/storage/index.ts";
import { nextId, startedAt } from "../../contract/requests.ts";

const db = new Connection(":memory:", "normal");
migrate(db, { now: startedAt });
const traceId = nextId();
db.run("insert into traces (trace_id, subject, subject_id, events, last_hash, last_time) values (?, 'execution', ?, 0, x'00', 0)", traceId, traceId);
afterAll(() => db.close());

/** The plans of all that a read asks the database. */
function plansOf(read: (db: Connection) => unknown): string {
  const plans: string[] = [];
  const explain = (sql: string, bindings: Bindings) =>
    plans.push(...db.all<{ detail: string }>(`explain query plan ${sql}`, ...bindings).map((row) => row.detail));
  const recorder = {
    all: (sql: string, ...bindings: Bindings) => (explain(sql, bindings), db.all(sql, ...bindings)),
    get: (sql: string, ...bindings: Bindings) => (explain(sql, bindings), db.get(sql, ...bindings)),
  };
  read(recorder as unknown as Connection);
  return plans.join("\n");
}

const logs = (over: Partial<LogSelection>) => (on: Connection) => selectLogs(on, { executionId: traceId, order: "desc", limit: 50, ...over });

const hot: [string, (on: Connection) => unknown, string][] = [
  ["events of a trace", (on) => selectEvents(on, { traceId, limit: 50 }), "events_by_trace (trace=?)"],
  ["events of a trace after one", (on) => selectEvents(on, { traceId, afterSequence: 5, limit: 50 }), "events_by_trace (trace=? AND sequence>?)"],
  ["events of a trace by severity", (on) => selectEvents(on, { traceId, severity: "warn", limit: 50 }), "events_by_trace (trace=?)"],
  ["all events after one", (on) => selectEvents(on, { afterSeq: 5, limit: 50 }), "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)"],
  [
    "all events of a type after one",
    (on) => selectEvents(on, { afterSeq: 5, types: ["a"], limit: 50 }),
    "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)",
  ],
  [
    "the newest events of a type and severity between two",
    (on) => selectEvents(on, { afterSeq: 5, beforeSeq: 500, types: ["a", "b"], severity: "warn", order: "desc", limit: 50 }),
    "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
  ],
  ["an event by id", (on) => findEvent(on, nextId()), "events_by_id (event_id=?)"],
  ["a trace's head", (on) => findTrace(on, traceId), "(trace_id=?)"],
  ["traces", (on) => selectTraces(on, { limit: 50 }), "INTEGER PRIMARY KEY (rowid<?)"],
  ["traces by subject", (on) => selectTraces(on, { subject: "session", limit: 50 }), "traces_by_subject (subject=? AND ordinal<?)"],
  ["executions newest first", (on) => selectExecutions(on, { limit: 50 }), "executions_by_time"],
  [
    "a later page of executions",
    (on) => selectExecutions(on, { before: { createdAt: 1, executionId: "x" }, limit: 50 }),
    "executions_by_time ((created_at,execution_id)<(?,?))",
  ],
  ["executions of a workflow", (on) => selectExecutions(on, { workflow: "x", limit: 50 }), "executions_by_workflow (workflow=?)"],
  ["unfinished executions", (on) => selectUnfinished(on, { limit: 50 }), "executions_unfinished"],
  ["unfinished executions in a state", (on) => selectUnfinished(on, { states: ["RUNNING"], limit: 50 }), "executions_unfinished"],
  ["task runs", (on) => selectOfTasks(on, "task_runs", traceId), "(execution_id=?)"],
  ["attempts", (on) => selectOfTasks(on, "attempts", traceId), "(execution_id=?)"],
  ["logs of an execution", logs({}), "logs_by_execution (trace=?)"],
  ["a later page of logs", logs({ afterId: 100 }), "logs_by_execution (trace=? AND rowid<?)"],
  ["logs of a task", logs({ task: "a" }), "logs_by_task (trace=? AND task=?)"],
  ["a later page of a task's logs", logs({ task: "a", afterId: 9, order: "asc" }), "logs_by_task (trace=? AND task=? AND rowid>?)"],
  ["logs of a level", logs({ levels: ["ERROR"] }), "logs_by_level (trace=? AND level=?)"],
  ["logs of several levels", logs({ levels: ["ERROR", "WARN"] }), "logs_by_level (trace=? AND level=?)"],
];

describe("query plans", () => {
  for (const [name, read, index] of hot)
    test(`[CRA-0.23] ${name}`, () => {
      const plan = plansOf(read).replaceAll("id<?", "rowid<?").replaceAll("id>?", "rowid>?").replaceAll("rowrow", "row");
      expect(plan).toContain(index);
      expect(plan).not.toMatch(/SCAN (e|events|logs|traces|task_runs|attempts)\b(?! USING INDEX)/);
      // Several levels are merged from pages, each of which comes in order.
      if (!name.includes("several")) expect(plan).not.toContain("TEMP B-TREE");
    });
});
