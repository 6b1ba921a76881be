// Plugin events: what was installed, approved and removed, by whom, and what it may ask for.
import { Type } from "@sinclair/typebox";
import type { RowChange } from "../../storage/index.ts";
import { AnyJson, defineEvent, Id, NullableText, Sha256, Text, text } from "./define.ts";

const facts = {
  /** `namespace/name` */
  plugin: Id,
  version: Text,
  sha256: Sha256,
  /** The most it may ever ask for. */
  permissions: AnyJson,
  /** Whose use this is about; null: every workflow's. */
  workflow: NullableText,
  /** The principal, as `user:alice`. */
  by: Text,
};

export const pluginEvents = [
  defineEvent({ type: "trace.plugin.installed", means: "A plugin was put into the store's folder.", payload: facts }),
  defineEvent({
    type: "trace.plugin.approved",
    means: "What a plugin asks for was approved, for one workflow or for all: by applying it, or by a person.",
    payload: facts,
    project: (payload, event): RowChange[] => {
      const key = { workflow: payload.workflow ?? "", plugin: payload.plugin };
      const { version, sha256, by } = payload;
      const row = { ...key, version, sha256, permissions: text(payload.permissions), approved_at: event.time, by };
      return [{ table: "plugin_approvals", op: "put", key, row }];
    },
  }),
  defineEvent({
    type: "trace.plugin.removed",
    means: "A plugin was removed from the store's folder; its approvals end with it.",
    payload: { ...facts, /** Workflows that it was approved for; "" stands for all. */ approvals: Type.Array(Text) },
    project: (payload): RowChange[] =>
      payload.approvals.map((workflow) => ({ table: "plugin_approvals", op: "delete", key: { workflow, plugin: payload.plugin } })),
  }),
];
