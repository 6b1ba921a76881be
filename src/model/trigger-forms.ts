// The API's forms of triggers: what is listed, what should have fired and did not, and what a backfill started.
import { type Static, type TSchema, Type } from "@sinclair/typebox";

const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Time = Type.String({ format: "date-time" });

const TriggerItemSchema = Type.Object({
  workflowId: Type.String(),
  id: Type.String(),
  type: Type.String(),
  /** Of the workflow: triggers have no switch of their own. */
  enabled: Type.Boolean(),
  cron: nullable(Type.String()),
  timezone: nullable(Type.String()),
  catchUp: nullable(Type.String()),
  method: nullable(Type.String()),
  path: nullable(Type.String()),
  paths: nullable(Type.Array(Type.String())),
  next: nullable(Time),
  /** `state`: started, skipped or missed; `executionId` is null unless it was started. */
  last: nullable(Type.Object({ scheduledAt: nullable(Time), executionId: nullable(Type.String()), state: Type.String() })),
});
export type TriggerItem = Static<typeof TriggerItemSchema>;
export const TriggerListSchema = Type.Object({ triggers: Type.Array(TriggerItemSchema), nextCursor: nullable(Type.String()) });
export type TriggerList = Static<typeof TriggerListSchema>;

const UnfiredTriggerSchema = Type.Object({
  workflowId: Type.String(),
  id: Type.String(),
  /** Null for a trigger that does not go by time. */
  expectedAt: nullable(Time),
  lastFiredAt: nullable(Time),
  /** MISSED (no server ran), OVERDUE (it is due and nobody has started it), or the error code of what keeps it from starting. */
  reason: Type.String(),
});
export type UnfiredTrigger = Static<typeof UnfiredTriggerSchema>;
export const TriggerHealthSchema = Type.Object({ triggers: Type.Array(UnfiredTriggerSchema), nextCursor: nullable(Type.String()) });
export type TriggerHealth = Static<typeof TriggerHealthSchema>;

export const HookStartedSchema = Type.Object({ execution_id: Type.String({ format: "uuid" }) });

export const BackfillSchema = Type.Object({
  workflowId: Type.String(),
  trigger: Type.String(),
  dryRun: Type.Boolean(),
  /** Oldest first; without an execution in a dry run. */
  started: Type.Array(Type.Object({ scheduledAt: Time, executionId: nullable(Type.String()), state: nullable(Type.String()) })),
  /** ALREADY_STARTED with the execution of that time, or the error code of what kept it from starting. */
  skipped: Type.Array(Type.Object({ scheduledAt: Time, reason: Type.String(), executionId: nullable(Type.String()) })),
});
export type Backfill = Static<typeof BackfillSchema>;
