// Server and store events: in the system trace, folded into no rows.
import { Type } from "@sinclair/typebox";
import { AnyJson, defineEvent, Text, Uuid } from "./define.ts";

export const serverEvents = [
  defineEvent({
    type: "trace.server.started",
    means: "A server or a command opened the store; trace_id of this event is the system trace.",
    payload: { version: Text, system_trace_id: Uuid, stack: AnyJson },
  }),
  defineEvent({ type: "trace.server.stopped", means: "A server stopped in order.", payload: { reason: Text } }),
  defineEvent({
    type: "trace.runtime.error",
    severity: "error",
    means: "Something went wrong in the runtime itself.",
    payload: { code: Text, message: Text, execution_id: Type.Optional(Uuid) },
  }),
];
