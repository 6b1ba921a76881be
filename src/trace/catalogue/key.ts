// API key events. The key itself and its hash are in no event.
import { Type } from "@sinclair/typebox";
import { defineEvent, Id, NullableText, NullableTime, PrincipalPayload, Text, text, millis } from "./define.ts";

export const keyEvents = [
  defineEvent({
    type: "trace.key.created",
    means: "An API key was made.",
    payload: {
      key_id: Id,
      name: NullableText,
      principal: PrincipalPayload,
      roles: Type.Array(Text),
      scopes: Type.Array(Text),
      expires_at: NullableTime,
    },
    project: (payload, event) => [
      {
        table: "api_keys",
        op: "insert",
        row: {
          key_id: payload.key_id,
          name: payload.name,
          principal_type: payload.principal.type,
          principal_id: payload.principal.id,
          roles: text(payload.roles),
          scopes: text(payload.scopes),
          created_at: event.time,
          expires_at: millis(payload.expires_at),
          revoked_at: null,
        },
      },
    ],
  }),
  defineEvent({
    type: "trace.key.revoked",
    means: "An API key was revoked; open streams of it end.",
    payload: { key_id: Id },
    project: (payload, event) => [{ table: "api_keys", op: "update", key: { key_id: payload.key_id }, set: { revoked_at: event.time } }],
  }),
];
