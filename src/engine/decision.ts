// What deciding returns, and how events of an execution are drafted.
import type { Clock, ErrorBody, Ids, Json, JsonObject } from "../base/index.ts";
import type { Artifact, EventDraft } from "../model/index.ts";
import type { BlobFile, LogLine } from "../storage/index.ts";
import { draftEvent } from "../trace/index.ts";
import type { Machine, TaskRunMachine } from "./machine.ts";
import type { SealedDraft } from "./sealing.ts";
import type { TaskAsk, TaskPrepared } from "./ports.ts";

/** What a decision may depend on beside the machine. `now` is one moment for the whole decision. */
export type EngineContext = {
  clock: Clock;
  ids: Ids;
  /** A number from 0 up to 1; drawn delays are recorded in the event. */
  random: () => number;
  /** Of the server: an attempt gets the variables that its preparation names. */
  environment: Readonly<Record<string, string | undefined>>;
};
/** What the next step may depend on, beyond that of a result. */
export type DecideContext = EngineContext & {
  /** Processes that may be started now. */
  slots: number;
  preparation: Preparation;
};

/** What is known of attempts outside the engine before they start. */
export interface Preparation {
  /** Something is being looked up for this run (`runName`): asking again is of no use now. */
  isUnderWay(run: string): boolean;
  /** Null: something has to be looked up first; the execution is decided again when that is done. */
  ask(ask: TaskAsk): TaskPrepared | null;
  /** Values of the secrets that an attempt's inputs and environment name, read for it; null while they are being read. */
  secrets(run: string, names: readonly string[]): SecretsFound | null;
}

export type SecretsFound = { ok: true; values: Readonly<Record<string, string>>; masks: readonly string[] } | { ok: false; error: ErrorBody };

/** An attempt whose process is to be started once its event is durable. */
export type TaskStart = {
  task: string;
  itemIndex: number | null;
  attempt: number;
  action: string;
  inputs: JsonObject;
  env: Record<string, string>;
  timeoutMs: number | null;
  prepared: TaskPrepared;
};

/** `files`: blobs beside the database that the events name for the first time. `sealed`: true values of what the events show masked. */
export type Decision = { events: EventDraft[]; starts: TaskStart[]; logs: LogLine[]; files?: BlobFile[]; sealed?: SealedDraft[] };

export const nothing: Decision = { events: [], starts: [], logs: [] };

/** An event of the execution itself, on its root span. */
export function executionEvent(machine: Machine, context: EngineContext, what: { type: string; payload: JsonObject }): EventDraft {
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
  context: EngineContext,
  what: { type: string; payload: JsonObject; attempt?: number | null; spanId?: string; severity?: EventDraft["severity"]; artifacts?: Artifact[] },
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
  const payload = { execution_id: header.executionId, task: run.task.definition.id, item_index: run.itemIndex, attempt, ...what.payload };
  const { type, severity, artifacts } = what;
  return draftEvent(context, place, {
    type,
    payload,
    ...(severity === undefined ? {} : { severity }),
    ...(artifacts === undefined ? {} : { artifacts }),
  });
}

export function logLine(
  machine: Machine,
  run: TaskRunMachine | null,
  line: { time: number; level: LogLine["level"]; message: string; attempt?: number; metadata?: Json },
): LogLine {
  return {
    executionId: machine.header.executionId,
    task: run?.task.definition.id ?? null,
    itemIndex: run?.itemIndex ?? null,
    attempt: line.attempt ?? null,
    time: line.time,
    level: line.level,
    source: "engine",
    message: line.message,
    metadata: line.metadata === undefined ? null : JSON.stringify(line.metadata),
  };
}
