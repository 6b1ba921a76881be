// The verbs that people and programs call: the HTTP routes and the CLI commands are two skins over this one interface.
// `openApp` gives the implementation that works on the store; the CLI has a second one that speaks HTTP to a server.
import type { Json, JsonObject } from "../base/index.ts";
import type {
  Applied,
  ArtifactList,
  Backfill,
  Cleanup,
  CreatedKey,
  Execution,
  ExecutionList,
  KeyList,
  LogItem,
  LogPage,
  Plugin,
  PluginList,
  Principal,
  RevisionDetail,
  RevisionList,
  Secret,
  SecretKeyRotation,
  SecretList,
  Restarted,
  Started,
  Status,
  TaskRunList,
  TraceList,
  TriggerHealth,
  TriggerList,
  Validation,
  Workflow,
  WorkflowList,
} from "../model/index.ts";

export type Page = { limit?: number; cursor?: string };

export type ApplyRequest = {
  id: string;
  /** The bytes as given; the revision's sha256 is theirs. */
  source: string;
  /** Absolute folder of the workflow's file, null when it has none. */
  folder: string | null;
  /** Name for diagnostics. */
  file: string;
  /** Overrides the document's `enabled` for this apply. */
  enabled?: boolean;
  /** Check and answer, but write nothing. */
  dryRun?: boolean;
};

export type StartRequest = {
  workflow: string;
  inputs: JsonObject;
  labels?: Record<string, string>;
  /** A UUIDv7 chosen by the client. */
  executionId?: string;
  revision?: number;
  /** Kept 24 h: same body → the first answer, other body → IDEMPOTENCY_MISMATCH. */
  idempotencyKey?: string;
  /** Wait so long (ms) for the end. */
  waitMs?: number;
};
/** `execution` is there when it was terminal within `waitMs`. */
export type StartAnswer = { started: Started; execution: Execution | null };

export type ExecutionQuery = Page & {
  workflow?: string;
  state?: string[];
  trigger?: string;
  since?: number;
  until?: number;
  label?: string;
  offset?: number;
};
/** `olderThan`: a duration or a time; without states all terminal ones. */
export type CleanupRequest = { olderThan: string; states?: Cleanup["states"]; dryRun?: boolean };
export type TaskRunQuery = Page & { executionId: string; taskId?: string; state?: string[] };
export type LogQuery = Page & {
  executionId: string;
  taskId?: string;
  /** Exact levels, or a floor written `WARN+`. */
  level?: string;
  source?: string[];
  since?: number;
  search?: string;
  order?: "asc" | "desc";
  offset?: number;
};
export type ArtifactQuery = Page & { executionId: string; taskId?: string };
export type ArtifactRequest = { executionId: string; name: string; taskId?: string };
/** `sha256` is that of the whole; who reads compares. */
export type OpenedArtifact = { name: string; sha256: string; size: number | null; contentType: string; pieces(): AsyncIterable<Uint8Array> };
export type LogStreamQuery = Omit<LogQuery, "limit" | "cursor" | "order" | "offset"> & { sinceId?: number };

export type EventFilter = { severity?: string; eventType?: string };
export type EventQuery = EventFilter & { traceId: string; sinceSequence?: number; limit?: number; offset?: number };
/** `events` are the bytes as sent, one JSON text each. */
export type EventPage = { traceId: string; events: string[]; totalCount: number; hasMore: boolean };
export type NewestQuery = EventFilter & { beforeSeq?: number; limit?: number };
/** The oldest of them first; `events` as in a page of one trace. With the first one's seq as `beforeSeq` the reader goes on backwards. */
export type NewestEvents = Pick<EventPage, "events" | "hasMore">;
/** Without a start (neither `sinceSeq` nor `sinceSequence`) a stream gives only new events. */
export type EventStreamQuery = EventFilter & { traceId: string | null; sinceSeq?: number; sinceSequence?: number };

/** `already`: it was so before. */
export type CommandAnswer = { already: boolean; started: Started };
export type ResolveRequest = { id: string; taskId: string; itemIndex?: number | null; as: "succeeded" | "failed" | "retry"; output?: Json };

/** `trigger`: left out for the only one of the workflow. */
export type FireRequest = { workflow: string; trigger?: string };
/** Times in milliseconds; both count themselves. */
export type BackfillRequest = { workflow: string; trigger: string; from: number; to: number; dryRun?: boolean };

export type NewKey = { name?: string | null; principal: Principal; roles: string[]; scopes: string[]; expiresAt?: string };

/** Every verb throws CodedError with the codes of errors.md; the comments name the particular ones. */
export interface Facade {
  status(): Promise<Status>;

  listWorkflows(query: Page & { enabled?: boolean; label?: string }): Promise<WorkflowList>;
  /** @throws WORKFLOW_NOT_FOUND */
  getWorkflow(id: string): Promise<Workflow>;
  /** @throws WORKFLOW_NOT_FOUND */
  listRevisions(id: string, page: Page): Promise<RevisionList>;
  /** @throws WORKFLOW_NOT_FOUND */
  getRevision(id: string, revision: number): Promise<RevisionDetail>;
  /** `created`: no workflow of this id was there. @throws WORKFLOW_INVALID with diagnostics */
  applyWorkflow(request: ApplyRequest): Promise<{ created: boolean; applied: Applied }>;
  /** @throws WORKFLOW_NOT_FOUND */
  setWorkflowEnabled(id: string, enabled: boolean): Promise<Workflow>;
  /** Executions stay. @throws WORKFLOW_NOT_FOUND */
  deleteWorkflow(id: string): Promise<void>;
  validateWorkflow(request: { source: string; file: string; hasFolder: boolean }): Promise<Validation>;

