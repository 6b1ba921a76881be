// Task events: attempts and what became of them.
import { type Static, Type } from "@sinclair/typebox";
import type { EventDraft, TaskState } from "../../model/index.ts";
import type { RowChange, RowOf } from "../../storage/index.ts";
import { AnyJson, defineEvent, ErrorPayload, Id, millis, NullableText, Sealed, Sha256, Text, text, Time, Uuid } from "./define.ts";

const Count = Type.Integer({ minimum: 0 });
const Nullable = <T extends ReturnType<typeof Type.Integer>>(schema: T) => Type.Union([schema, Type.Null()]);
/** Members of every task event; `attempt` is null where no attempt was made. */
const place = { execution_id: Uuid, task: Id, item_index: Nullable(Count), attempt: Nullable(Type.Integer({ minimum: 1 })) };
type Place = { execution_id: string; task: string; item_index: number | null; attempt: number | null };
const ended = { duration_ms: Type.Optional(Count), log_sha256: Type.Optional(Sha256), log_lines: Type.Optional(Count) };
type Ended = { duration_ms?: number; log_sha256?: string; log_lines?: number };

const runKey = (at: Place) => ({ execution_id: at.execution_id, task: at.task, item_index: at.item_index ?? -1 });

type RunSet = Partial<Omit<RowOf<"task_runs">, "execution_id" | "task" | "item_index" | "state">>;

/** The task run's row in full: what an event does not mention is cleared. */
function putRun(at: Place, state: TaskState, set: RunSet): RowChange {
  const key = runKey(at);
  return { table: "task_runs", op: "put", key, row: { ...key, state, reason: null, due_at: null, output: null, error: null, ...set } };
}

function endAttempt(at: Place, event: EventDraft, end: Ended & { error?: unknown }): RowChange[] {
  if (at.attempt === null) return [];
  const set = {
    ended_at: event.time,
    duration_ms: end.duration_ms ?? null,
    error: end.error === undefined ? null : text(end.error),
    log_sha256: end.log_sha256 ?? null,
    log_lines: end.log_lines ?? null,
  };
  return [{ table: "attempts", op: "update", key: { ...runKey(at), attempt: at.attempt }, set }];
}

/** The execution that a task starts and waits for. */
const ChildPayload = Type.Object({ execution_id: Uuid, workflow: Id, inputs: AnyJson, wait: Type.Boolean() });
const SandboxPayload = Type.Object({ level: Text, layers: Type.Array(Text) });
const started = {
  ...place,
  action: Text,
  runtime: Text,
  plugin_sha256: Type.Optional(Sha256),
  image_digest: Type.Optional(Text),
  permissions: AnyJson,
  sandbox: SandboxPayload,
};

function projectStarted(payload: Static<ReturnType<typeof Type.Object<typeof started>>>, event: EventDraft): RowChange[] {
  const row = {
    ...runKey(payload),
    attempt: payload.attempt ?? 1,
    started_at: event.time,
    ended_at: null,
    duration_ms: null,
    error: null,
    runtime: payload.runtime,
    sandbox: text(payload.sandbox),
    log_sha256: null,
    log_lines: null,
  };
  return [putRun(payload, "RUNNING", {}), { table: "attempts", op: "insert", row }];
}

export const taskEvents = [
  defineEvent({
    type: "trace.task.expanded",
    means: "A forEach or matrix became task runs. One without items is done at once.",
    payload: { ...place, items: Count, items_sha256: Sha256 },
    project: (payload) => (payload.items === 0 ? [putRun(payload, "SUCCESS", { reason: "SUCCESS" })] : []),
  }),
  defineEvent({
    type: "trace.task.started",
    means: "An attempt begins; written before its process starts.",
    payload: started,
    project: projectStarted,
  }),
  defineEvent({
    type: "trace.task.succeeded",
    means:
      "The attempt's result, before anything that depends on it starts; the files it left are the event's artifacts. A restarted execution " +
      "tells where it has a result from.",
    payload: { ...place, output: AnyJson, sealed: Sealed, reused_from: Type.Optional(Uuid), ...ended },
    project: (payload, event) => [
      putRun(payload, "SUCCESS", { reason: "SUCCESS", output: text(payload.output) }),
      ...endAttempt(payload, event, payload),
    ],
  }),
  defineEvent({
    type: "trace.task.failed",
    severity: "error",
    means: "An attempt failed. With will_retry it is not the end: another attempt follows at next_attempt_at.",
    payload: { ...place, error: ErrorPayload, will_retry: Type.Boolean(), next_attempt_at: Type.Optional(Time), reason: Text, ...ended },
    project: (payload, event) => [
      payload.will_retry
        ? putRun(payload, "WAITING", { reason: "RETRY_DELAY", due_at: millis(payload.next_attempt_at), error: text(payload.error) })
        : putRun(payload, "FAILED", { reason: payload.reason, error: text(payload.error) }),
      ...endAttempt(payload, event, payload),
    ],
  }),
  defineEvent({
    type: "trace.task.skipped",
    means: "Its condition was false, or something that it needs was skipped or failed.",
    payload: { ...place, reason: Text },
    project: (payload) => [putRun(payload, "SKIPPED", { reason: payload.reason })],
  }),
  defineEvent({
    type: "trace.task.cancelled",
    severity: "warn",
    means: "It was cancelled, with or without an attempt running.",
    payload: { ...place, reason: Text, by: NullableText, ...ended },
    project: (payload, event) => [
      putRun(payload, "CANCELLED", { reason: payload.reason }),
      ...endAttempt(payload, event, { ...payload, error: { code: "TASK_CANCELLED", kind: "failed", message: "The attempt was cancelled" } }),
    ],
  }),
  defineEvent({
    type: "trace.task.waiting",
    means: "The attempt goes on when what it waits for happens.",
    payload: { ...place, reason: Text, until: Type.Optional(Time), times_out: Type.Optional(Type.Boolean()), child: Type.Optional(ChildPayload) },
    project: (payload) => [putRun(payload, "WAITING", { reason: payload.reason, due_at: millis(payload.until) })],
  }),
  defineEvent({
    type: "trace.task.lost",
    severity: "warn",
    means: "The attempt's process died with the server that ran it; its outcome is unknown.",
    payload: place,
    project: (payload, event) => [
      putRun(payload, "PENDING", { reason: "CRASH_RECOVERY" }),
      ...endAttempt(payload, event, { error: { code: "TASK_LOST", kind: "failed", message: "The process died with the server" } }),
    ],
  }),
  defineEvent({
    type: "trace.task.resolved",
    means: "A person said what became of an attempt whose outcome was unknown.",
    payload: { ...place, as: Text, by: Text, output: Type.Optional(AnyJson), sealed: Sealed, error: Type.Optional(ErrorPayload) },
    project: (payload) => {
      if (payload.as === "succeeded") return [putRun(payload, "SUCCESS", { reason: "SUCCESS", output: text(payload.output ?? {}) })];
      const error = payload.error === undefined ? null : text(payload.error);
      return [putRun(payload, payload.as === "failed" ? "FAILED" : "PENDING", { reason: "CRASH_RECOVERY", error })];
    },
  }),
];
