// What deciding returns, and how events of an execution are drafted.
import type { Clock, Ids, Json, JsonObject } from "../base/index.ts";
import type { EventDraft } from "../model/index.ts";
import type { LogLine } from "../storage/index.ts";
import { draftEvent } from "../trace/index.ts";
import type { Machine, TaskRunMachine } from "./machine.ts";

/** What a decision may depend on beside the machine. `now` is one moment for the whole decision. */
export type DecideContext = {
  clock: Clock;
  ids: Ids;
  /** A number from 0 up to 1; drawn delays are recorded in the event. */
  random: () => number;
  /** Processes that may be started now. */
  slots: number;
  /** How tasks are isolated on this machine, recorded with each attempt. */
  sandbox: { level: string; layers: string[] };
};

/** An attempt whose process is to be started once its event is durable. */
export type TaskStart = { task: string; attempt: number; action: string; inputs: JsonObject; env: Record<string, string>; timeoutMs: number | null };

export type Decision = { events: EventDraft[]; starts: TaskStart[]; logs: LogLine[] };

export const nothing: Decision = { events: [], starts: [], logs: [] };

/** An event of the execution itself, on its root span. */
export function executionEvent(machine: Machine, context: DecideContext, what: { type: string; payload: JsonObject }): EventDraft {
  const { header } = machine;
  const place = {
    traceId: header.executionId,
    spanId: header.rootSpanId,
    parentSpanId: header.parentSpanId,
    sessionId: header.sessionId,
    actor: header.actor,
  };
  return draftEvent(context, place, { type: what.type, payload: { execution_id: header.executionId, ...what.payload } });
}

/** An event of a task run: on the attempt's span where there is one, else on the root span. */
export function taskEvent(
  machine: Machine,
  run: TaskRunMachine,
  context: DecideContext,
  what: { type: string; payload: JsonObject; attempt?: number | null; spanId?: string; severity?: EventDraft["severity"] },
): EventDraft {
  const { header } = machine;
  const attempt = what.attempt === undefined ? (run.attempt === 0 ? null : run.attempt) : what.attempt;
  const own = what.spanId ?? (attempt === null ? null : run.spanId);
  const place = {
    traceId: header.executionId,
    spanId: own ?? header.rootSpanId,
    parentSpanId: own === null ? header.parentSpanId : header.rootSpanId,
    sessionId: header.sessionId,
    actor: { type: "runtime" as const, id: "engine" },
  };
  const payload = { execution_id: header.executionId, task: run.task.definition.id, item_index: null, attempt, ...what.payload };
  return draftEvent(context, place, { type: what.type, payload, ...(what.severity === undefined ? {} : { severity: what.severity }) });
}

export function logLine(
  machine: Machine,
  run: TaskRunMachine | null,
  line: { time: number; level: LogLine["level"]; message: string; attempt?: number; metadata?: Json },
): LogLine {
  return {
    executionId: machine.header.executionId,
    task: run?.task.definition.id ?? null,
    itemIndex: null,
    attempt: line.attempt ?? null,
    time: line.time,
    level: line.level,
    source: "engine",
    message: line.message,
    metadata: line.metadata === undefined ? null : JSON.stringify(line.metadata),
  };
}
