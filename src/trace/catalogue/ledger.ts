// Events about the ledger itself: in the system trace. A tombstone says what left, before it leaves.
import { Type } from "@sinclair/typebox";
import { defineEvent, Id, Sha256, Text, Uuid } from "./define.ts";

const Seq = Type.Integer({ minimum: 1 });

export const ledgerEvents = [
  defineEvent({
    type: "trace.ledger.pruned",
    means: "The tombstone of a trace that is removed whole: its events, in count and place, the hash of its last one, and who asked for it.",
    payload: {
      trace_id: Uuid,
      subject: Type.Literal("execution"),
      subject_id: Id,
      count: Type.Integer({ minimum: 1 }),
      first_seq: Seq,
      last_seq: Seq,
      last_hash: Sha256,
      /** cleanup: somebody asked for it; retention: it was older than the configuration keeps. */
      reason: Type.Union([Type.Literal("cleanup"), Type.Literal("retention")]),
      by: Text,
    },
    // The rest of its rows leaves in portions; without this one nobody finds them.
    project: (payload) => [{ table: "executions", op: "delete", key: { execution_id: payload.subject_id } }],
  }),
];
