// Session events: a bounded period of acting.
import { Type } from "@sinclair/typebox";
import { defineEvent, millis, NullableTime, PrincipalPayload, Text, text, Uuid } from "./define.ts";

export const sessionEvents = [
  defineEvent({
    type: "trace.session.started",
    means: "A session was opened; service sessions have no time to live.",
    payload: {
      session_id: Uuid,
      principal: PrincipalPayload,
      scopes: Type.Array(Text),
      ttl_seconds: Type.Union([Type.Integer(), Type.Null()]),
      expires_at: NullableTime,
    },
    project: (payload, event) => [
      {
        table: "sessions",
        op: "insert",
        row: {
          session_id: payload.session_id,
          trace_id: event.traceId,
          principal_type: payload.principal.type,
          principal_id: payload.principal.id,
          scopes: text(payload.scopes),
          started_at: event.time,
          expires_at: millis(payload.expires_at),
          ended_at: null,
          end_reason: null,
        },
      },
    ],
  }),
  defineEvent({
    type: "trace.session.ended",
    means: "A session ended: by request, with its process, by expiry, or lost with a process that died.",
    payload: { session_id: Uuid, reason: Text, total_events: Type.Integer(), resolutions: Type.Integer(), actions_executed: Type.Integer() },
    project: (payload, event) => [
      { table: "sessions", op: "update", key: { session_id: payload.session_id }, set: { ended_at: event.time, end_reason: payload.reason } },
    ],
  }),
];
