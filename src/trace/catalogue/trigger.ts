// Trigger events: what a trigger started, what it could not start, and what came due while nobody looked. They fold to no rows: which
// times were started is kept with the due runs, a side table.
import { Type } from "@sinclair/typebox";
import { ErrorPayload, defineEvent, Id, NullableTime, Time, Uuid } from "./define.ts";

const facts = { workflow: Id, trigger: Id };

export const triggerEvents = [
  defineEvent({
    type: "trace.trigger.fired",
    means: "A trigger started an execution.",
    payload: { ...facts, /** When it was due; null where nothing was due. */ scheduled_at: NullableTime, execution_id: Uuid },
  }),
  defineEvent({
    type: "trace.trigger.skipped",
    severity: "warn",
    means: "A trigger came due and could not start an execution.",
    payload: { ...facts, scheduled_at: NullableTime, error: ErrorPayload },
  }),
  defineEvent({
    type: "trace.trigger.missed",
    severity: "warn",
    means: "A time of a trigger came due while no server ran. With `until` the event stands for all its times from the one to the other.",
    payload: { ...facts, scheduled_at: Time, until: Type.Optional(Time) },
  }),
];
