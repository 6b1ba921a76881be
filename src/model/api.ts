// The JSON forms of /api/v1 (http-api.md, Forms, exactly): camelCase, absent values null. CLI `--json` prints the same bodies.
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { PrincipalSchema } from "./principal.ts";
import { executionStates, taskStates, terminalStates } from "./state.ts";

const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const literals = <T extends readonly string[]>(values: T) => Type.Unsafe<T[number]>(Type.Union(values.map((value) => Type.Literal(value))));
const Time = Type.String({ format: "date-time" });
const Cursor = nullable(Type.String());
const AnyJson = Type.Unknown();

const ErrorSchema = Type.Object({
  code: Type.String(),
  kind: Type.String(),
  message: Type.String(),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  hint: Type.Optional(Type.String()),
});

export const DiagnosticSchema = Type.Object({
  severity: literals(["error", "warning"] as const),
  code: Type.String(),
  path: Type.String(),
  message: Type.String(),
  file: Type.String(),
  line: Type.Integer(),
  column: Type.Integer(),
  endColumn: Type.Optional(Type.Integer()),
  hint: Type.Optional(Type.String()),
});

const WorkflowItemSchema = Type.Object({
  id: Type.String(),
  name: nullable(Type.String()),
  enabled: Type.Boolean(),
  armed: Type.Boolean(),
  revision: Type.Integer(),
  sha256: Type.String(),
  createdAt: Time,
  updatedAt: Time,
});
export type WorkflowItem = Static<typeof WorkflowItemSchema>;
export const WorkflowListSchema = Type.Object({ workflows: Type.Array(WorkflowItemSchema), nextCursor: Cursor });
export type WorkflowList = Static<typeof WorkflowListSchema>;

