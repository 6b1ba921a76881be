// Server and store events: in the system trace, folded into no rows.
import { Type } from "@sinclair/typebox";
import { AnyJson, defineEvent, Sha256, Text, Uuid } from "./define.ts";

const Count = Type.Integer({ minimum: 0 });

export const serverEvents = [
  defineEvent({
    type: "trace.server.started",
    means: "A server or a command opened the store; trace_id of this event is the system trace.",
    payload: { version: Text, system_trace_id: Uuid, stack: AnyJson },
  }),
  defineEvent({ type: "trace.server.stopped", means: "A server stopped in order.", payload: { reason: Text } }),
  defineEvent({
    type: "trace.store.backed_up",
    means: "A backup of the store was made: the name of its file, the file's digest, and the last event in it.",
    payload: { file: Text, sha256: Sha256, last_seq: Count },
  }),
  defineEvent({
    type: "trace.store.restored",
    means: "The store was restored from a backup, whose last event was last_seq; what the store lost with it is not in the record.",
    payload: { sha256: Sha256, last_seq: Count },
  }),
  defineEvent({
    type: "trace.runtime.error",
    severity: "error",
    means: "Something went wrong in the runtime itself.",
    payload: { code: Text, message: Text, execution_id: Type.Optional(Uuid) },
  }),
];
