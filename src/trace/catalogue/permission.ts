// Permission events: what a task tried and was not granted. They fold into no rows.
import { Type } from "@sinclair/typebox";
import { defineEvent, Id, NullableText, Text, Uuid } from "./define.ts";

const Nullable = (minimum: number) => Type.Union([Type.Integer({ minimum }), Type.Null()]);

export const permissionEvents = [
  defineEvent({
    type: "trace.permission.denied",
    severity: "warn",
    means: "An attempt tried what it was not granted; `grant` is the line of the workflow's permissions that would allow it.",
    payload: {
      execution_id: Uuid,
      task: Id,
      item_index: Nullable(0),
      attempt: Nullable(1),
      kind: Text,
      target: Text,
      rule: Text,
      grant: NullableText,
    },
  }),
];
