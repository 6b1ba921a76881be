// Secret events: who wrote, deleted and used which name. Values are in no event, nor is anything made of them.
import { Type } from "@sinclair/typebox";
import { defineEvent, Id, Uuid } from "./define.ts";

const Nullable = (minimum: number) => Type.Union([Type.Integer({ minimum }), Type.Null()]);

export const secretEvents = [
  defineEvent({
    type: "trace.secret.accessed",
    means: "A task run read a secret for its inputs or env; attempt is null where they could not be evaluated, so that no attempt was made.",
    payload: { execution_id: Uuid, task: Id, item_index: Nullable(0), attempt: Nullable(1), name: Id },
  }),
  defineEvent({ type: "trace.secret.written", means: "A secret was set, or set again.", payload: { name: Id } }),
  defineEvent({ type: "trace.secret.deleted", means: "A secret was deleted.", payload: { name: Id } }),
  defineEvent({
    type: "trace.secret.rotated",
    means: "All secrets and sealed values were encrypted again under a new master key, the one with this id.",
    payload: { key_id: Type.String({ pattern: "^[0-9a-f]{32}$" }) },
  }),
];