const workflowHead = {
  ...WorkflowItemSchema.properties,
  description: nullable(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  folder: nullable(Type.String()),
  triggers: Type.Array(Type.Object({ id: Type.String(), type: Type.String(), next: nullable(Time) })),
};
export const WorkflowSchema = Type.Object({ ...workflowHead, definition: AnyJson, source: Type.String() });
export type Workflow = Static<typeof WorkflowSchema>;
export const AppliedSchema = Type.Object({ ...workflowHead, changed: Type.Boolean(), warnings: Type.Array(DiagnosticSchema) });
export type Applied = Static<typeof AppliedSchema>;

const RevisionSchema = Type.Object({ revision: Type.Integer(), sha256: Type.String(), current: Type.Boolean(), createdAt: Time, by: Type.String() });
export type Revision = Static<typeof RevisionSchema>;
export const RevisionListSchema = Type.Object({ revisions: Type.Array(RevisionSchema), nextCursor: Cursor });
export type RevisionList = Static<typeof RevisionListSchema>;
/** One revision with its text. */
export const RevisionDetailSchema = Type.Object({
  ...RevisionSchema.properties,
  folder: nullable(Type.String()),
  definition: AnyJson,
  source: Type.String(),
});
export type RevisionDetail = Static<typeof RevisionDetailSchema>;

export const ValidationSchema = Type.Object({ valid: Type.Boolean(), diagnostics: Type.Array(DiagnosticSchema) });
export type Validation = Static<typeof ValidationSchema>;

const TriggerRefSchema = Type.Object({ type: Type.String(), id: nullable(Type.String()), scheduledAt: nullable(Time), by: nullable(Type.String()) });

const ExecutionItemSchema = Type.Object({
  executionId: Type.String(),
  workflowId: Type.String(),
  revision: Type.Integer(),
  state: literals(executionStates),
  reasonCode: nullable(Type.String()),
  message: nullable(Type.String()),
  trigger: TriggerRefSchema,
  createdAt: Time,
  startedAt: nullable(Time),
  endedAt: nullable(Time),
  durationMs: nullable(Type.Integer()),
  digest: nullable(Type.String()),
  error: nullable(ErrorSchema),
});
export type ExecutionItem = Static<typeof ExecutionItemSchema>;
export const ExecutionListSchema = Type.Object({ executions: Type.Array(ExecutionItemSchema), nextCursor: Cursor });
export type ExecutionList = Static<typeof ExecutionListSchema>;

/** `none`: tasks are refused here; of an attempt it is never said. */
const ServerSandboxSchema = Type.Object({ level: literals(["strict", "reduced", "none", "off"] as const), layers: Type.Array(Type.String()) });
const SandboxSchema = Type.Object({ level: literals(["strict", "reduced", "off"] as const), layers: Type.Array(Type.String()) });

const AttemptSchema = Type.Object({
  attempt: Type.Integer(),
  startedAt: Time,
  endedAt: nullable(Time),
  durationMs: nullable(Type.Integer()),
  error: nullable(ErrorSchema),
  runtime: nullable(Type.String()),
  sandbox: nullable(SandboxSchema),
});
const TaskRunSchema = Type.Object({
  taskId: Type.String(),
  itemIndex: nullable(Type.Integer()),
  phase: nullable(literals(["onFailure", "finally"] as const)),
  action: Type.String(),
  state: literals(taskStates),
  reasonCode: nullable(Type.String()),
  needs: Type.Array(Type.String()),
  attempts: Type.Array(AttemptSchema),
  output: AnyJson,
  error: nullable(ErrorSchema),
});
export type TaskRun = Static<typeof TaskRunSchema>;
export const TaskRunListSchema = Type.Object({ tasks: Type.Array(TaskRunSchema), nextCursor: Cursor });
export type TaskRunList = Static<typeof TaskRunListSchema>;

export const ExecutionSchema = Type.Object({
  execution: Type.Object({ ...ExecutionItemSchema.properties, inputs: AnyJson, outputs: AnyJson }),
  tasks: Type.Array(TaskRunSchema),
  tasksNextCursor: Cursor,
  /** Only with `include=timeline`: state changes in order. */
  timeline: Type.Optional(
    Type.Array(Type.Object({ time: Time, event: Type.String(), taskId: nullable(Type.String()), message: nullable(Type.String()) })),
  ),
  /** Only with `include=trace`: the execution's events as they are stored. */
  trace: Type.Optional(Type.Array(Type.Unknown())),
});
export type Execution = Static<typeof ExecutionSchema>;

export const StartedSchema = Type.Object({ executionId: Type.String(), state: literals(executionStates) });
export type Started = Static<typeof StartedSchema>;
export const RestartedSchema = Type.Object({ executionId: Type.String(), state: literals(executionStates), restartedFrom: Type.String() });
export type Restarted = Static<typeof RestartedSchema>;

export const TerminalStateSchema = literals(terminalStates);
export const CleanupSchema = Type.Object({
  dryRun: Type.Boolean(),
  /** What ended then or earlier was meant. */
  before: Time,
  states: Type.Array(TerminalStateSchema),
  executions: Type.Integer(),
  events: Type.Integer(),
  /** False: there is more than one request removes; ask again. */
  complete: Type.Boolean(),
});
export type Cleanup = Static<typeof CleanupSchema>;

export const logLevels = ["DEBUG", "INFO", "WARN", "ERROR"] as const;
export const logSources = ["stdout", "stderr", "engine"] as const;
const LogItemSchema = Type.Object({
  id: Type.Integer(),
  time: Time,
  level: literals(logLevels),
  source: literals(logSources),
  taskId: nullable(Type.String()),
  itemIndex: nullable(Type.Integer()),
  attempt: nullable(Type.Integer()),
  message: Type.String(),
  metadata: nullable(Type.Record(Type.String(), Type.Unknown())),
});
export type LogItem = Static<typeof LogItemSchema>;
export const LogPageSchema = Type.Object({ items: Type.Array(LogItemSchema), nextCursor: Cursor });
export type LogPage = Static<typeof LogPageSchema>;

const ArtifactItemSchema = Type.Object({
  name: Type.String(),
  taskId: Type.String(),
  attempt: Type.Integer(),
  size: Type.Integer(),
  sha256: Type.String(),
  uri: Type.String(),
  contentType: Type.String(),
  createdAt: Time,
});
export type ArtifactItem = Static<typeof ArtifactItemSchema>;
export const ArtifactListSchema = Type.Object({ artifacts: Type.Array(ArtifactItemSchema), nextCursor: Cursor });
export type ArtifactList = Static<typeof ArtifactListSchema>;

const KeySchema = Type.Object({
  id: Type.String(),
  name: nullable(Type.String()),
  principal: PrincipalSchema,
  roles: Type.Array(Type.String()),
  scopes: Type.Array(Type.String()),
  createdAt: Time,
  expiresAt: nullable(Time),
});
export type Key = Static<typeof KeySchema>;
export const CreatedKeySchema = Type.Object({ id: Type.String(), key: Type.String(), ...Type.Omit(KeySchema, ["id"]).properties });
export type CreatedKey = Static<typeof CreatedKeySchema>;
export const KeyListSchema = Type.Object({ keys: Type.Array(KeySchema), nextCursor: Cursor });
export type KeyList = Static<typeof KeyListSchema>;

const SecretItemSchema = Type.Object({ name: Type.String(), createdAt: Time, updatedAt: Time, by: Type.String() });
export type SecretItem = Static<typeof SecretItemSchema>;
export const SecretListSchema = Type.Object({ secrets: Type.Array(SecretItemSchema), nextCursor: Cursor });
export type SecretList = Static<typeof SecretListSchema>;
/** A secret's bytes on the wire: text, or base64 of what is not UTF-8. */
export const SecretSchema = Type.Object({ name: Type.String(), value: Type.String(), encoding: Type.Optional(Type.Literal("base64")) });
export type Secret = Static<typeof SecretSchema>;
export const SecretKeyRotationSchema = Type.Object({
  keyId: Type.String(),
  source: literals(["file", "hex", "passphrase"] as const),
  secrets: Type.Integer(),
  sealedValues: Type.Integer(),
});
export type SecretKeyRotation = Static<typeof SecretKeyRotationSchema>;

export const StatusSchema = Type.Object({
  version: Type.String(),
  pid: Type.Integer(),
  startedAt: Time,
  uptimeMs: Type.Integer(),
  runtime: Type.Boolean(),
  ready: Type.Boolean(),
  store: Type.Object({ type: Type.String(), path: Type.String(), durability: Type.String() }),
  sandbox: ServerSandboxSchema,
  workflows: Type.Integer(),
  executions: Type.Record(Type.String(), Type.Integer()),
  events: Type.Integer(),
});
export type Status = Static<typeof StatusSchema>;

/** Documents of /v1: snake_case. */
const TraceItemSchema = Type.Object({
  trace_id: Type.String(),
  subject: Type.String(),
  subject_id: Type.String(),
  events: Type.Integer(),
  last_hash: Type.String(),
  last_time: Time,
});
export type TraceItem = Static<typeof TraceItemSchema>;
export const TraceListSchema = Type.Object({ traces: Type.Array(TraceItemSchema), next_cursor: Cursor });
export type TraceList = Static<typeof TraceListSchema>;
