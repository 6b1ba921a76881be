// Workflow events: revisions, and which of them is current.
import { Type } from "@sinclair/typebox";
import type { RowChange } from "../../storage/index.ts";
import { defineEvent, Id, NullableText, plain, Sha256, text } from "./define.ts";

const setEnabled = (type: string, enabled: 0 | 1, means: string) =>
  defineEvent({
    type,
    means,
    payload: { workflow: Id },
    project: (payload, event) => [{ table: "workflows", op: "update", key: { id: payload.workflow }, set: { enabled, updated_at: event.time } }],
  });

export const workflowEvents = [
  defineEvent({
    type: "trace.workflow.applied",
    means: "A revision was stored, or made current. Its source is the artifact.",
    payload: {
      workflow: Id,
      revision: Type.Integer({ minimum: 1 }),
      sha256: Sha256,
      enabled: Type.Boolean(),
      current: Type.Boolean(),
      armed: Type.Boolean(),
      folder: NullableText,
      /** Whether the revision, and the workflow, are new with this event. */
      new_revision: Type.Boolean(),
      new_workflow: Type.Boolean(),
      name: NullableText,
      description: NullableText,
      labels: Type.Record(Type.String(), Type.String()),
      /** The principal, as `user:alice`; an actor cannot tell a service from the runtime. */
      by: Type.Optional(Type.String()),
    },
    project: (payload, event) => {
      const changes: RowChange[] = [];
      const { workflow, revision, sha256, folder } = payload;
      const by = payload.by ?? `${event.actor.type}:${event.actor.id}`;
      if (payload.new_revision)
        changes.push({ table: "revisions", op: "insert", row: { workflow, revision, sha256, folder, created_at: event.time, by } });
      if (!payload.current) return changes;
      const set = {
        name: plain(payload.name),
        description: plain(payload.description),
        labels: text(payload.labels),
        enabled: payload.enabled ? 1 : 0,
        armed: payload.armed ? 1 : 0,
        revision,
        sha256,
        folder,
        updated_at: event.time,
      };
      if (payload.new_workflow) changes.push({ table: "workflows", op: "insert", row: { id: workflow, ...set, created_at: event.time } });
      else changes.push({ table: "workflows", op: "update", key: { id: workflow }, set });
      return changes;
    },
  }),
  setEnabled("trace.workflow.enabled", 1, "A workflow's triggers and `run ID` were switched on."),
  setEnabled("trace.workflow.disabled", 0, "A workflow's triggers and `run ID` were switched off."),
  defineEvent({
    type: "trace.workflow.deleted",
    means: "A workflow was deleted; its revisions and executions stay.",
    payload: { workflow: Id },
    project: (payload) => [{ table: "workflows", op: "delete", key: { id: payload.workflow } }],
  }),
];
