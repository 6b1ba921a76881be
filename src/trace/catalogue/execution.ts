// Execution events: the life of one run of one revision.
import { Type } from "@sinclair/typebox";
import type { EventDraft, ExecutionState } from "../../model/index.ts";
import type { RowChange } from "../../storage/index.ts";
import { AnyJson, defineEvent, ErrorPayload, Id, millis, NullableText, NullableTime, Sealed, Sha256, Text, text, Uuid } from "./define.ts";

const TriggerPayload = Type.Object({ type: Text, id: NullableText, scheduled_at: NullableTime, by: NullableText });

const Entries = Type.Array(Text);
const AllowPayload = Type.Object({
  network: Entries,
  filesystem: Type.Object({ read: Entries, write: Entries }),
  env: Entries,
  all: Type.Boolean(),
});

const move = (event: EventDraft, state: ExecutionState, set: Record<string, string | number | null>): RowChange[] => [
  { table: "executions", op: "update", key: { execution_id: event.traceId }, set: { state, ...set } },
];

export const executionEvents = [
  defineEvent({
    type: "trace.execution.created",
    means: "An execution was accepted; its inputs fit, and its place is kept.",
    payload: {
      execution_id: Uuid,
      workflow: Id,
      revision: Type.Integer({ minimum: 1 }),
      sha256: Sha256,
      trigger: TriggerPayload,
      inputs: AnyJson,
      /** Body, headers and query of a webhook; what a file trigger saw. */
      trigger_data: Type.Optional(AnyJson),
      sealed: Sealed,
      parent: Type.Optional(Type.Object({ execution_id: Uuid, task: Text, depth: Type.Optional(Type.Integer({ minimum: 1 })) })),
      labels: Type.Optional(Type.Record(Type.String(), Type.String())),
      /** Which execution it starts again, and from which task; null: from what did not succeed. */
      restarted_from: Type.Optional(Type.Object({ execution_id: Uuid, task: NullableText })),
      /** Overrides the workflow's own. */
      timeout_ms: Type.Optional(Type.Integer({ minimum: 1 })),
      /** Granted for this run beside the workflow's block. */
      allow: Type.Optional(AllowPayload),
    },
    project: (payload, event) => [
      {
        table: "executions",
        op: "insert",
        row: {
          execution_id: payload.execution_id,
          session_id: event.sessionId,
          workflow: payload.workflow,
          revision: payload.revision,
          sha256: payload.sha256,
          state: "PENDING",
          reason: null,
          trigger_type: payload.trigger.type,
          trigger_id: payload.trigger.id,
          scheduled_at: millis(payload.trigger.scheduled_at),
          by: payload.trigger.by ?? `${event.actor.type}:${event.actor.id}`,
          parent: payload.parent === undefined ? null : text(payload.parent),
          labels: text(payload.labels ?? {}),
          inputs: text(payload.inputs),
          outputs: null,
          error: null,
          digest: null,
          created_at: event.time,
          started_at: null,
          ended_at: null,
        },
      },
    ],
  }),
  defineEvent({
    type: "trace.execution.started",
    means: "An execution got its place and began.",
    payload: { execution_id: Uuid },
    project: (_, event) => move(event, "RUNNING", { started_at: event.time, reason: null }),
  }),
  defineEvent({
    type: "trace.execution.waiting",
    means: "Nothing of it runs or is ready, or a person paused it; the reason says what it waits for.",
    payload: { execution_id: Uuid, reason: Text, by: Type.Optional(Text) },
    project: (payload, event) => move(event, "WAITING", { reason: payload.reason }),
  }),
  defineEvent({
    type: "trace.execution.resumed",
    means: "Something that it waited for happened; one that was paused before it began waits for its place again.",
    payload: { execution_id: Uuid, to: Type.Optional(Type.Literal("PENDING")) },
    project: (payload, event) => move(event, payload.to ?? "RUNNING", { reason: null }),
  }),
  defineEvent({
    type: "trace.execution.succeeded",
    means: "Every task ended well.",
    payload: { execution_id: Uuid, outputs: AnyJson, sealed: Sealed, digest: Sha256 },
    project: (payload, event) =>
      move(event, "SUCCESS", { reason: "SUCCESS", outputs: text(payload.outputs), digest: payload.digest, ended_at: event.time }),
  }),
  defineEvent({
    type: "trace.execution.failed",
    severity: "error",
    means: "A task failed and nothing allowed it, or the execution itself could not go on.",
    payload: { execution_id: Uuid, error: ErrorPayload, failed_task: NullableText, reason: Text, digest: Sha256 },
    project: (payload, event) =>
      move(event, "FAILED", { reason: payload.reason, error: text(payload.error), digest: payload.digest, ended_at: event.time }),
  }),
  defineEvent({
    type: "trace.execution.cancelled",
    severity: "warn",
    means: "It was cancelled; everything that ran was stopped first.",
    payload: { execution_id: Uuid, by: Text, reason: Text, digest: Sha256 },
    project: (payload, event) => move(event, "CANCELLED", { reason: payload.reason, digest: payload.digest, ended_at: event.time }),
  }),
];
