// The JSON forms of plugins (http-api.md): what the list and one plugin look like on the wire and with --json.
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { DiagnosticSchema } from "./api.ts";

const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Json = Type.Record(Type.String(), Type.Unknown());

const pluginHead = {
  /** `namespace/name` */
  id: Type.String(),
  namespace: Type.String(),
  name: Type.String(),
  version: nullable(Type.String()),
  description: nullable(Type.String()),
  builtIn: Type.Boolean(),
  /** bun, exec or docker; null for a built-in, and for a manifest with errors. */
  runtime: nullable(Type.String()),
  /** False: the diagnostics say why none of its actions can be called. */
  valid: Type.Boolean(),
  folder: nullable(Type.String()),
  sha256: nullable(Type.String()),
  /** The most it may ask for; null for a built-in, which asks for what its inputs imply. */
  permissions: nullable(Json),
  diagnostics: Type.Array(DiagnosticSchema),
};

const PluginItemSchema = Type.Object({ ...pluginHead, actions: Type.Array(Type.String()) });
export type PluginItem = Static<typeof PluginItemSchema>;
export const PluginListSchema = Type.Object({ plugins: Type.Array(PluginItemSchema), nextCursor: nullable(Type.String()) });
export type PluginList = Static<typeof PluginListSchema>;

const PluginActionSchema = Type.Object({
  name: Type.String(),
  /** `namespace/plugin.action`, as a task's `type`. */
  action: Type.String(),
  description: Type.String(),
  input: Json,
  output: Json,
  idempotent: Type.Boolean(),
  timeoutMs: nullable(Type.Integer()),
  runsIn: Type.Union([Type.Literal("engine"), Type.Literal("process")]),
  /** False: this version knows it by name only. */
  available: Type.Boolean(),
  /** What it may ask for; null where that follows from its inputs. */
  permissions: nullable(Json),
});
export type PluginActionForm = Static<typeof PluginActionSchema>;

const ApprovalSchema = Type.Object({
  /** Null: for every workflow. */
  workflow: nullable(Type.String()),
  version: Type.String(),
  sha256: Type.String(),
  permissions: Json,
  approvedAt: Type.String({ format: "date-time" }),
  by: Type.String(),
  /** What the installed version asks for beyond it, as lines of YAML: not empty means refused. */
  exceeded: Type.Array(Type.String()),
});
export type PluginApprovalForm = Static<typeof ApprovalSchema>;

/** One plugin with its actions and approvals. */
export const PluginSchema = Type.Object({
  ...pluginHead,
  author: nullable(Type.String()),
  license: nullable(Type.String()),
  homepage: nullable(Type.String()),
  engines: nullable(Type.Object({ workflow: Type.String() })),
  entrypoint: nullable(Type.Array(Type.String())),
  keepWarm: Type.Integer(),
  actions: Type.Array(PluginActionSchema),
  approvals: Type.Array(ApprovalSchema),
});
export type Plugin = Static<typeof PluginSchema>;
