// A checked workflow as the rest of the program sees it: defaults filled in, durations in milliseconds, forms unified.
import type { Json, JsonObject } from "../base/index.ts";

export type InputType = "string" | "integer" | "number" | "boolean" | "object" | "array";

/** A declared input; `schema` holds the JSON Schema keys of its type, `type` included. */
export type InputDefinition = {
  id: string;
  type: InputType;
  required: boolean;
  default?: Json;
  description?: string;
  sensitive: boolean;
  schema: JsonObject;
};

export type Permissions = {
  network?: string[];
  filesystem?: { read?: string[]; write?: string[] };
  env?: string[];
  run?: boolean;
  listen?: number[];
  memoryMb?: number;
  cpuSeconds?: number;
  processes?: number;
  openFiles?: number;
  diskMb?: number;
  outputBytes?: number;
};

export type RetryPolicy = {
  /** Total attempts, the first included. */
  max: number;
  backoff: "constant" | "linear" | "exponential";
  delayMs: number;
  maxDelayMs: number;
  /** Full jitter: the delay is drawn from 0 to the computed one. */
  jitter: boolean;
};

export type OnLost = "retry" | "fail" | "ask";
export type TaskPhase = "onFailure" | "finally";
export type Shell = "sh" | "bash" | "bun" | "python3";

/** A node of the DAG. `run: X` has become action `core/shell.run` with inputs {script, shell}. */
export type TaskDefinition = {
  id: string;
  /** Null for `tasks`, else the handler list that it stands in. */
  phase: TaskPhase | null;
  /** `namespace/plugin.action` */
  action: string;
  needs: string[];
  if?: string;
  forEach?: Json;
  matrix?: Record<string, Json>;
  concurrency?: number;
  /** Raw values; strings may hold templates. */
  inputs: JsonObject;
  /** Of `run:` tasks: raw values that may hold templates. */
  env: JsonObject;
  workdir?: string;
  retry: RetryPolicy;
  timeoutMs?: number;
  allowFailure: boolean;
  onLost?: OnLost;
  runtime: "process" | "docker";
  image?: string;
  permissions?: Permissions;
  secrets?: string[];
  cache?: { key: string; ttlMs: number };
  /** Raw values that may hold templates, put over the task's output. */
  outputs?: JsonObject;
};

type TriggerBase = { id: string; inputs: JsonObject };
export type CronTrigger = TriggerBase & { type: "cron"; cron: string; timezone: string; catchUp: "none" | "last" | "all" };
export type WebhookTrigger = TriggerBase & { type: "webhook"; path: string; method: string; secret: string };
export type FileTrigger = TriggerBase & { type: "file"; paths: string[]; settleMs: number };
export type TriggerDefinition = CronTrigger | WebhookTrigger | FileTrigger;

export type WorkflowDefinition = {
  apiVersion: "v1";
  id: string;
  name: string | null;
  description: string | null;
  labels: Record<string, string>;
  enabled: boolean;
  inputs: InputDefinition[];
  vars: JsonObject;
  secrets: string[];
  permissions: Permissions;
  triggers: TriggerDefinition[];
  concurrency: { limit: number; onLimit: "queue" | "skip" | "cancel_running" } | null;
  timeoutMs: number | null;
  tasks: TaskDefinition[];
  onFailure: TaskDefinition[];
  finally: TaskDefinition[];
  outputs: JsonObject;
};