  /** @throws WORKFLOW_NOT_FOUND, WORKFLOW_DISABLED, INPUT_INVALID, ALREADY_EXISTS, IDEMPOTENCY_MISMATCH, QUEUE_FULL, NOT_AVAILABLE_YET */
  startExecution(request: StartRequest): Promise<StartAnswer>;
  listExecutions(query: ExecutionQuery): Promise<ExecutionList>;
  /** @throws EXECUTION_NOT_FOUND */
  getExecution(request: { id: string; include?: string[] }): Promise<Execution>;
  /** @throws EXECUTION_NOT_FOUND */
  listTaskRuns(query: TaskRunQuery): Promise<TaskRunList>;
  /** @throws EXECUTION_NOT_FOUND */
  listLogs(query: LogQuery): Promise<LogPage>;
  /** Ends when the execution is terminal and everything was given, or the signal aborts. */
  streamLogs(query: LogStreamQuery, signal: AbortSignal): AsyncIterable<LogItem>;
  /** Oldest first. @throws EXECUTION_NOT_FOUND */
  listArtifacts(query: ArtifactQuery): Promise<ArtifactList>;
  /** The newest of that name. @throws EXECUTION_NOT_FOUND, ARTIFACT_NOT_FOUND */
  openArtifact(request: ArtifactRequest): Promise<OpenedArtifact>;
  /** @throws EXECUTION_NOT_FOUND, EXECUTION_STATE */
  cancelExecution(id: string): Promise<CommandAnswer>;
  /** Running tasks end, none start. @throws EXECUTION_NOT_FOUND, EXECUTION_STATE */
  pauseExecution(id: string): Promise<CommandAnswer>;
  /** @throws EXECUTION_NOT_FOUND, EXECUTION_STATE */
  resumeExecution(id: string): Promise<CommandAnswer>;
  /** Starts it again in a new execution that reuses its results. @throws EXECUTION_NOT_FOUND, TASK_NOT_FOUND, EXECUTION_STATE, QUEUE_FULL */
  restartExecution(request: { id: string; from?: string }): Promise<Restarted>;
  /** Says what became of an attempt whose outcome is unknown. @throws EXECUTION_NOT_FOUND, TASK_NOT_FOUND, EXECUTION_STATE */
  resolveTask(request: ResolveRequest): Promise<CommandAnswer>;

  /** Removes ended executions with their traces, as many as a request has time for. @throws BODY_INVALID */
  cleanUpExecutions(request: CleanupRequest): Promise<Cleanup>;

  /** All triggers of armed workflows, by workflow and id. */
  listTriggers(query: Page & { workflow?: string }): Promise<TriggerList>;
  /** Those that should have fired and did not. */
  triggerHealth(query: Page): Promise<TriggerHealth>;
  /** Starts now what the trigger starts. @throws WORKFLOW_NOT_FOUND, WORKFLOW_DISABLED, TRIGGER_NOT_FOUND, INPUT_INVALID, QUEUE_FULL */
  fireTrigger(request: FireRequest): Promise<Started>;
  /** Starts what a range of times did not start. @throws WORKFLOW_NOT_FOUND, WORKFLOW_DISABLED, TRIGGER_NOT_FOUND, INPUT_INVALID */
  backfillTrigger(request: BackfillRequest): Promise<Backfill>;

  /** Built-in and installed ones, broken ones with their diagnostics. */
  listPlugins(page: Page): Promise<PluginList>;
  /** `id`: namespace/name. @throws PLUGIN_NOT_FOUND */
  getPlugin(id: string): Promise<Plugin>;
  reloadPlugins(): Promise<PluginList>;

  listTraces(query: Page & { subject?: string }): Promise<TraceList>;
  /** @throws TRACE_NOT_FOUND, BAD_REQUEST */
  listEvents(query: EventQuery): Promise<EventPage>;
  /** Of all traces, the filter applied before they are counted. @throws BAD_REQUEST */
  listNewestEvents(query: NewestQuery): Promise<NewestEvents>;
  /** One JSON text each with its store-wide order; a slow reader is paged from the store, never dropped. @throws TRACE_NOT_FOUND */
  streamEvents(query: EventStreamQuery, signal: AbortSignal): AsyncIterable<{ seq: number; text: string }>;

  /** @throws KEY_INVALID, FORBIDDEN when more is granted than the caller has */
  createKey(request: NewKey): Promise<CreatedKey>;
  listKeys(page: Page): Promise<KeyList>;
  /** @throws KEY_NOT_FOUND */
  revokeKey(id: string): Promise<void>;

  /** Without values. */
  listSecrets(page: Page): Promise<SecretList>;
  /** @throws SECRET_INVALID, SECRET_KEY_WRONG, FILE_MODE_UNSAFE */
  setSecret(secret: Secret): Promise<void>;
  /** @throws SECRET_NOT_FOUND, SECRET_KEY_WRONG, SECRET_TAMPERED, FILE_MODE_UNSAFE */
  getSecret(name: string): Promise<Secret>;
  /** @throws SECRET_NOT_FOUND */
  deleteSecret(name: string): Promise<void>;
  /** Encrypts everything again under a new key. @throws SECRET_KEY_WRONG, SECRET_TAMPERED, FILE_MODE_UNSAFE, CONFIG_INVALID */
  rotateSecretKey(): Promise<SecretKeyRotation>;
}
